// Tasks: every task of every key, live.
import { html, useState, useEffect, useRef } from '../lib/dom.js';
import { post, download, mayWrite } from '../lib/api.js';
import { t, word } from '../lib/i18n.js';
import { route, open, link } from '../lib/router.js';
import { useList, useGet, Waiting } from '../lib/load.js';
import { useLive, usePolling } from '../lib/live.js';
import { duration, money } from '../lib/format.js';
import { Badge, CopyButton, Empty, Head, Progress, Time } from '../lib/ui/bits.js';
import { Table, Pager, Bulk } from '../lib/ui/table.js';
import { Search, Choice, Since } from '../lib/ui/search.js';
import { ask, attempt, toast } from '../lib/ui/layers.js';
import { short } from '../lib/format.js';
import { TaskDrawer } from './task.js';

export const OPEN = ['queued', 'submitting', 'running', 'storing'];
const STATES = [...OPEN, 'completed', 'failed', 'cancelled'];
const FILTERS = ['q', 'state', 'model', 'key', 'account', 'kind', 'dialect', 'from', 'to'];

export const TaskState = ({ task }) => html`<span class="stack tight">
  ${task.state === 'running' || task.state === 'storing'
    ? html`<${Progress} value=${task.progress ?? 0} />`
    : html`<${Badge} value=${task.cancel_requested && OPEN.includes(task.state) ? 'cancelling' : task.state} title=${task.error?.message} />`}
  ${(task.deleted || task.expired) && html`<span class="small quiet">${t(task.deleted ? 'task.deleted' : 'tasks.file_gone')}</span>`}</span>`;

const name = (text) => html`<span class="name clip" title=${text}>${text}</span>`;

const columns = () => [
  { key: 'prompt', label: t('task.prompt'), lead: true, cell: (task) => html`<span class="shot-line">${task.thumbnail ? html`<img class="mini" src=${task.thumbnail} alt="" loading="lazy" />` : html`<span class="mini"></span>`}
    <span class="prompt clip" title=${task.prompt}>${task.prompt || html`<span class="quiet">${word('kind', task.kind)}</span>`}</span></span>` },
  { key: 'state', label: t('task.state'), cell: (task) => html`<${TaskState} task=${task} />` },
  { key: 'model', label: t('task.model'), cell: (task) => name(task.model) },
  { key: 'account', label: t('task.account'), cell: (task) => (task.account ? name(task.account.name ?? short(task.account.id)) : html`<span class="quiet">–</span>`) },
  { key: 'key', label: t('task.key'), cell: (task) => name(task.key.name ?? task.key.id) },
  { key: 'cost', label: t('task.cost'), number: true, cell: (task) => money(task.cost) },
  { key: 'seconds', label: t('task.took'), number: true, cell: (task) => duration(task.seconds) },
  { key: 'created', label: t('task.created'), cell: (task) => html`<${Time} at=${task.created_at} />` },
  { key: 'id', label: t('id'), cell: (task) => html`<${CopyButton} text=${task.id} shown=${short(task.id)} />` },
];

/** The row with its news; null when the list has to be asked again: a row it doesn't have, or one that moved on. */
function merged(list, news) {
  const at = list.data.findIndex((row) => row.id === news.id);
  if (at < 0 || list.data[at].state !== news.state) return null;
  const data = [...list.data];
  data[at] = { ...data[at], ...news };
  return { ...list, data };
}

function Filters({ accounts, keys, models }) {
  const names = (found) => (found.data?.data ?? []).map((one) => [one.id, one.name]);
  return html`<div class="filters"><${Search} placeholder=${t('tasks.search')} />
    <${Choice} name="state" all=${t('tasks.any_state')} options=${[['open', t('state.open')], ...STATES.map((state) => [state, word('state', state)])]} />
    <${Choice} name="model" all=${t('tasks.any_model')} options=${(models.data?.data ?? []).map((model) => [model.name])} />
    <${Choice} name="account" all=${t('tasks.any_account')} options=${names(accounts)} />
    <${Choice} name="key" all=${t('tasks.any_key')} options=${names(keys)} />
    <${Choice} name="kind" all=${t('tasks.any_kind')} options=${['video', 'image', 'audio', 'character'].map((kind) => [kind, word('kind', kind)])} />
    <${Since} /></div>`;
}

const Nothing = ({ filtered }) => (filtered
  ? html`<${Empty} title=${t('nothing_matches')} actions=${html`<a class="button" href="#/tasks">${t('filters.clear')}</a>`} />`
  : html`<${Empty} title=${t('tasks.none')} actions=${html`<a class="button main" href=${link('playground')}>${t('tasks.none_action')}</a>`}>${t('tasks.none_note')}<//>`);

export function Page() {
  const { id, query } = route.value;
  const list = useList('tasks', FILTERS);
  const accounts = useGet('accounts');
  const keys = useGet('keys');
  const models = useGet('models');
  const [picked, setPicked] = useState(new Set());
  useEffect(() => setPicked(new Set()), [query.after]);
  const soon = useRef(0);
  useLive('task', (news) => {
    const now = list.data && merged(list.data, news);
    if (now) list.set(now);
    else if (!soon.current && !query.after) soon.current = setTimeout(() => { soon.current = 0; list.reload(); }, 250);
  });
  useLive('hello', () => list.reload());
  usePolling(list.reload, 4);

  const pick = (ids, all) => setPicked((old) => {
    if (all) return new Set(ids);
    const next = new Set(old);
    for (const one of ids) if (!next.delete(one)) next.add(one);
    return next;
  });
  const cancel = async () => {
    if (!await ask({ title: t('tasks.cancel_many', { n: picked.size }), text: t('tasks.cancel_note'), action: t('task.cancel') })) return;
    await attempt(() => post('tasks/cancel', { ids: [...picked] }), (done) => t('tasks.cancelled_many', { n: done.cancelled }));
    setPicked(new Set());
    list.reload();
  };
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, query[name]]));
  const csv = async () => { if (await attempt(() => download('tasks.csv', wanted, 'tasks.csv').then(() => true))) toast(t('exported')); };

  return html`<${Head} title=${t('page.tasks')}>
      <button type="button" class="button" onClick=${csv}>${t('export_csv')}</button><//>
    <${Filters} accounts=${accounts} keys=${keys} models=${models} />
    ${!list.data ? html`<${Waiting} ...${list} />` : list.rows.length === 0 ? html`<${Nothing} filtered=${list.filtered} />` : html`
      <${Table} label=${t('page.tasks')} columns=${columns()} rows=${list.rows} busy=${list.busy && Boolean(query.after)} chosen=${id}
        onOpen=${(task) => open(task.id)} picked=${mayWrite() ? picked : undefined} onPick=${pick} />
      <${Pager} shown=${list.rows.length} onBack=${list.back} onNext=${list.next} />`}
    <${Bulk} picked=${picked} onClear=${() => setPicked(new Set())}>
      <button type="button" class="button small" onClick=${cancel}>${t('task.cancel')}</button><//>
    ${id && html`<${TaskDrawer} key=${id} id=${id} onClose=${() => open('')} onChange=${list.reload} />`}`;
}
