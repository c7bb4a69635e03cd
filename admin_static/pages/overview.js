// Overview: success rate, queue, spending, charts, and the last errors.
import { html, classNames, useMemo } from '../lib/dom.js';
import { t, valueLabel } from '../lib/i18n.js';
import { route, setFilters, pageLink } from '../lib/router.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { useServerEvent, usePolling } from '../lib/event_stream.js';
import { formatBytes, formatCompact, formatDuration, formatMoney, formatNumber, formatPercent } from '../lib/format.js';
import { zone } from '../lib/zone.js';
import { EmptyState, PageHeader, SegmentedControl, RelativeTime } from '../lib/ui/elements.js';
import { TimeChart } from '../lib/ui/chart.js';
import { DataTable } from '../lib/ui/table.js';
import { ModelVerdicts } from './model_verdicts.js';

const FigureCell = ({ label, value, under, words }) =>
  html`<div class="figure">
    <dt>${label}</dt>
    <dd class=${words && 'words'}>${value}</dd>
    ${under && html`<dd class="under">${under}</dd>`}
  </div>`;

// The states of accounts that are not ready, in the tone that each is shown in.
const OTHER_STATES = [
  ['busy', 'soft'],
  ['cooling', 'warn'],
  ['exhausted', 'warn'],
  ['draining', 'quiet'],
  ['disabled', 'quiet'],
  ['expired', 'bad'],
  ['broken', 'bad'],
];

function FigureGrid({ data }) {
  const { totals, queue, spend, held, accounts, storage } = data;
  const others = OTHER_STATES.filter(([name]) => accounts.states[name] > 0);
  return html`<dl class="figures">
    <${FigureCell}
      label=${t('overview.rate')}
      value=${formatPercent(totals.success_rate)}
      under=${t('overview.of', { n: formatNumber(totals.completed + totals.failed) })}
    />
    <${FigureCell}
      label=${t('overview.per_minute')}
      value=${formatNumber(totals.per_minute, totals.per_minute < 10 ? 2 : 0)}
      under=${t('overview.tasks', { n: formatNumber(totals.tasks) })}
    />
    <${FigureCell}
      label=${t('overview.queue')}
      value=${html`<a href=${pageLink('tasks', { state: 'queued' })}>${formatNumber(queue.queued)}</a>`}
      under=${html`<a href=${pageLink('tasks', { state: 'open' })}>
        ${t('overview.open', { n: queue.queued + queue.submitting + queue.running + queue.storing })}
      </a>`}
    />
    <${FigureCell}
      label=${t('overview.today')}
      value=${formatMoney(spend.today)}
      under=${t('overview.month', { amount: formatMoney(spend.days_30) })}
    />
    <${FigureCell}
      label=${t('overview.held')}
      value=${formatMoney(held.amount)}
      under=${
        held.tasks
          ? html`<a class="warn" href=${pageLink('tasks', { state: 'held' })}>
            ${t('overview.held_tasks', { n: formatNumber(held.tasks) })}
          </a>`
          : t('overview.nothing_held')
      }
    />
    <${FigureCell}
      label=${t('overview.accounts')}
      value=${html`
        <a href=${pageLink('accounts', { state: 'ready' })}>${accounts.states.ready ?? 0}</a>${' '}
        <a class="quiet" href=${pageLink('accounts')}>/ ${accounts.total}</a>
      `}
      under=${
        others.length
          ? others.map(
              ([name, tone], at) =>
                html`
                  ${at > 0 && ' · '}<a key=${name} class=${tone} href=${pageLink('accounts', { state: name })}>
                    ${accounts.states[name]} ${valueLabel('account', name)}
                  </a>
                `,
            )
          : t(accounts.total ? 'overview.all_well' : 'accounts.none')
      }
    />
    <${FigureCell}
      label=${t('overview.storage')}
      value=${formatBytes(storage.bytes)}
      under=${storage.files == null ? t('overview.counting') : t('overview.files', { n: formatNumber(storage.files) })}
    />
  </dl>`;
}

function TimeCharts({ data }) {
  const tasks = useMemo(
    () => [
      { label: t('state.completed'), values: data.series.completed, tone: 'good-mark', fill: true },
      { label: t('state.failed'), values: data.series.failed, tone: 'bad-mark', fill: true },
    ],
    [data],
  );
  const cost = useMemo(
    () => [{ label: t('task.cost'), values: data.series.cost.map(Number), tone: 'accent', fill: true }],
    [data],
  );
  return html`<div class="columns">
    <section>
      <h2>${t('overview.tasks_chart')}</h2>
      <${TimeChart} times=${data.series.at} series=${tasks} label=${t('overview.tasks_chart')} unit=${formatCompact} />
    </section>
    <section>
      <h2>${t('overview.cost_chart')}</h2>
      <${TimeChart} times=${data.series.at} series=${cost} label=${t('overview.cost_chart')} unit=${formatMoney} />
    </section>
  </div>`;
}

