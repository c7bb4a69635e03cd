// Usage: bars by day and a table, by model, key, account, provider or day, in the operator's time zone.
import { html, useMemo, useState } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { goTo, route, setFilters, pageLink } from '../lib/router.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { currency, formatDuration, formatMoney, formatNumber } from '../lib/format.js';
import { zone } from '../lib/zone.js';
import { EmptyState, SegmentedControl } from '../lib/ui/elements.js';
import { DataTable, NumberPager, useSorting } from '../lib/ui/table.js';
import { FilterSelect, NameFilter, SuggestFilter } from '../lib/ui/filters.js';
import { DateSpan, spanOf } from '../lib/ui/date_span.js';
import { StackedBars } from '../lib/ui/stacked_bars.js';
import { KeyStatement } from './key_statement.js';

const GROUPS = ['model', 'key', 'account', 'provider', 'day'];
const MEASURES = ['cost', 'films', 'film_seconds', 'requests'];
const LIMIT = 100;

/** What the report and its export ask for, out of the address. */
export const usageQuery = (query) => ({
  group: query.group ?? 'model',
  zone,
  ...spanOf(query),
  ...Object.fromEntries(['key', 'model', 'account', 'provider'].map((name) => [name, query[name]])),
});

const number = (value) => (value ? formatNumber(value) : html`<span class="quiet">0</span>`);

/** What a vendor charges, as far as its list price is known. */
function VendorCost({ row }) {
  if (row.vendor_cost == null) return html`<span class="quiet" title=${t('usage.no_price')}>–</span>`;
  if (!row.unknown_costs) return formatMoney(row.vendor_cost);
  return html`<span title=${t('usage.some_prices', { n: row.unknown_costs })}>≥ ${formatMoney(row.vendor_cost)}</span>`;
}

const nameCell = (group) => (row) => {
  if (row.group === '∑') return html`<strong>${row.name}</strong>`;
  if (!row.name) return html`<span class="quiet">–</span>`;
  if (!['model', 'key', 'account'].includes(group)) return row.name;
  return html`<a href=${pageLink('tasks', { [group]: row.group })}>${row.name}</a>`;
};

const columns = (group) => [
  { key: 'name', sort: 'name', label: t(`usage.${group}`), lead: true, cell: nameCell(group) },
  { key: 'films', sort: 'films', label: t('usage.films'), number: true, cell: (row) => number(row.films) },
  {
    key: 'seconds',
    sort: 'film_seconds',
    label: t('usage.film_seconds'),
    number: true,
    cell: (row) => (row.film_seconds ? formatNumber(row.film_seconds, 1) : number(0)),
  },
  {
    key: 'tokens',
    sort: 'tokens',
    label: t('usage.tokens'),
    number: true,
    cell: (row) =>
      row.input_tokens + row.output_tokens
        ? `${formatNumber(row.input_tokens)} / ${formatNumber(row.output_tokens)}`
        : number(0),
  },
  { key: 'requests', sort: 'requests', label: t('usage.requests'), number: true, cell: (row) => number(row.requests) },
  { key: 'errors', sort: 'errors', label: t('logs.errors'), number: true, cell: (row) => number(row.errors) },
  { key: 'sale', sort: 'cost', label: t('usage.sale'), number: true, cell: (row) => formatMoney(row.cost) },
  {
    key: 'vendor',
    sort: 'vendor_cost',
    label: t('usage.vendor_cost'),
    number: true,
    cell: (row) => html`<${VendorCost} row=${row} />`,
  },
  {
    key: 'margin',
    sort: 'margin',
    label: t('usage.margin'),
    number: true,
    cell: (row) => (row.margin == null ? html`<span class="quiet">–</span>` : formatMoney(row.margin)),
  },
];

const SHOWN = {
  cost: formatMoney,
  films: formatNumber,
  film_seconds: (value) => formatDuration(value),
  requests: formatNumber,
};

function UsageChart({ data, measure }) {
  const bands = useMemo(
    () =>
      data.bands.map((band) => ({
        name: band.name || t(data.bands.length > 1 ? 'usage.others' : 'usage.total'),
        values: band[measure].map(Number),
      })),
    [data, measure],
  );
  return html`<section>
    <div class="row apart">
      <h2>${t('usage.by_day')}</h2>
      <${SegmentedControl}
        label=${t('usage.measure')}
        value=${measure}
        onPick=${(value) => setFilters({ measure: value })}
        options=${MEASURES.map((name) => [name, t(`usage.measure.${name}`)])}
      />
    </div>
    <${StackedBars} days=${data.days} bands=${bands} show=${SHOWN[measure]} label=${t('usage.by_day')} />
  </section>`;
}

