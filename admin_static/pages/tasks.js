// Tasks of all keys, updated live.
import { html, classNames, useRef } from '../lib/dom.js';
import { post, downloadFile, canWrite, gatewayLink } from '../lib/api.js';
import { labelsOf, t, valueLabel } from '../lib/i18n.js';
import { route, openRow, pageLink } from '../lib/router.js';
import { useList, useGet, LoadingNotice } from '../lib/api_hooks.js';
import { useServerEvent, usePolling } from '../lib/event_stream.js';
import { formatDuration, formatMoney } from '../lib/format.js';
import { StateBadge, CopyButton, EmptyState, PageHeader, ProgressBar, RelativeTime } from '../lib/ui/elements.js';
import { DataTable, useSelection, TablePager, BulkActions } from '../lib/ui/table.js';
import { SearchField, FilterSelect, NameFilter, SuggestFilter, TimeFilter, UntilFilter } from '../lib/ui/filters.js';
import { askConfirmation, runWithToast, showToast } from '../lib/ui/dialogs.js';
import { shortenId } from '../lib/format.js';
import { waitText } from '../lib/readiness.js';
import { TaskDrawer } from './task_drawer.js';

export const OPEN = ['queued', 'submitting', 'running', 'storing'];
const STATES = [...OPEN, 'completed', 'failed', 'cancelled'];
const FILTERS = ['q', 'state', 'error', 'model', 'key', 'account', 'kind', 'dialect', 'from', 'to'];

export const TaskState = ({ task }) =>
  html`<span class="stack tight">
    ${
      task.state === 'running' || task.state === 'storing'
        ? html`<${ProgressBar} value=${task.progress ?? 0} />`
        : html`<${StateBadge}
          value=${task.cancel_requested && OPEN.includes(task.state) ? 'cancelling' : task.state}
          title=${task.error?.message}
        />`
    }
    ${
      task.state === 'queued' &&
      !task.account &&
      html`<span class=${classNames('small', task.wait ? 'bad' : 'quiet')}>${waitText(task)}</span>`
    }
    ${
      task.state === 'failed' &&
      task.error &&
      html`<span class="small soft clip why" title=${task.error.message}>${valueLabel('error', task.error.code)}</span>`
    }
    ${task.money === 'held' && html`<span class="small warn">${t('state.held')}</span>`}
    ${
      (task.deleted || task.expired) &&
      html`<span class="small quiet">${t(task.deleted ? 'task.deleted' : 'tasks.file_removed')}</span>`
    }
  </span>`;

// The codes of errors that tasks end with.
const ERRORS = labelsOf('error');

const nameCell = (text) =>
  html`<span class="name clip" title=${text}>
    ${text}
  </span>`;

// The pictures of a few films can't be made.
const hideBroken = (event) => event.target.removeAttribute('src');

const columns = () => [
  {
    key: 'prompt',
    label: t('task.prompt'),
    lead: true,
    cell: (task) =>
      html`<span class="shot-line">
        ${
          task.thumbnail
            ? html`<img class="mini" src=${gatewayLink(task.thumbnail)} alt="" loading="lazy" onError=${hideBroken} />`
            : html`<span class="mini"></span>`
        }
        <span class="prompt clip" title=${task.prompt}>
          ${task.prompt || html`<span class="quiet">${valueLabel('kind', task.kind)}</span>`}
        </span>
      </span>`,
  },
  { key: 'state', label: t('task.state'), cell: (task) => html`<${TaskState} task=${task} />` },
  { key: 'model', label: t('task.model'), cell: (task) => nameCell(task.model) },
  {
    key: 'account',
    label: t('task.account'),
    cell: (task) =>
      task.account ? nameCell(task.account.name ?? shortenId(task.account.id)) : html`<span class="quiet">–</span>`,
  },
  { key: 'key', label: t('task.key'), cell: (task) => nameCell(task.key.name ?? task.key.id) },
  { key: 'cost', label: t('task.cost'), number: true, cell: (task) => formatMoney(task.cost) },
  { key: 'seconds', label: t('task.took'), number: true, cell: (task) => formatDuration(task.seconds) },
  { key: 'created', label: t('task.created'), cell: (task) => html`<${RelativeTime} at=${task.created_at} />` },
  { key: 'id', label: t('id'), cell: (task) => html`<${CopyButton} text=${task.id} shown=${shortenId(task.id)} />` },
];

/** The list with `event` applied to its row; null when the list must be reloaded: unknown row, or changed state. */
function mergeEvent(list, news) {
  const at = list.data.findIndex((row) => row.id === news.id);
  // A task that went back to the queue has lost its account, and has a reason to wait.
  if (at < 0 || list.data[at].state !== news.state || news.state === 'queued') return null;
  const data = [...list.data];
  data[at] = { ...data[at], ...news };
  return { ...list, data };
}