const modelColumns = () => [
  {
    key: 'model',
    label: t('task.model'),
    lead: true,
    cell: (row) => html`<a href=${pageLink('tasks', { model: row.model })}>${row.model}</a>`,
  },
  { key: 'tasks', label: t('overview.count'), number: true, cell: (row) => formatNumber(row.tasks) },
  {
    key: 'failed',
    label: t('state.failed'),
    number: true,
    cell: (row) => (row.failed ? html`<span class="bad">${formatNumber(row.failed)}</span>` : '0'),
  },
  { key: 'p50', label: 'p50', number: true, cell: (row) => formatDuration(row.p50_seconds) },
  { key: 'p95', label: 'p95', number: true, cell: (row) => formatDuration(row.p95_seconds) },
  { key: 'cost', label: t('task.cost'), number: true, cell: (row) => formatMoney(row.cost) },
];

const errorColumns = () => [
  {
    key: 'code',
    label: t('overview.error'),
    lead: true,
    cell: (row) =>
      html`
        <strong>${valueLabel('error', row.code)}</strong> <span class="soft" lang="en">${row.message}</span>
      `,
  },
  {
    key: 'model',
    label: t('task.model'),
    cell: (row) =>
      html`<span class="name clip" title=${row.model}>
        ${row.model}
      </span>`,
  },
  { key: 'count', label: t('overview.count'), number: true, cell: (row) => formatNumber(row.count) },
  {
    key: 'last',
    label: t('overview.last'),
    cell: (row) =>
      html`<a href=${pageLink(`tasks/${row.task_id}`)}>
        <${RelativeTime} at=${row.last_at} />
      </a>`,
  },
];

const FailingWebhooks = ({ webhooks: { endpoints, worst } }) =>
  endpoints > 0 &&
  html`<p class="warning caution row apart" id="failing-webhooks">
    ${t('overview.webhooks', { n: endpoints, name: worst })}
    <a class="button small" href=${pageLink('webhooks', { tab: 'endpoints' })}>${t('open')}</a>
  </p>`;

const GettingStarted = ({ accounts }) =>
  html`<${EmptyState}
    title=${t('overview.start')}
    actions=${html`
      ${
        accounts.total > 0 &&
        html`<a class="button main" href=${pageLink('playground')}>
          ${t('overview.start_create')}
        </a>`
      }
      <a class=${classNames('button', !accounts.total && 'main')} href=${pageLink('accounts', { add: '1' })}>
        ${t('accounts.add')}
      </a>
      <a class="button" href=${pageLink('keys', { add: '1' })}>
        ${t('keys.add')}
      </a>
    `}
  >
    ${t(accounts.total ? 'overview.start_note' : 'overview.start_no_account')}
  <//>`;

export function Page() {
  const range = route.value.query.range ?? '24h';
  const loaded = useGet('overview', { range, zone });
  let reloadTimer = 0;
  useServerEvent('task', (news) => {
    if (reloadTimer || news.state === 'running') return;
    reloadTimer = setTimeout(() => {
      reloadTimer = 0;
      loaded.reload();
    }, 1500);
  });
  usePolling(loaded.reload, 15, true);
  const { data } = loaded;
  const idle =
    data &&
    data.totals.tasks === 0 &&
    data.queue.queued + data.queue.running + data.queue.storing === 0 &&
    range === '24h';
  return html`
    <${PageHeader} title=${t('page.overview')} note=${t('overview.zone', { zone })}>
      <${SegmentedControl}
        label=${t('overview.range')}
        value=${range}
        onPick=${(value) => setFilters({ range: value })}
        options=${['1h', '24h', '7d', '30d'].map((span) => [span, t(`range.${span}`)])}
      />
    <//>
    ${
      !data
        ? html`<${LoadingNotice} ...${loaded} />`
        : html`
          <${FailingWebhooks} webhooks=${data.webhooks} />
          <${ModelVerdicts} />
          <${FigureGrid} data=${data} />
          ${
            idle
              ? html`<${GettingStarted} accounts=${data.accounts} />`
              : html`
                <${TimeCharts} data=${data} />
                <div class="columns">
                  <section>
                    <h2>${t('overview.models')}</h2>
                    <${DataTable}
                      label=${t('overview.models')}
                      columns=${modelColumns()}
                      rows=${data.models}
                      id=${(row) => row.model}
                    />
                  </section>
                  <section>
                    <h2>${t('overview.errors')}</h2>
                    ${
                      data.errors.length === 0
                        ? html`<p class="soft">${t('overview.no_errors')}</p>`
                        : html`<${DataTable}
                          label=${t('overview.errors')}
                          columns=${errorColumns()}
                          rows=${data.errors}
                          id=${(row) => `${row.code}${row.model}`}
                        />`
                    }
                  </section>
                </div>
              `
          }
        `
    }
  `;
}
