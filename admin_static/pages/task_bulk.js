// What can be done with several tasks at once: their films, a CSV, side by side, again, cancel, delete.
import { html } from '../lib/dom.js';
import { apiUrl, canWrite, downloadFile, get, post, remove } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { pageLink } from '../lib/router.js';
import { formatMoney, shortenId } from '../lib/format.js';
import { BulkActions } from '../lib/ui/table.js';
import { askConfirmation, runWithToast, showToast } from '../lib/ui/dialogs.js';
import { OPEN } from './task_list.js';

export const MOST_COMPARED = 4;

const namesOf = (tasks) => tasks.map((task) => task.prompt || shortenId(task.id));

/** "About $3.20, and 2 films without a price." */
export const priceText = ({ price, unpriced }, n) =>
  [
    (Number(price) > 0 || unpriced < n) && t('tasks.retry_price', { amount: formatMoney(price) }),
    unpriced > 0 && (n === 1 ? t('playground.unpriced') : t('tasks.retry_unpriced', { n: unpriced })),
  ]
    .filter(Boolean)
    .join(' ');

/** One request after the other; says how many were done. Those that fail say why. */
async function runEach(tasks, work, done) {
  let count = 0;
  for (const task of tasks) if (await runWithToast(() => work(task).then(() => true))) count += 1;
  showToast(t(done, { n: count }));
}

async function cancelAll(tasks) {
  const question = { title: t('tasks.cancel_many', { n: tasks.length }), text: t('tasks.cancel_note') };
  if (!(await askConfirmation({ ...question, action: t('task.cancel') }))) return false;
  return runWithToast(
    () => post('tasks/cancel', { ids: tasks.map((task) => task.id) }),
    (done) => t('tasks.cancelled_many', { n: done.cancelled }),
  );
}

async function repeatAll(tasks) {
  const price = await runWithToast(() => get('tasks/retry-price', { ids: tasks.map((task) => task.id).join(',') }));
  if (!price) return false;
  const text = `${t('task.retry_note')} ${priceText(price, tasks.length)}`;
  const question = { title: t('tasks.retry_many', { n: tasks.length }), text, names: namesOf(tasks) };
  if (!(await askConfirmation({ ...question, action: t('task.retry'), danger: false }))) return false;
  await runEach(tasks, (task) => post(`tasks/${task.id}/retry`), 'tasks.retried_many');
  return true;
}

async function deleteAll(tasks) {
  const question = { title: t('tasks.delete_many', { n: tasks.length }), text: t('tasks.delete_note') };
  if (!(await askConfirmation({ ...question, names: namesOf(tasks), action: t('delete') }))) return false;
  await runEach(tasks, (task) => remove(`tasks/${task.id}`), 'tasks.deleted_many');
  return true;
}

/** `rows` are what is shown, `picked` the ids of some of them. */
export function TaskBulk({ rows, picked, onClear, reload }) {
  const tasks = rows.filter((task) => picked.has(task.id));
  const ids = tasks.map((task) => task.id).join(',');
  const ended = tasks.filter((task) => !OPEN.includes(task.state));
  const button = (label, act, among = tasks) =>
    among.length > 0 &&
    html`<button
      type="button"
      class="button small"
      onClick=${async () => {
        if (!(await act(among))) return;
        onClear();
        reload();
      }}
    >
      ${label}
    </button>`;
  const writeCsv = async () => {
    if (await runWithToast(() => downloadFile('tasks.csv', { ids }, 'tasks.csv').then(() => true)))
      showToast(t('exported'));
  };
  return html`<${BulkActions} picked=${picked} onClear=${onClear}>
    ${
      tasks.some((task) => task.link) &&
      html`<a class="button small" href=${apiUrl('tasks.zip', { ids })} download>${t('download')}</a>`
    }
    ${button('CSV', writeCsv)}
    ${
      tasks.length > 1 &&
      tasks.length <= MOST_COMPARED &&
      html`<a class="button small" href=${pageLink('compare', { ids })}>${t('compare.beside')}</a>`
    }
    ${
      canWrite() &&
      html`
        ${button(
          t('task.cancel'),
          cancelAll,
          tasks.filter((task) => OPEN.includes(task.state)),
        )}
        ${button(t('task.retry'), repeatAll, ended)} ${button(t('delete'), deleteAll)}
      `
    }
  <//>`;
}
