// Playground: a form from what the model can do, the price before it is sent, and the film beside it.
import { html, useEffect, useMemo, useRef, useState } from '../lib/dom.js';
import { post, mayWrite } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { route, filter, link } from '../lib/router.js';
import { useGet, Waiting } from '../lib/load.js';
import { useLive, usePolling } from '../lib/live.js';
import { money } from '../lib/format.js';
import { Code, Empty, Head, Tabs } from '../lib/ui/bits.js';
import { Field } from '../lib/ui/form.js';
import { attempt } from '../lib/ui/layers.js';
import { SNIPPETS } from '../lib/snippets.js';
import { Characters, Pictures, Shots } from './playground_parts.js';
import { Film } from './task.js';

const STYLES = ['thanksgiving', 'comic', 'news', 'selfie', 'nostalgic', 'anime'];
const LENGTHS = ['4', '8', '12'];
const SIZES = ['1280x720', '720x1280', '1920x1080', '1080x1920', '1024x1024']; // where the upstream says nothing of its own
const EMPTY = {
  prompt: '', seconds: '', size: '', style: '', seed: '', negative_prompt: '', private: false, extra: '',
  pictures: { first_frame: [], last_frame: [], reference_image: [] }, shots: [], characters: [],
};

function lengths(range) {
  if (!range) return [];
  const wished = [4, 5, 6, 8, 10, 12, 15, 20, 25].filter((one) => one >= range.min && one <= range.max);
  return [...new Set([Math.ceil(range.min), ...wished, Math.floor(range.max)])].sort((a, b) => a - b);
}

/** The body as JSON: what is empty is left out. */
function bodyOf(form, model) {
  const body = { model, prompt: form.prompt };
  for (const name of ['seconds', 'size', 'style', 'negative_prompt']) if (form[name]) body[name] = name === 'seconds' ? Number(form[name]) : form[name];
  if (form.seed !== '') body.seed = Number(form.seed);
  if (form.private) body.private = true;
  if (form.shots.length) body.shots = form.shots.map((shot) => ({ seconds: Number(shot.seconds), prompt: shot.prompt }));
  if (form.characters.length) body.characters = form.characters;
  if (form.extra.trim()) body.extra = JSON.parse(form.extra);
  return body;
}

function withFiles(body, pictures) {
  const files = Object.entries(pictures).flatMap(([role, list]) => list.map((picture) => [role, picture]));
  if (files.length === 0) return body;
  const parts = new FormData();
  for (const [name, value] of Object.entries(body)) parts.append(name, typeof value === 'object' ? JSON.stringify(value) : String(value));
  for (const [role, picture] of files) parts.append(role, picture.file, picture.file.name);
  return parts;
}

/** There is something to show, and every shot says what. */
const sayable = (form) => (form.shots.length ? form.shots.every((shot) => shot.prompt.trim() && Number(shot.seconds) > 0) : form.prompt.trim());

/** The price of what stands in the form, asked a moment after the last change. */
function usePrice(form, model) {
  const [quote, setQuote] = useState(null);
  const asked = JSON.stringify([model, form.seconds, form.size, form.shots.map((shot) => shot.seconds)]);
  useEffect(() => {
    if (!model) return undefined;
    let gone = false;
    const timer = setTimeout(async () => {
      const found = await post('playground/quote', bodyOf({ ...form, extra: '', characters: [], prompt: '…', shots: form.shots.map((shot) => ({ ...shot, prompt: '…' })) }, model)).catch((error) => ({ error }));
      if (!gone) setQuote(found);
    }, 250);
    return () => { gone = true; clearTimeout(timer); };
  }, [asked]);
  return quote;
}

function Result({ made }) {
  const loaded = useGet(`tasks/${made.id}`);
  const task = loaded.data;
  useLive('task', (news) => {
    if (task?.id !== news.id) return;
    if (news.state !== task.state) loaded.reload();
    else loaded.set({ ...task, ...news });
  });
  usePolling(() => task && task.actions.cancel && loaded.reload(), 2);
  if (!task) return html`<${Waiting} ...${loaded} />`;
  const cancel = () => attempt(() => post(`tasks/${task.id}/cancel`), t('task.cancelling')).then(loaded.reload);
  return html`<article class="stack" data-task=${task.id} data-state=${task.state}>
    <div class="row apart"><strong>${task.model}</strong><span class="soft">${money(task.cost)}</span></div>
    <${Film} task=${task} />
    <div class="row">${task.files[0] && html`<a class="button small" href=${task.files[0].link} download=${task.files[0].name}>${t('download')}</a>`}
      ${task.actions.cancel && html`<button type="button" class="button small" onClick=${cancel}>${t('task.cancel')}</button>`}
      <a class="button small plain" href=${link(`tasks/${task.id}`)}>${t('play.in_tasks')}</a></div></article>`;
}

function Snippets({ request }) {
  const [tab, setTab] = useState('curl');
  return html`<section class="stack"><h2>${t('play.snippet')}</h2>
    <${Tabs} value=${tab} onPick=${setTab} options=${[['curl', 'curl'], ['python', 'Python'], ['node', 'Node']]} />
    <${Code} text=${SNIPPETS[tab](request)} label=${tab} /></section>`;
}

