// The table of all pages: columns, rows that open a drawer, row selection, pager. Narrow screens show it as a list.
import { html, classNames, useState } from '../dom.js';
import { t } from '../i18n.js';
import { Icon } from './icons.js';

const isControl = (event) => event.target.closest('button, a, input, select, label, .menu');

/**
 * `columns`: { key, label, cell(row), number?, lead?, wide?, acts? }. The `lead` column comes first on narrow screens.
 * `picked`: a Set of ids, with `onPick(ids, all)`; leave both out for a table without checkboxes.
 */
export function DataTable({ columns, rows, id = (row) => row.id, onOpen, picked, onPick, chosen, busy, label }) {
  const all = picked && rows.length > 0 && rows.every((row) => picked.has(id(row)));
  const openOnClick = (row) => (event) => {
    if (onOpen && !isControl(event)) onOpen(row);
  };
  const openOnEnter = (row) => (event) => {
    if (onOpen && event.key === 'Enter' && event.target === event.currentTarget) onOpen(row);
  };
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
              html`<th key=${column.key} class=${column.number && 'number'} scope="col">
                ${column.acts ? html`<span class="hidden-text">${t('actions')}</span>` : column.label}
              </th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
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
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** The selected rows of a table: { picked, pick, clearPicked } for `picked` and `onPick` of a DataTable. */
export function useSelection() {
  const [picked, setPicked] = useState(new Set());
  const pick = (ids, all) =>
    setPicked((old) => {
      if (all) return new Set(ids);
      const next = new Set(old);
      for (const id of ids) if (!next.delete(id)) next.add(id);
      return next;
    });
  return { picked, pick, clearPicked: () => setPicked(new Set()) };
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
        ${t('clear')}
      </button>
    </div>`;
