// Overview: is it working, what waits, what did it cost, what went wrong.
import { html, classes, useMemo } from '../lib/dom.js';
import { t, word } from '../lib/i18n.js';
import { route, filter, link } from '../lib/router.js';
import { useGet, Waiting } from '../lib/load.js';
import { useLive, usePolling } from '../lib/live.js';
import { bytes, compact, duration, money, number, percent } from '../lib/format.js';
import { Empty, Head, Segments, Time } from '../lib/ui/bits.js';
import { Chart } from '../lib/ui/chart.js';
import { Table } from '../lib/ui/table.js';

const Figure = ({ label, value, under, words }) => html`<div class="figure"><dt>${label}</dt><dd class=${words && 'words'}>${value}</dd>${under && html`<div class="under">${under}</div>`}</div>`;

function Figures({ data }) {
  const { totals, queue, spend, accounts, storage } = data;
  const rest = [['cooling', 'warn'], ['disabled', 'quiet'], ['expired', 'bad']].filter(([name]) => accounts[name] > 0);
  return html`<dl class="figures">
    <${Figure} label=${t('over.rate')} value=${percent(totals.success_rate)} under=${t('over.of', { n: number(totals.completed + totals.failed) })} />
    <${Figure} label=${t('over.per_minute')} value=${number(totals.per_minute, totals.per_minute < 10 ? 2 : 0)} under=${t('over.tasks', { n: number(totals.tasks) })} />
    <${Figure} label=${t('over.queue')} value=${html`<a href=${link('tasks', { state: 'queued' })}>${number(queue.queued)}</a>`} under=${html`<a href=${link('tasks', { state: 'open' })}>${t('over.running', { n: queue.submitting + queue.running + queue.storing })}</a>`} />
    <${Figure} label=${t('over.today')} value=${money(spend.today)} under=${t('over.month', { amount: money(spend.days_30) })} />
    <${Figure} label=${t('over.accounts')} value=${html`<a href=${link('accounts')}>${accounts.healthy}</a> <span class="quiet">/ ${accounts.total}</span>`}
      under=${rest.length ? rest.map(([name, tone]) => html`<a key=${name} class=${tone} href=${link('accounts', { state: name })}>${t(`over.${name}`, { n: accounts[name] })}</a> `) : t(accounts.total ? 'over.all_well' : 'accounts.none')} />
    <${Figure} label=${t('over.storage')} value=${bytes(storage.bytes)} under=${storage.files == null ? t('over.counting') : t('over.files', { n: number(storage.files) })} /></dl>`;
}

function Lines({ data }) {
  const tasks = useMemo(() => [
    { label: t('state.completed'), values: data.series.completed, tone: 'good-mark', fill: true },
    { label: t('state.failed'), values: data.series.failed, tone: 'bad-mark', fill: true },
  ], [data]);
  const cost = useMemo(() => [{ label: t('task.cost'), values: data.series.cost.map(Number), tone: 'accent', fill: true }], [data]);
  return html`<div class="columns">
    <section><h2>${t('over.tasks_chart')}</h2><${Chart} times=${data.series.at} series=${tasks} label=${t('over.tasks_chart')} unit=${compact} /></section>
    <section><h2>${t('over.cost_chart')}</h2><${Chart} times=${data.series.at} series=${cost} label=${t('over.cost_chart')} unit=${money} /></section></div>`;
}

const models = () => [
  { key: 'model', label: t('task.model'), lead: true, cell: (row) => html`<a href=${link('tasks', { model: row.model })}>${row.model}</a>` },
  { key: 'tasks', label: t('over.count'), number: true, cell: (row) => number(row.tasks) },
  { key: 'failed', label: t('state.failed'), number: true, cell: (row) => (row.failed ? html`<span class="bad">${number(row.failed)}</span>` : '0') },
  { key: 'p50', label: 'p50', number: true, cell: (row) => duration(row.p50_seconds) },
  { key: 'p95', label: 'p95', number: true, cell: (row) => duration(row.p95_seconds) },
  { key: 'cost', label: t('task.cost'), number: true, cell: (row) => money(row.cost) },
];

const errors = () => [
  { key: 'code', label: t('over.error'), lead: true, cell: (row) => html`<strong>${word('error', row.code)}</strong> <span class="soft">${row.message}</span>` },
  { key: 'model', label: t('task.model'), cell: (row) => html`<span class="name clip" title=${row.model}>${row.model}</span>` },
  { key: 'count', label: t('over.count'), number: true, cell: (row) => number(row.count) },
  { key: 'last', label: t('over.last'), cell: (row) => html`<a href=${link(`tasks/${row.task_id}`)}><${Time} at=${row.last_at} /></a>` },
];

const Begin = ({ accounts }) => html`<${Empty} title=${t('over.begin')} actions=${html`
    ${accounts.total > 0 && html`<a class="button main" href=${link('playground')}>${t('over.begin_play')}</a>`}
    <a class=${classes('button', !accounts.total && 'main')} href=${link('accounts', { add: '1' })}>${t('accounts.add')}</a>
    <a class="button" href=${link('keys', { add: '1' })}>${t('keys.add')}</a>`}>${t(accounts.total ? 'over.begin_note' : 'over.begin_none')}<//>`;

export function Page() {
  const range = route.value.query.range ?? '24h';
  const found = useGet('overview', { range });
  let soon = 0;
  useLive('task', (news) => {
    if (soon || news.state === 'running') return;
    soon = setTimeout(() => { soon = 0; found.reload(); }, 1500);
  });
  usePolling(found.reload, 15, true);
  const { data } = found;
  const idle = data && data.totals.tasks === 0 && data.queue.queued + data.queue.running + data.queue.storing === 0 && range === '24h';
  return html`<${Head} title=${t('page.overview')}>
      <${Segments} label=${t('over.range')} value=${range} onPick=${(value) => filter({ range: value })} options=${['1h', '24h', '7d', '30d'].map((one) => [one, t(`range.${one}`)])} /><//>
    ${!data ? html`<${Waiting} ...${found} />` : html`<${Figures} data=${data} />
      ${idle ? html`<${Begin} accounts=${data.accounts} />` : html`<${Lines} data=${data} />
      <div class="columns"><section><h2>${t('over.models')}</h2><${Table} label=${t('over.models')} columns=${models()} rows=${data.models} id=${(row) => row.model} /></section>
        <section><h2>${t('over.errors')}</h2>${data.errors.length === 0 ? html`<p class="soft">${t('over.no_errors')}</p>`
          : html`<${Table} label=${t('over.errors')} columns=${errors()} rows=${data.errors} id=${(row) => `${row.code}${row.model}`} />`}</section></div>`}`}`;
}
