// Logs & audit: requests of clients, what was used, and who changed what.
import { html, useState } from '../lib/dom.js';
import { download } from '../lib/api.js';
import { t, word } from '../lib/i18n.js';
import { route, filter, link } from '../lib/router.js';
import { useGet, useList, Waiting } from '../lib/load.js';
import { absolute, duration, money, number } from '../lib/format.js';
import { Empty, Head, Json, Segments, Tabs, Time } from '../lib/ui/bits.js';
import { Table, Pager } from '../lib/ui/table.js';
import { Choice, Since } from '../lib/ui/search.js';
import { Drawer, attempt } from '../lib/ui/layers.js';

const REQUESTS = ['key', 'model', 'account', 'path', 'status', 'from', 'to'];
const AUDIT = ['actor', 'action', 'target', 'from', 'to'];
const tone = (status) => (status >= 500 ? 'bad' : status >= 400 ? 'warn' : 'good');

const requestColumns = () => [
  { key: 'at', label: t('logs.at'), cell: (row) => html`<${Time} at=${row.at} />` },
  { key: 'path', label: t('logs.path'), lead: true, cell: (row) => html`<span class="mono">${row.path}</span>` },
  { key: 'status', label: t('logs.status'), cell: (row) => html`<span class=${`badge ${tone(row.status)}`}>${row.status}</span>` },
  { key: 'model', label: t('task.model'), cell: (row) => row.model },
  { key: 'key', label: t('task.key'), cell: (row) => row.key?.name ?? row.key?.id },
  { key: 'account', label: t('task.account'), cell: (row) => row.account?.name ?? html`<span class="quiet">–</span>` },
  { key: 'tokens', label: t('logs.tokens'), number: true, cell: (row) => (row.input_tokens == null ? '–' : `${number(row.input_tokens)} / ${number(row.output_tokens)}`) },
  { key: 'took', label: t('task.took'), number: true, cell: (row) => duration(row.milliseconds / 1000) },
  { key: 'cost', label: t('task.cost'), number: true, cell: (row) => money(row.cost) },
  { key: 'task', label: t('hook.task'), cell: (row) => (row.task_id ? html`<a href=${link(`tasks/${row.task_id}`)}>${t('logs.open')}</a>` : '') },
];

