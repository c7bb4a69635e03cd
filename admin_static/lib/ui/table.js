// The one table: columns, rows that open, rows that are picked, a pager; on a phone it folds into a list.
import { html, classes } from '../dom.js';
import { t } from '../i18n.js';
import { Icon } from './icons.js';

const inert = (event) => event.target.closest('button, a, input, select, label, .menu');

/**
 * `columns`: { key, label, cell(row), number?, lead?, wide?, acts? }. `lead` is the line that stays on top on a phone.
 * `picked`: a Set with `onPick(id)`; leave out for a table without boxes.
 */
export function Table({ columns, rows, id = (row) => row.id, onOpen, picked, onPick, chosen, busy, label }) {
  const all = picked && rows.length > 0 && rows.every((row) => picked.has(id(row)));
  const press = (row) => (event) => { if (onOpen && !inert(event)) onOpen(row); };
  const enter = (row) => (event) => {
    if (onOpen && event.key === 'Enter' && event.target === event.currentTarget) onOpen(row);
  };
  return html`<div class=${classes('table-box', busy && 'loading')}>
    <table class="data folds" aria-label=${label} aria-busy=${Boolean(busy)}>
      <thead><tr>
        ${picked && html`<th class="pick"><input type="checkbox" checked=${all} aria-label=${t('pick.all')}
          onChange=${() => onPick(all ? [] : rows.map(id), true)} /></th>`}
        ${columns.map((column) => html`<th key=${column.key} class=${column.number && 'number'} scope="col">
          ${column.acts ? html`<span class="hidden-text">${t('actions')}</span>` : column.label}</th>`)}
      </tr></thead>
      <tbody>${rows.map((row) => html`
        <tr key=${id(row)} data-id=${id(row)} class=${classes(onOpen && 'opens', (chosen === id(row) || picked?.has(id(row))) && 'chosen')}
            tabindex=${onOpen ? 0 : undefined} onClick=${press(row)} onKeyDown=${enter(row)}>
          ${picked && html`<td class="pick"><input type="checkbox" checked=${picked.has(id(row))} aria-label=${t('pick')}
            onChange=${() => onPick([id(row)], false)} /></td>`}
          ${columns.map((column) => html`<td key=${column.key} data-label=${column.label}
            class=${classes(column.number && 'number', column.lead && 'lead', column.lead && picked && 'picked', column.wide && 'wide-cell', column.acts && 'acts')}>${column.cell(row)}</td>`)}
        </tr>`)}</tbody>
    </table></div>`;
}

/** Pages by cursor: forward by what the server says, back by what we have seen. */
export const Pager = ({ shown, onBack, onNext, children }) => html`<nav class="pager" aria-label=${t('pages')}>
  <span class="grow">${children ?? t('rows', { n: shown })}</span>
  <button type="button" class="button small" disabled=${!onBack} onClick=${onBack}><${Icon} name="left" />${t('newer')}</button>
  <button type="button" class="button small" disabled=${!onNext} onClick=${onNext}>${t('older')}<${Icon} name="right" /></button></nav>`;

/** What can be done with the picked rows. */
export const Bulk = ({ picked, onClear, children }) => (picked.size === 0 ? null : html`
  <div class="bulk" role="toolbar"><strong>${t('picked', { n: picked.size })}</strong>${children}
    <button type="button" class="button small" onClick=${onClear}>${t('clear')}</button></div>`);
