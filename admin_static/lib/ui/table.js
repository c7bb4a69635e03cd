// The table of all pages: columns, rows that open a drawer, row selection, pager. Narrow screens show it as a list.
import { html, classNames, useState } from '../dom.js';
import { t } from '../i18n.js';
import { route, setFilters } from '../router.js';
import { Icon } from './icons.js';

const isControl = (event) => event.target.closest('button, a, input, select, label, .menu');

/** The heading of one column: a button where the table can be sorted by it. */
function ColumnHeading({ column, sorting }) {
  if (column.acts) return html`<span class="hidden-text">${t('actions')}</span>`;
  if (!sorting || !column.sort) return column.label;
  const active = sorting.by === column.sort;
  return html`<button type="button" onClick=${() => sorting.change(column.sort)}>
    ${column.label} <span class="sort-mark" aria-hidden="true">${active ? (sorting.descending ? '↓' : '↑') : ''}</span>
  </button>`;
}

const sortState = (column, sorting) =>
  sorting && column.sort === sorting.by ? (sorting.descending ? 'descending' : 'ascending') : undefined;

/** Rows with a heading before the first one of each group. */
const withGroups = (rows, groups) =>
  rows.flatMap((row, at) => {
    const group = groups.of(row);
    return at === 0 || groups.of(rows[at - 1]) !== group ? [{ group }, { row }] : [{ row }];
  });

/**
 * `columns`: { key, label, cell(row), number?, lead?, wide?, acts?, sort? }. The `lead` column comes first on narrow
 * screens; `sort` is the server's name for the order by this column, with `sorting` of useSorting.
 * `picked`: a Set of ids, with `onPick(ids, all)`; leave both out for a table without checkboxes.
 * `groups`: { of(row), heading(group) } for rows that the server has sorted by their group.
 */