function Requests() {
  const list = useList('requests', REQUESTS);
  const keys = useGet('keys');
  const accounts = useGet('accounts');
  const models = useGet('models');
  const names = (found) => (found.data?.data ?? []).map((one) => [one.id, one.name]);
  return html`<div class="filters">
      <${Choice} name="status" all=${t('logs.any_status')} options=${[['errors', t('logs.errors')], ['4xx', '4xx'], ['5xx', '5xx'], ['200', '200']]} />
      <${Choice} name="key" all=${t('tasks.any_key')} options=${names(keys)} /><${Choice} name="account" all=${t('tasks.any_account')} options=${names(accounts)} />
      <${Choice} name="model" all=${t('tasks.any_model')} options=${(models.data?.data ?? []).map((model) => [model.name])} /><${Since} /></div>
    ${!list.data ? html`<${Waiting} ...${list} />` : list.rows.length === 0
      ? html`<${Empty} title=${list.filtered ? t('nothing_matches') : t('logs.none')} actions=${html`<a class="button" href=${list.filtered ? '#/logs' : link('keys')}>${list.filtered ? t('filters.clear') : t('keys.add')}</a>`}>${!list.filtered && t('logs.none_note')}<//>`
      : html`<${Table} label=${t('logs.tab.requests')} columns=${requestColumns()} rows=${list.rows} busy=${list.busy} /><${Pager} shown=${list.rows.length} onBack=${list.back} onNext=${list.next} />`}`;
}

const usageColumns = () => [
  { key: 'name', label: t('usage.group'), lead: true, cell: (row) => (row.group === '∑' ? html`<strong>${row.name}</strong>` : row.name || html`<span class="quiet">–</span>`) },
  { key: 'requests', label: t('usage.requests'), number: true, cell: (row) => number(row.requests) },
  { key: 'errors', label: t('logs.errors'), number: true, cell: (row) => number(row.errors) },
  { key: 'input', label: t('usage.input'), number: true, cell: (row) => number(row.input_tokens) },
  { key: 'output', label: t('usage.output'), number: true, cell: (row) => number(row.output_tokens) },
  { key: 'cost', label: t('task.cost'), number: true, cell: (row) => money(row.cost) },
];

function Usage() {
  const { query } = route.value;
  const group = query.group ?? 'model';
  const found = useGet('usage', { group, from: query.from });
  const rows = found.data?.data ?? [];
  const total = found.data?.total;
  return html`<${Segments} label=${t('usage.group')} value=${group} onPick=${(value) => filter({ group: value })} options=${['model', 'key', 'account', 'day'].map((one) => [one, t(`usage.${one}`)])} />
    ${!found.data ? html`<${Waiting} ...${found} />` : rows.length === 0 ? html`<${Empty} title=${t('usage.none')} actions=${html`<a class="button main" href=${link('playground')}>${t('over.begin_play')}</a>`} />`
    : html`<${Table} label=${t('logs.tab.usage')} columns=${usageColumns()} rows=${total ? [...rows, { ...total, group: '∑', name: t('usage.total') }] : rows} id=${(row) => row.group} />`}`;
}

const thing = (target) => {
  const [kind, id] = target.split('/');
  return ['accounts', 'keys', 'tasks'].includes(kind) && id ? html`<a href=${link(target)}>${target}</a>` : target;
};

const auditColumns = () => [
  { key: 'at', label: t('logs.at'), cell: (row) => html`<${Time} at=${row.at} />` },
  { key: 'actor', label: t('audit.actor'), cell: (row) => row.actor },
  { key: 'action', label: t('audit.action'), lead: true, cell: (row) => html`<strong title=${row.action}>${word('deed', row.action)}</strong>` },
  { key: 'target', label: t('audit.target'), wide: true, cell: (row) => html`<span class="mono small">${thing(row.target)}</span>` },
];

const flat = (value) => (value == null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value));

/** Only what differs between before and after, side by side. */
function Changes({ before, after }) {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  const changed = names.filter((name) => flat(before?.[name]) !== flat(after?.[name]));
  return html`<div class="changes">${changed.map((name) => html`<strong>${name}</strong><span class="was">${flat(before?.[name])}</span><span class="now">${flat(after?.[name])}</span>`)}</div>`;
}

function Audit() {
  const list = useList('audit', AUDIT);
  const [shown, show] = useState(null);
  const actors = [...new Set(list.rows.map((row) => row.actor))];
  return html`<div class="filters"><${Choice} name="actor" all=${t('audit.any_actor')} options=${actors.map((one) => [one])} />
      <${Choice} name="action" all=${t('audit.any_action')} options=${[...new Set(list.rows.map((row) => row.action))].sort().map((one) => [one, word('deed', one)])} /><${Since} /></div>
    ${!list.data ? html`<${Waiting} ...${list} />` : list.rows.length === 0 ? html`<${Empty} title=${t('nothing_matches')} actions=${html`<a class="button" href="#/logs?tab=audit">${t('filters.clear')}</a>`} />`
    : html`<${Table} label=${t('logs.tab.audit')} columns=${auditColumns()} rows=${list.rows} onOpen=${show} busy=${list.busy} /><${Pager} shown=${list.rows.length} onBack=${list.back} onNext=${list.next} />`}
    ${shown && html`<${Drawer} title=${word('deed', shown.action)} onClose=${() => show(null)}>
      <dl class="facts"><dt>${t('audit.action')}</dt><dd class="mono">${shown.action}</dd><dt>${t('audit.actor')}</dt><dd>${shown.actor}</dd><dt>${t('logs.at')}</dt><dd>${absolute(shown.at)}</dd><dt>${t('audit.target')}</dt><dd class="mono">${thing(shown.target)}</dd></dl>
      <section><h3>${t('audit.changes')}</h3><${Changes} ...${shown} /></section>
      <details><summary>${t('audit.raw')}</summary><${Json} value=${{ before: shown.before, after: shown.after }} /></details><//>`}`;
}

export function Page() {
  const { query } = route.value;
  const tab = query.tab ?? 'requests';
  const names = { requests: REQUESTS, usage: ['group', 'from', 'to'], audit: AUDIT }[tab];
  const csv = () => attempt(() => download(`${tab}.csv`, { ...(tab === 'usage' && { group: 'model' }), ...Object.fromEntries(names.map((name) => [name, query[name]])) }, `${tab}.csv`).then(() => true), t('exported'));
  return html`<${Head} title=${t('page.logs')}><button type="button" class="button" onClick=${csv}>${t('export_csv')}</button><//>
    <${Tabs} value=${tab} onPick=${(name) => { location.hash = link('logs', { tab: name === 'requests' ? '' : name }); }} options=${['requests', 'usage', 'audit'].map((name) => [name, t(`logs.tab.${name}`)])} />
    ${tab === 'requests' ? html`<${Requests} />` : tab === 'usage' ? html`<${Usage} />` : html`<${Audit} />`}`;
}