function TaskFilters({ models, rows }) {
  const { account, key } = route.value.query;
  const nameIn = (field, id) => id && rows.find((task) => task[field]?.id === id)?.[field].name;
  return html`<div class="filters">
    <${SearchField} placeholder=${t('tasks.search')} />
    <${FilterSelect}
      name="state"
      all=${t('tasks.any_state')}
      options=${['open', ...STATES, 'held'].map((state) => [state, valueLabel('state', state)])}
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
    <${FilterSelect}
      name="kind"
      all=${t('tasks.any_kind')}
      options=${['video', 'image', 'audio', 'character'].map((kind) => [kind, valueLabel('kind', kind)])}
    />
    <${SuggestFilter}
      name="error"
      all=${t('tasks.any_error')}
      options=${ERRORS.map((code) => [code, valueLabel('error', code)])}
    />
    <${TimeFilter} />
    <${UntilFilter} />
  </div>`;
}

const NoTasks = ({ filtered }) =>
  filtered
    ? html`<${EmptyState}
      title=${t('nothing_matches')}
      actions=${html`<a class="button" href="#/tasks">
        ${t('filters.clear')}
      </a>`}
    />`
    : html`<${EmptyState}
      title=${t('tasks.none')}
      actions=${html`<a class="button main" href=${pageLink('playground')}>
        ${t('tasks.none_action')}
      </a>`}
    >
      ${t('tasks.none_note')}
    <//>`;

export function Page() {
  const { id, query } = route.value;
  const list = useList('tasks', FILTERS);
  const models = useGet('models');
  const { picked, pick, clearPicked } = useSelection({ shown: list.rows.map((task) => task.id) });
  const reloadTimer = useRef(0);
  useServerEvent('task', (news) => {
    const now = list.data && mergeEvent(list.data, news);
    if (now) list.set(now);
    else if (!reloadTimer.current && !query.after)
      reloadTimer.current = setTimeout(() => {
        reloadTimer.current = 0;
        list.reload();
      }, 250);
  });
  useServerEvent('hello', () => list.reload());
  useServerEvent('accounts', () => list.rows.some((row) => row.state === 'queued') && list.reload());
  usePolling(list.reload, 4);

  const cancelPicked = async () => {
    if (
      !(await askConfirmation({
        title: t('tasks.cancel_many', { n: picked.size }),
        text: t('tasks.cancel_note'),
        action: t('task.cancel'),
      }))
    )
      return;
    await runWithToast(
      () => post('tasks/cancel', { ids: [...picked] }),
      (done) => t('tasks.cancelled_many', { n: done.cancelled }),
    );
    clearPicked();
    list.reload();
  };
  const retryPicked = async () => {
    const ended = list.rows.filter((task) => picked.has(task.id) && !OPEN.includes(task.state));
    const names = ended.map((task) => task.prompt || shortenId(task.id));
    const question = { title: t('tasks.retry_many', { n: ended.length }), text: t('task.retry_note'), names };
    if (!(await askConfirmation({ ...question, action: t('task.retry'), danger: false }))) return;
    let made = 0;
    for (const task of ended) if (await runWithToast(() => post(`tasks/${task.id}/retry`))) made += 1;
    showToast(t('tasks.retried_many', { n: made }));
    clearPicked();
    list.reload();
  };
  const wanted = Object.fromEntries(FILTERS.map((filter) => [filter, query[filter]]));
  const downloadCsv = async () => {
    if (await runWithToast(() => downloadFile('tasks.csv', wanted, 'tasks.csv').then(() => true)))
      showToast(t('exported'));
  };

  return html`
    <${PageHeader} title=${t('page.tasks')}>
      <button type="button" class="button" onClick=${downloadCsv}>
        ${t('export_csv')}
      </button>
    <//>
    <${TaskFilters} models=${models} rows=${list.rows} />
    ${
      !list.data
        ? html`<${LoadingNotice} ...${list} />`
        : list.rows.length === 0
          ? html`<${NoTasks} filtered=${list.filtered} />`
          : html`
            <${DataTable}
              label=${t('page.tasks')}
              columns=${columns()}
              rows=${list.rows}
              busy=${list.busy && Boolean(query.after)}
              chosen=${id}
              onOpen=${(task) => openRow(task.id)}
              picked=${canWrite() ? picked : undefined}
              onPick=${pick}
            />
            <${TablePager} shown=${list.rows.length} onBack=${list.back} onNext=${list.next} />
          `
    }
    <${BulkActions} picked=${picked} onClear=${clearPicked}>
      <button type="button" class="button small" onClick=${cancelPicked}>
        ${t('task.cancel')}
      </button>
      <button type="button" class="button small" onClick=${retryPicked}>
        ${t('task.retry')}
      </button>
    <//>
    ${id && html`<${TaskDrawer} key=${id} id=${id} onClose=${() => openRow('')} onChange=${list.reload} />`}
  `;
}