export function DataTable({
  columns,
  rows,
  id = (row) => row.id,
  onOpen,
  picked,
  onPick,
  chosen,
  busy,
  label,
  sorting,
  groups,
}) {
  const all = picked && rows.length > 0 && rows.every((row) => picked.has(id(row)));
  const openOnClick = (row) => (event) => {
    if (onOpen && !isControl(event)) onOpen(row);
  };
  const openOnEnter = (row) => (event) => {
    if (onOpen && event.key === 'Enter' && event.target === event.currentTarget) onOpen(row);
  };
  const groupRow = (group) =>
    html`<tr class="group" key=${`group ${group}`}>
      <th colspan=${columns.length + (picked ? 1 : 0)} scope="rowgroup">${groups.heading(group)}</th>
    </tr>`;
  const tableRow = (row) =>
    html`<tr
      key=${id(row)}
      data-id=${id(row)}
      class=${classNames(onOpen && 'opens', (chosen === id(row) || picked?.has(id(row))) && 'chosen')}
      tabindex=${onOpen ? 0 : undefined}
      onClick=${openOnClick(row)}
      onKeyDown=${openOnEnter(row)}
    >
      ${
        picked &&
        html`<td class="pick">
          <input
            type="checkbox"
            checked=${picked.has(id(row))}
            aria-label=${t('pick')}
            onChange=${() => onPick([id(row)], false)}
          />
        </td>`
      }
      ${columns.map(
        (column) =>
          html`<td
            key=${column.key}
            data-label=${column.label}
            class=${classNames(
              column.number && 'number',
              column.lead && 'lead',
              column.lead && picked && 'picked',
              column.wide && 'wide-cell',
              column.acts && 'acts',
            )}
          >
            ${column.cell(row)}
          </td>`,
      )}
    </tr>`;
  return html`<div class=${classNames('table-box', busy && 'loading')}>
    <table class="data folds" aria-label=${label} aria-busy=${Boolean(busy)}>
      <thead>
        <tr>
          ${
            picked &&
            html`<th class="pick">
              <input
                type="checkbox"
                checked=${all}
                aria-label=${t('pick.all')}
                onChange=${() => onPick(all ? [] : rows.map(id), true)}
              />
            </th>`
          }
          ${columns.map(
            (column) =>
              html`<th
                key=${column.key}
                class=${column.number && 'number'}
                scope="col"
                aria-sort=${sortState(column, sorting)}
              >
                <${ColumnHeading} column=${column} sorting=${sorting} />
              </th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${(groups ? withGroups(rows, groups) : rows.map((row) => ({ row }))).map(({ group, row }) =>
          row ? tableRow(row) : groupRow(group),
        )}
      </tbody>
    </table>
  </div>`;
}

/**
 * The selected rows of a table, for `picked` and `onPick` of a DataTable: only rows that are shown, or exactly the ids
 * that `pickAll` is given. A change of `scope`, the filters, drops the selection.
 */
export function useSelection({ shown = [], scope = '' } = {}) {
  const [state, setState] = useState({ ids: new Set(), scope, whole: false });
  const current = state.scope === scope ? state.ids : new Set();
  const visible = new Set(shown);
  const whole = state.whole && current.size > 0;
  const picked = whole ? current : new Set([...current].filter((id) => visible.has(id)));
  const pick = (ids, all) => {
    const next = new Set(all ? ids : picked);
    if (!all) for (const id of ids) if (!next.delete(id)) next.add(id);
    setState({ ids: next, scope, whole: false });
  };
  return {
    picked,
    pick,
    whole,
    pickAll: (ids) => setState({ ids: new Set(ids), scope, whole: true }),
    clearPicked: () => setState({ ids: new Set(), scope, whole: false }),
  };
}

/** The order of a table, kept in the address as `sort` and `descending`. A third click on a heading ends it. */
export function useSorting() {
  const { sort = '', descending } = route.value.query;
  const change = (by) => {
    if (by !== sort) setFilters({ sort: by, descending: '', after: '' });
    else if (!descending) setFilters({ descending: '1', after: '' });
    else setFilters({ sort: '', descending: '', after: '' });
  };
  return { by: sort, descending: Boolean(descending), change };
}

/** Pages by number: `after` of the address is the number of rows before the page. */
export function NumberPager({ total, limit, shown }) {
  const after = Number(route.value.query.after || 0);
  if (total <= limit && after === 0) return html`<p class="quiet small">${t('rows', { n: total })}</p>`;
  const go = (to) => () => setFilters({ after: to > 0 ? to : '' });
  return html`<nav class="pager" aria-label=${t('pages')}>
    <span class="grow">${t('pager.range', { from: after + 1, to: after + shown, total })}</span>
    <button type="button" class="button small" disabled=${after === 0} onClick=${go(Math.max(0, after - limit))}>
      <${Icon} name="left" />
      ${t('pager.previous')}
    </button>
    <button type="button" class="button small" disabled=${after + shown >= total} onClick=${go(after + limit)}>
      ${t('pager.next')}
      <${Icon} name="right" />
    </button>
  </nav>`;
}

/** Cursor pagination: forward by the server's cursor, back by the cursors seen so far. */
export const TablePager = ({ shown, onBack, onNext, children }) =>
  html`<nav class="pager" aria-label=${t('pages')}>
    <span class="grow">${children ?? t('rows', { n: shown })}</span>
    <button type="button" class="button small" disabled=${!onBack} onClick=${onBack}>
      <${Icon} name="left" />
      ${t('newer')}
    </button>
    <button type="button" class="button small" disabled=${!onNext} onClick=${onNext}>
      ${t('older')}
      <${Icon} name="right" />
    </button>
  </nav>`;

/** Actions for the selected rows. */
export const BulkActions = ({ picked, onClear, children }) =>
  picked.size === 0
    ? null
    : html`<div class="bulk" role="toolbar">
      <strong>${t('picked', { n: picked.size })}</strong>
      ${children}
      <button type="button" class="button small" onClick=${onClear}>
        ${t('pick.none')}
      </button>
    </div>`;
