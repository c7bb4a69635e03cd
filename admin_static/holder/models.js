// The models that the key may use, with their prices; asked for when they are opened.
import { html, useState } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { errorText } from '../lib/server_words.js';
import { priceText } from '../lib/price_text.js';
import { DataTable } from '../lib/ui/table.js';
import { callJson } from './client.js';

const columns = () => [
  { key: 'model', label: t('task.model'), lead: true, cell: (row) => row.id },
  {
    key: 'price',
    label: t('my.price'),
    cell: (row) => (row.capabilities?.price ? priceText(row.capabilities.price) : html`<span class="quiet">–</span>`),
  },
];

export function ModelPrices() {
  const [rows, setRows] = useState(null);
  const [error, setError] = useState('');
  const load = async (event) => {
    if (!event.target.open || rows) return;
    try {
      setRows((await callJson('models', { query: { capabilities: 'true' } })).data);
    } catch (failure) {
      setError(errorText(failure));
    }
  };
  return html`<details onToggle=${load}>
    <summary>${t('my.models')}</summary>
    ${error && html`<p class="trouble">${error}</p>`}
    ${rows && html`<${DataTable} label=${t('my.models')} columns=${columns()} rows=${rows} />`}
  </details>`;
}
