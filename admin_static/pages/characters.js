// Characters: faces and voices kept from a clip, to be named as @username in any prompt.
import { html, useState } from '../lib/dom.js';
import { call, remove, mayWrite } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { route, link } from '../lib/router.js';
import { useGet, Waiting } from '../lib/load.js';
import { CopyButton, Empty, Head, Segments, Time } from '../lib/ui/bits.js';
import { Search } from '../lib/ui/search.js';
import { Dialog, Menu, ask, attempt, toast } from '../lib/ui/layers.js';
import { Fields, FormButtons, useForm } from '../lib/ui/form.js';

function Card({ one, drop }) {
  const [plays, setPlays] = useState(false);
  return html`<article class="stack tight" data-id=${one.id}>
    <div class="still">${plays && one.clip ? html`<video src=${one.clip} autoplay controls playsinline muted loop></video>`
      : html`<button type="button" class="play" aria-label=${`${t('characters.play')}: ${one.name}`} onClick=${() => setPlays(true)}>${one.still && html`<img src=${one.still} alt="" />`}</button>`}</div>
    <div class="row apart"><strong class="clip">${one.name}</strong>${mayWrite() && html`<${Menu} label=${`${t('actions')}: ${one.name}`} items=${[
      [t('characters.play'), () => setPlays(true)], [t('characters.use'), () => { location.hash = link('playground'); }], null, [t('delete'), () => drop(one), 'bad']]} />`}</div>
    <${CopyButton} text=${`@${one.username}`} /><span class="quiet small"><${Time} at=${one.created_at} /></span></article>`;
}

function Make({ onClose, onDone }) {
  const [from, setFrom] = useState('video');
  const [file, setFile] = useState(null);
  const form = useForm({ name: '', url: '', from_task: '', timestamps: '1,3' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async ({ name, url, from_task, timestamps }) => {
      const parts = new FormData();
      if (name) parts.append('name', name);
      if (timestamps) parts.append('timestamps', timestamps);
      if (from === 'video') parts.append('video', file, file.name);
      else parts.append(from, from === 'url' ? url : from_task);
      const made = await call('POST', 'characters', { body: parts });
      toast(t('characters.made', { name: made.username }));
      onDone();
    });
  };
  return html`<${Dialog} title=${t('characters.make')} onClose=${onClose}><form class="stack" onSubmit=${submit}>
    <p class="soft">${t('characters.make_note')}</p>
    <${Segments} label=${t('characters.from')} value=${from} onPick=${setFrom} options=${['video', 'url', 'from_task'].map((one) => [one, t(`characters.${one}`)])} />
    ${from === 'video' && html`<div class="field"><label for="character-video">${t('characters.video')}</label><input id="character-video" type="file" name="video" accept="video/*" required onChange=${(event) => setFile(event.target.files[0])} /></div>`}
    <${Fields} form=${form} prefix="character" fields=${[
      from === 'url' && { name: 'url', label: t('characters.url'), required: true, wide: true, placeholder: 'https://…' },
      from === 'from_task' && { name: 'from_task', label: t('characters.from_task'), required: true, wide: true, placeholder: 'video_…' },
      { name: 'name', label: t('key.name') }, { name: 'timestamps', label: t('characters.timestamps'), hint: t('characters.timestamps_hint') },
    ]} />
    <div class="row"><${FormButtons} form=${form} label=${t('characters.make')} onCancel=${onClose} /></div></form><//>`;
}

export function Page() {
  const { query } = route.value;
  const found = useGet('characters', { q: query.q });
  const [shown, show] = useState(false);
  const rows = found.data?.data ?? [];
  const drop = async (one) => {
    if (!await ask({ title: t('characters.delete', { name: one.name }), text: t('characters.delete_note'), action: t('delete') })) return;
    await attempt(() => remove(`characters/${one.id}`), t('characters.gone', { name: one.name }));
    found.reload();
  };
  return html`<${Head} title=${t('page.characters')}>${mayWrite() && html`<button type="button" class="button main" onClick=${() => show(true)}>${t('characters.make')}</button>`}<//>
    <div class="filters"><${Search} placeholder=${t('characters.search')} /></div>
    ${!found.data ? html`<${Waiting} ...${found} />` : rows.length === 0
      ? html`<${Empty} title=${query.q ? t('nothing_matches') : t('characters.none')} actions=${mayWrite() && html`<button type="button" class="button main" onClick=${() => show(true)}>${t('characters.make')}</button>`}>${t('characters.none_note')}<//>`
      : html`<div class="card-list">${rows.map((one) => html`<${Card} key=${one.id} one=${one} drop=${drop} />`)}</div>`}
    ${shown && html`<${Make} onClose=${() => show(false)} onDone=${() => { show(false); found.reload(); }} />`}`;
}
