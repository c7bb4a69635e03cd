// What the pages of tasks and of films share: the list that is updated live, its filters, and how many match.
import { html, useRef } from '../lib/dom.js';
import { labelsOf, t, valueLabel } from '../lib/i18n.js';
import { route } from '../lib/router.js';
import { useGet, useList } from '../lib/api_hooks.js';
import { useServerEvent, usePolling } from '../lib/event_stream.js';
import { formatNumber } from '../lib/format.js';
import { SearchField, FilterSelect, NameFilter, SuggestFilter, TimeFilter, UntilFilter } from '../lib/ui/filters.js';

export const OPEN = ['queued', 'submitting', 'running', 'storing'];
const ERRORS = labelsOf('error'); // the codes that tasks end with
const COUNT_SECONDS = 30;

/** The list with `news` applied to its row; null when the list must be reloaded: unknown row, or changed state. */
function mergeEvent(list, news) {
  const at = list.data.findIndex((row) => row.id === news.id);
  // A task that went back to the queue has lost its account, and has a reason to wait.
  if (at < 0 || list.data[at].state !== news.state || news.state === 'queued') return null;
  const data = [...list.data];
  data[at] = { ...data[at], ...news };
  return { ...list, data };
}

/** useList for `tasks`, kept up to date by the event stream; `total` is { count, exact } or null. */
export function useTaskList(names, { fixed = {}, limit } = {}) {
  const { query } = route.value;
  const list = useList('tasks', names, { fixed, limit });
  const wanted = { ...fixed, ...Object.fromEntries(names.map((name) => [name, query[name]])) };
  const counted = useGet('tasks/count', wanted);
  usePolling(counted.reload, COUNT_SECONDS, true);
  const timer = useRef(0);
  useServerEvent('task', (news) => {
    const now = list.data && mergeEvent(list.data, news);
    if (now) list.set(now);
    else if (!timer.current && !query.after)
      timer.current = setTimeout(() => {
        timer.current = 0;
        list.reload();
      }, 250);
  });
  useServerEvent('hello', () => list.reload());
  useServerEvent('accounts', () => list.rows.some((row) => row.state === 'queued') && list.reload());
  usePolling(list.reload, 4);
  return { ...list, wanted, total: counted.data };
}

/** "1,234 in total", or "at least 10,000 in total". */
export const TotalText = ({ total, shown }) =>
  total
    ? html`<span id="total">
      ${t(total.exact ? 'tasks.total' : 'tasks.total_at_least', { shown, n: formatNumber(total.count) })}
    </span>`
    : t('rows', { n: shown });

/** `states` are the values of the filter by state; `only` the names of the filters that are shown. */
export function TaskFilters({ rows, states, only }) {
  const models = useGet('models');
  const { account, key } = route.value.query;
  const nameIn = (field, id) => id && rows.find((task) => task[field]?.id === id)?.[field].name;
  const has = (name) => only.includes(name);
  return html`<div class="filters">
    <${SearchField} placeholder=${t('tasks.search')} />
    <${FilterSelect}
      name="state"
      all=${t('tasks.any_state')}
      options=${states.map((state) => [state, valueLabel('state', state)])}
    />
    <${SuggestFilter}
      name="model"
      all=${t('tasks.any_model')}
      options=${(models.data?.data ?? []).map((model) => [model.name])}
    />
    <${NameFilter}
      path="accounts"
      name="account"
      all=${t('tasks.any_account')}
      chosenName=${nameIn('account', account)}
    />
    <${NameFilter} path="keys" name="key" all=${t('tasks.any_key')} chosenName=${nameIn('key', key)} />
    ${
      has('kind') &&
      html`<${FilterSelect}
        name="kind"
        all=${t('tasks.any_kind')}
        options=${['video', 'image', 'audio', 'character'].map((kind) => [kind, valueLabel('kind', kind)])}
      />`
    }
    ${
      has('error') &&
      html`<${SuggestFilter}
        name="error"
        all=${t('tasks.any_error')}
        options=${ERRORS.map((code) => [code, valueLabel('error', code)])}
      />`
    }
    <${TimeFilter} />
    <${UntilFilter} />
  </div>`;
}
