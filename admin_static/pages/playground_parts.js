// Parts of the playground's form: pictures, storyboard, characters.
import { html, useEffect, useState } from '../lib/dom.js';
import { t, word } from '../lib/i18n.js';
import { useGet } from '../lib/load.js';
import { link } from '../lib/router.js';
import { Icon } from '../lib/ui/icons.js';

const ROLES = ['first_frame', 'last_frame', 'reference_image'];

/** A small picture of a chosen file, as data: the policy lets no blob: be an image. */
function Preview({ picture }) {
  const [source, setSource] = useState('');
  useEffect(() => {
    const reader = new FileReader();
    reader.onload = () => setSource(reader.result);
    reader.readAsDataURL(picture.file);
  }, [picture]);
  return source && html`<img src=${source} alt=${picture.file.name} />`;
}

export function Pictures({ inputs, value, onChange }) {
  const [over, setOver] = useState('');
  const roles = ROLES.filter((role) => inputs.includes(role));
  if (roles.length === 0) return html`<p class="quiet small">${t('play.no_pictures')}</p>`;
  const add = (role, files) => {
    const chosen = [...files].filter((file) => file.type.startsWith('image/')).map((file) => ({ file }));
    if (chosen.length) onChange({ ...value, [role]: role === 'reference_image' ? [...value[role], ...chosen] : chosen.slice(0, 1) });
  };
  const drop = (role) => (event) => { event.preventDefault(); setOver(''); add(role, event.dataTransfer.files); };
  return html`<div class="stack"><span class="label">${t('play.pictures')}</span><div class="row">
    ${roles.map((role) => html`<label key=${role} class=${over === role ? 'button small drop over' : 'button small'} onDrop=${drop(role)}
        onDragOver=${(event) => { event.preventDefault(); setOver(role); }} onDragLeave=${() => setOver('')}>
      <${Icon} name="plus" />${word('role', role)}
      <input type="file" class="hidden-text" name=${role} accept="image/*" multiple=${role === 'reference_image'} onChange=${(event) => { add(role, event.target.files); event.target.value = ''; }} /></label>`)}</div>
    <div class="thumbs">${roles.flatMap((role) => value[role].map((picture, n) => html`<figure key=${`${role}${n}`} title=${`${word('role', role)}: ${picture.file.name}`}>
      <${Preview} picture=${picture} /><button type="button" aria-label=${t('remove')} onClick=${() => onChange({ ...value, [role]: value[role].filter((one) => one !== picture) })}>✕</button></figure>`))}</div></div>`;
}

export function Shots({ value, native, onChange }) {
  const change = (n, part) => onChange(value.map((shot, at) => (at === n ? { ...shot, ...part } : shot)));
  const total = value.reduce((sum, shot) => sum + Number(shot.seconds || 0), 0);
  return html`<div class="stack tight" id="storyboard">
    <div class="row apart"><span class="label">${t('play.storyboard')}</span>
      ${value.length > 0 && html`<span class="quiet small">${t('play.total', { n: total })}${native === false ? ` · ${t('play.folded')}` : ''}</span>`}</div>
    <div class="shots">${value.map((shot, n) => html`<div class="shot" key=${n}><span>${n + 1}</span>
      <textarea rows="2" aria-label=${t('play.shot', { n: n + 1 })} value=${shot.prompt} placeholder=${t('play.shot_hint')} onInput=${(event) => change(n, { prompt: event.target.value })}></textarea>
      <input type="number" min="1" step="0.5" aria-label=${t('play.shot_seconds', { n: n + 1 })} value=${shot.seconds} onInput=${(event) => change(n, { seconds: event.target.value })} />
      <button type="button" class="button plain icon-only" aria-label=${t('remove')} onClick=${() => onChange(value.filter((_, at) => at !== n))}><${Icon} name="close" /></button></div>`)}</div>
    <div><button type="button" class="button small" onClick=${() => onChange([...value, { seconds: 4, prompt: '' }])}><${Icon} name="plus" />${t('play.add_shot')}</button></div></div>`;
}

export function Characters({ value, onChange }) {
  const found = useGet('characters');
  const list = found.data?.data ?? [];
  const toggle = (username) => onChange(value.includes(username) ? value.filter((one) => one !== username) : [...value, username]);
  return html`<div class="stack tight"><span class="label">${t('page.characters')}</span>
    ${list.length === 0 ? html`<span class="quiet small">${t('play.no_characters')} <a href=${link('characters')}>${t('characters.make')}</a></span>`
    : html`<div class="row">${list.map((one) => html`<button type="button" key=${one.id} class="button small" aria-pressed=${value.includes(one.username)} onClick=${() => toggle(one.username)}>
        ${value.includes(one.username) && html`<${Icon} name="check" />`}@${one.username}</button>`)}</div>`}</div>`;
}
