// Tasks of all keys, updated live.
import { html, classNames } from '../lib/dom.js';
import { downloadFile, gatewayLink } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { route, openRow, pageLink } from '../lib/router.js';
import { LoadingNotice } from '../lib/api_hooks.js';
import { plainWordsFor } from '../lib/server_words.js';
import { formatDuration, formatMoney, shortenId } from '../lib/format.js';
import { StateBadge, CopyButton, EmptyState, PageHeader, ProgressBar, RelativeTime } from '../lib/ui/elements.js';
import { DataTable, useSelection, TablePager } from '../lib/ui/table.js';
import { Still } from '../lib/ui/still.js';
import { runWithToast, showToast } from '../lib/ui/dialogs.js';
import { waitText } from '../lib/readiness.js';
import { OPEN, TaskFilters, TotalText, useTaskList } from './task_list.js';
import { TaskBulk } from './task_bulk.js';
import { TaskDrawer } from './task_drawer.js';

const STATES = [...OPEN, 'completed', 'failed', 'cancelled'];
const FILTERS = ['q', 'state', 'error', 'model', 'key', 'account', 'kind', 'dialect', 'from', 'to'];

const errorTitle = ({ error }) => error && plainWordsFor(valueLabel('error', error.code), error.message);

export const TaskState = ({ task }) =>
  html`<span class="stack tight">
    ${
      task.state === 'running' || task.state === 'storing'
        ? html`<${ProgressBar} value=${task.progress ?? 0} />`
        : html`<${StateBadge}
          value=${task.cancel_requested && OPEN.includes(task.state) ? 'cancelling' : task.state}
          title=${errorTitle(task)}
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
      html`<span class="small soft clip why" title=${errorTitle(task)}>${valueLabel('error', task.error.code)}</span>`
    }
    ${task.money === 'held' && html`<span class="small warn">${t('state.held')}</span>`}
    ${
      (task.deleted || task.expired) &&
      html`<span class="small quiet">${t(task.deleted ? 'task.deleted' : 'tasks.file_removed')}</span>`
    }
  </span>`;

const nameCell = (text) =>
  html`<span class="name clip" title=${text}>
    ${text}
  </span>`;

const columns = () => [
  {
    key: 'prompt',
    label: t('task.prompt'),
    lead: true,
    cell: (task) =>
      html`<span class="shot-line">
        ${
          task.thumbnail
            ? html`<${Still} class="mini" src=${gatewayLink(task.thumbnail)} />`
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
  const list = useTaskList(FILTERS);
  const { picked, pick, clearPicked } = useSelection({ shown: list.rows.map((task) => task.id) });
  const downloadCsv = async () => {
    if (await runWithToast(() => downloadFile('tasks.csv', list.wanted, 'tasks.csv').then(() => true)))
      showToast(t('exported'));
  };
  return html`
    <${PageHeader} title=${t('page.tasks')}>
      <button type="button" class="button" onClick=${downloadCsv}>
        ${t('export_csv')}
      </button>
    <//>
    <${TaskFilters} rows=${list.rows} states=${['open', ...STATES, 'held']} only=${FILTERS} />
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
              picked=${picked}
              onPick=${pick}
            />
            <${TablePager} onBack=${list.back} onNext=${list.next}>
              <${TotalText} total=${list.total} shown=${list.rows.length} />
            <//>
          `
    }
    <${TaskBulk} rows=${list.rows} picked=${picked} onClear=${clearPicked} reload=${list.reload} />
    ${id && html`<${TaskDrawer} key=${id} id=${id} onClose=${() => openRow('')} onChange=${list.reload} />`}
  `;
}