function Fieldset({ form, set, model, other, models }) {
  const can = model?.capabilities;
  const inputs = can?.inputs ?? ['first_frame'];
  const one = (field) => html`<${Field} prefix="play" field=${field} value=${form[field.name]} onChange=${(value) => set(field.name, value)} />`;
  const names = models.map((each) => [each.name]);
  return html`<div class="form">
    <${Field} prefix="play" field=${{ name: 'model', label: t('play.model'), kind: 'select', options: names }} value=${model.name} onChange=${(value) => filter({ model: value })} />
    <${Field} prefix="play" field=${{ name: 'other', label: t('play.beside'), kind: 'select', options: [['', t('play.alone')], ...names] }} value=${other} onChange=${(value) => filter({ beside: value })} />
    ${one({ name: 'prompt', label: t(form.shots.length ? 'play.before_shots' : 'task.prompt'), kind: 'textarea', rows: form.shots.length ? 2 : 4, wide: true, placeholder: t('play.prompt_hint') })}
    ${model.kind === 'video' && form.shots.length === 0 && (can?.seconds
      ? one({ name: 'seconds', label: t('play.seconds'), kind: 'select', options: [['', t('play.by_model')], ...lengths(can.seconds).map((n) => [String(n), `${n} s`])] })
      : one({ name: 'seconds', label: t('play.seconds'), kind: 'number', min: 1, step: 1, suggestions: LENGTHS, placeholder: t('play.by_model') }))}
    ${can?.sizes?.length ? one({ name: 'size', label: t('play.size'), kind: 'select', options: [['', t('play.by_model')], ...can.sizes.map((size) => [size, size.replace('x', ' × ')])] })
      : one({ name: 'size', label: t('play.size'), suggestions: SIZES, placeholder: '1280x720' })}</div>
    <${Pictures} inputs=${inputs} value=${form.pictures} onChange=${(value) => set('pictures', value)} />
    ${model.kind === 'video' && html`<${Shots} value=${form.shots} native=${can?.native_shots} onChange=${(value) => set('shots', value)} />`}
    <${Characters} value=${form.characters} onChange=${(value) => set('characters', value)} />
    <details><summary>${t('more')}</summary><div class="form">
      ${one({ name: 'style', label: t('play.style'), kind: 'select', options: [['', '–'], ...STYLES.map((style) => [style])] })}
      ${one({ name: 'seed', label: t('play.seed'), kind: 'number' })}
      ${one({ name: 'negative_prompt', label: t('play.negative'), wide: true })}
      ${one({ name: 'extra', label: t('play.extra'), kind: 'code', rows: 2, wide: true, hint: t('play.extra_hint'), placeholder: '{"camera": "dolly"}' })}
      ${one({ name: 'private', label: t('play.private'), kind: 'check', wide: true })}</div></details>`;
}

function Price({ quote, name }) {
  if (!quote) return html`<span class="quiet">…</span>`;
  if (quote.error) return html`<span class="bad">${quote.error.message}</span>`;
  return quote.price == null ? html`<span class="quiet">${t('play.unpriced')} (${name})</span>`
    : html`<span><strong>${money(quote.price)}</strong> <span class="quiet">${quote.text}</span></span>`;
}

export function Page() {
  const { query } = route.value;
  const found = useGet('playground/models');
  const [form, setForm] = useState(EMPTY);
  const [made, setMade] = useState([]);
  const [busy, setBusy] = useState(false);
  const models = found.data?.data ?? [];
  const model = models.find((one) => one.name === query.model) ?? models.find((one) => one.name === 'sora-2') ?? models[0];
  const other = models.some((one) => one.name === query.beside) ? query.beside : '';
  const quote = usePrice(form, model?.name);
  const beside = usePrice(form, other);
  const stage = useRef();
  useEffect(() => { if (made.length) stage.current?.scrollIntoView({ block: 'nearest' }); }, [made]);
  const request = useMemo(() => {
    try {
      return { ...bodyOf(form, model?.name ?? ''), first_frame: form.pictures.first_frame[0]?.file.name };
    } catch {
      return { model: model?.name ?? '', prompt: form.prompt };
    }
  }, [form, model]);
  const set = (name, value) => setForm((old) => ({ ...old, [name]: value }));
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    const names = [model.name, ...(other ? [other] : [])];
    const done = await attempt(() => Promise.all(names.map((name) => post('playground', withFiles(bodyOf(form, name), form.pictures)))), t('play.sent'));
    if (done) setMade(done);
    setBusy(false);
  };
  if (!found.data) return html`<${Head} title=${t('page.playground')} /><${Waiting} ...${found} />`;
  if (!model) return html`<${Head} title=${t('page.playground')} /><${Empty} title=${t('play.no_models')} actions=${html`<a class="button main" href=${link('accounts', { add: '1' })}>${t('accounts.add')}</a>`}>${t('play.no_models_note')}<//>`;
  return html`<${Head} title=${t('page.playground')} />
    <div class="work"><form class="stack" onSubmit=${submit}>
        <${Fieldset} form=${form} set=${set} model=${model} other=${other} models=${models} />
        <div class="row apart"><span id="price" class="stack tight"><${Price} quote=${quote} name=${model.name} />${other && html`<${Price} quote=${beside} name=${other} />`}</span>
          <button type="submit" class="button main" disabled=${busy || !mayWrite() || !sayable(form)}>${t('play.make')}</button></div></form>
      <div class="stage stack" ref=${stage}>
        ${made.length === 0 ? html`<div class="film"><div class="waiting">${t('play.waiting')}</div></div>`
        : html`<div class="stages">${made.map((one) => html`<${Result} key=${one.id} made=${one} />`)}</div>`}
        <${Snippets} request=${request} /></div></div>`;
}
