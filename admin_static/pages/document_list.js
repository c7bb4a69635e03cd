// Routes or prices as a table, or how to add the first one.
import { html } from '../lib/dom.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { EmptyState } from '../lib/ui/elements.js';
import { DataTable } from '../lib/ui/table.js';

export const rowName = (row) => row.model ?? row.name;

export function DocumentList({ path, columns, none, note, add, version }) {
  const loaded = useGet(path, { version });
  if (!loaded.data) return html`<${LoadingNotice} ...${loaded} />`;
  return loaded.data.data.length === 0
    ? html`<${EmptyState}
      title=${none}
      actions=${
        add &&
        html`<button type="button" class="button main" onClick=${add[1]}>
          ${add[0]}
        </button>`
      }
    >
      ${note}
    <//>`
    : html`<${DataTable} label=${none} columns=${columns} rows=${loaded.data.data} id=${rowName} />`;
}