function UsageFilters({ query }) {
  const models = useGet('models');
  const providers = useGet('providers');
  return html`<div class="filters">
    <${DateSpan} span=${spanOf(query)} onChange=${(span) => setFilters({ ...span, after: '' })} />
    <${NameFilter} path="keys" name="key" all=${t('tasks.any_key')} />
    <${SuggestFilter}
      name="model"
      all=${t('tasks.any_model')}
      options=${(models.data?.data ?? []).map((model) => [model.name])}
    />
    <${NameFilter} path="accounts" name="account" all=${t('tasks.any_account')} />
    <${FilterSelect}
      name="provider"
      all=${t('usage.any_provider')}
      options=${(providers.data?.data ?? []).map((each) => [each.name, each.title])}
    />
  </div>`;
}

/** Where a day of the report begins, in UTC seconds; `further`: so many days later. */
function startOfDay(day, inZone, further = 0) {
  const at = new Date(inZone === zone ? `${day}T00:00` : `${day}T00:00Z`);
  at.setDate(at.getDate() + further);
  return at.getTime() / 1000;
}

/** Opens the requests that a row of the report sums up; a vendor's row opens its accounts. */
function openRow(row, asked, data) {
  const { group } = asked;
  if (group === 'provider' && row.group !== '∑') return goTo('accounts', { provider: row.group });
  const filters = Object.fromEntries(['key', 'model', 'account'].map((name) => [name, asked[name]]));
  const ofDay = group === 'day' && row.group !== '∑';
  if (!ofDay && row.group !== '∑') filters[group] = row.group;
  const span = ofDay
    ? { from: startOfDay(row.group, data.zone), to: startOfDay(row.group, data.zone, 1) }
    : { from: data.from, to: data.to };
  return goTo('logs', { ...filters, ...span });
}

export function UsageReport() {
  const { query } = route.value;
  const asked = usageQuery(query);
  const sorting = useSorting();
  const loaded = useGet('usage', {
    ...asked,
    sort: sorting.by || undefined,
    descending: sorting.descending || undefined,
    limit: LIMIT,
    after: query.after,
  });
  const { data } = loaded;
  const rows = data?.data ?? [];
  const noted = { zone: data?.zone, currency: currency.value };
  const [statement, showStatement] = useState(false);
  const total = data && { ...data.total, group: '∑', name: t('usage.total') };
  return html`
    <${UsageFilters} query=${query} />
    <div class="row apart">
      <${SegmentedControl}
        label=${t('usage.group')}
        value=${asked.group}
        onPick=${(value) => setFilters({ group: value, sort: '', descending: '', after: '' })}
        options=${GROUPS.map((name) => [name, t(`usage.${name}`)])}
      />
      ${
        query.key &&
        html`<button type="button" class="button" onClick=${() => showStatement(true)}>${t('statement.title')}</button>`
      }
    </div>
    ${
      statement &&
      html`<${KeyStatement}
        clientKey=${{ id: query.key }}
        days=${spanOf(query)}
        onClose=${() => showStatement(false)}
      />`
    }
    ${
      !data || loaded.error
        ? html`<${LoadingNotice} ...${loaded} />`
        : rows.length === 0
          ? html`<${EmptyState}
            title=${t('usage.none')}
            actions=${html`<a class="button main" href=${pageLink('playground')}>
              ${t('overview.start_create')}
            </a>`}
          />`
          : html`
            <${UsageChart} data=${data} measure=${query.measure ?? 'cost'} />
            <p class="soft small">
              ${t(data.zone === zone ? 'usage.zone_note' : 'usage.utc_note', noted)}${' '}
              ${t('usage.cost_note')}
            </p>
            <${DataTable}
              label=${t('logs.tab.usage')}
              columns=${columns(asked.group)}
              rows=${[...rows, total]}
              id=${(row) => row.group}
              onOpen=${(row) => openRow(row, asked, data)}
              sorting=${sorting}
              busy=${loaded.busy}
            />
            <${NumberPager} total=${data.count} limit=${LIMIT} shown=${rows.length} />
          `
    }
  `;
}
