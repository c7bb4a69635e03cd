// The contact sheet: films as a grid, found by key, model, account, state, time and words of the prompt.
import { html, useState } from '../lib/dom.js';
import { canWrite, gatewayLink, post, remove } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { openRow, pageLink, route } from '../lib/router.js';
import { LoadingNotice } from '../lib/api_hooks.js';
import { EmptyState, PageHeader } from '../lib/ui/elements.js';
import { TablePager, useSelection } from '../lib/ui/table.js';
import { askConfirmation, runWithToast } from '../lib/ui/dialogs.js';
import { CompareForm, takesOf } from './compare_form.js';
import { AgainForm, askPrice } from './again_form.js';
import { FilmTile } from './film_tile.js';
import { OPEN, TaskFilters, TotalText, useTaskList } from './task_list.js';
import { TaskBulk } from './task_bulk.js';
import { TaskDrawer } from './task_drawer.js';

const FILTERS = ['q', 'state', 'model', 'key', 'account', 'from', 'to'];
const PAGE = 48;

const NoFilms = ({ filtered }) =>
  filtered
    ? html`<${EmptyState}
      title=${t('nothing_matches')}
      actions=${html`<a class="button" href="#/films">
        ${t('filters.clear')}
      </a>`}
    />`
    : html`<${EmptyState}
      title=${t('films.none')}
      actions=${html`<a class="button main" href=${pageLink('playground')}>
        ${t('tasks.none_action')}
      </a>`}
    >
      ${t('films.none_note')}
    <//>`;

function downloadOne(task) {
  const link = document.createElement('a');
  link.href = gatewayLink(task.link);
  link.download = `${task.id}-${task.link.split('?')[0].split('/').at(-1)}`;
  link.click();
}

export function Page() {
  const { id, query } = route.value;
  const list = useTaskList(FILTERS, { fixed: { films: true }, limit: PAGE });
  const { picked, pick, clearPicked } = useSelection({ shown: list.rows.map((task) => task.id) });
  const [form, setForm] = useState(null);
  const close = () => setForm(null);
  const repeat = async (task) => {
    if (!(await askPrice(task))) return;
    await runWithToast(() => post(`tasks/${task.id}/retry`), t('task.retried'));
    list.reload();
  };
  const deleteOne = async (task) => {
    if (!(await askConfirmation({ title: t('task.delete'), text: t('task.delete_note'), action: t('delete') }))) return;
    await runWithToast(() => remove(`tasks/${task.id}`).then(() => true), t('task.deleted_now'));
    list.reload();
  };
  const menu = (task) => [
    [t('open'), () => openRow(task.id)],
    task.link && [t('download'), () => downloadOne(task)],
    ...(canWrite()
      ? [
          null,
          !OPEN.includes(task.state) && [t('task.retry'), () => repeat(task)],
          [
            t('again.elsewhere'),
            () => setForm(html`<${AgainForm} task=${task} onClose=${close} onDone=${list.reload} />`),
          ],
          [t('compare.start'), () => setForm(html`<${CompareForm} source=${takesOf(task)} onClose=${close} />`)],
          null,
          [t('delete'), () => deleteOne(task), 'bad'],
        ]
      : []),
  ];
  return html`
    <${PageHeader} title=${t('page.films')} />
    <${TaskFilters} rows=${list.rows} states=${['completed', 'failed', 'open']} only=${FILTERS} />
    ${
      !list.data
        ? html`<${LoadingNotice} ...${list} />`
        : list.rows.length === 0
          ? html`<${NoFilms} filtered=${list.filtered} />`
          : html`
            <ul class=${list.busy && query.after ? 'sheet loading' : 'sheet'} aria-label=${t('page.films')}>
              ${list.rows.map(
                (task) =>
                  html`<${FilmTile}
                    key=${task.id}
                    task=${task}
                    picked=${picked.has(task.id)}
                    onPick=${pick}
                    onOpen=${() => openRow(task.id)}
                    menu=${menu(task)}
                  />`,
              )}
            </ul>
            <${TablePager} onBack=${list.back} onNext=${list.next}>
              <${TotalText} total=${list.total} shown=${list.rows.length} />
            <//>
          `
    }
    <${TaskBulk} rows=${list.rows} picked=${picked} onClear=${clearPicked} reload=${list.reload} />
    ${form}
    ${id && html`<${TaskDrawer} key=${id} id=${id} onClose=${() => openRow('')} onChange=${list.reload} />`}
  `;
}
