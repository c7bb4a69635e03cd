// Why an account would or would not be chosen for a model now: nothing is sent.
import { html } from '../lib/dom.js';
import { t, word } from '../lib/i18n.js';
import { route, filter, link } from '../lib/router.js';
import { useGet, Waiting } from '../lib/load.js';
import { Badge, Time } from '../lib/ui/bits.js';
import { Table } from '../lib/ui/table.js';
import { Field } from '../lib/ui/form.js';

const SAID = new Set(['chosen', 'candidate', 'not_in_route']); // the word beside it says as much

const columns = () => [
  { key: 'rank', label: '#', cell: (row) => row.rank ?? '' },
  { key: 'account', label: t('task.account'), lead: true, cell: (row) => html`<a href=${link(`accounts/${row.account_id}`)}><strong>${row.account}</strong></a> <span class="quiet small">${row.provider}</span>` },
  { key: 'model', label: t('models.upstream'), cell: (row) => html`<span class="mono small">${row.upstream_model ?? '–'}</span>` },
  { key: 'verdict', label: t('models.verdict'), cell: (row) => html`<${Badge} value=${row.verdict} group="explain" tone=${{ chosen: 'good', candidate: 'hollow', busy: 'warn', cooling: 'warn' }[row.verdict] ?? ''} />` },
  { key: 'slots', label: t('account.in_flight'), number: true, cell: (row) => (row.slots == null ? html`<span class="quiet">–</span>` : `${row.taken} / ${row.slots}`) },
  { key: 'reason', label: t('models.reason'), wide: true, cell: (row) => html`<span>${SAID.has(row.verdict) ? '' : row.text} ${row.until && html`<span class="soft">${t('account.till')} <${Time} at=${row.until} /></span>`}</span>` },
];

export function Explain() {
  const { query } = route.value;
  const models = useGet('models');
  const model = query.model ?? '';
  const found = useGet(model ? 'explain' : null, { model, kind: query.kind || 'video' });
  const rows = found.data?.data ?? [];
  const chosen = rows.find((row) => row.chosen);
  return html`<p class="soft">${t('models.why_note')}</p>
    <div class="form">
      <${Field} prefix="why" field=${{ name: 'model', label: t('task.model'), placeholder: 'sora-2', suggestions: (models.data?.data ?? []).map((one) => one.name) }} value=${model} onChange=${(value) => filter({ model: value })} />
      <${Field} prefix="why" field=${{ name: 'kind', label: t('models.kind'), kind: 'select', options: ['video', 'image', 'audio'].map((kind) => [kind, word('kind', kind)]) }} value=${query.kind || 'video'} onChange=${(value) => filter({ kind: value })} /></div>
    ${model && (found.data ? html`<p class=${chosen ? 'fine' : 'caution'} id="verdict">${chosen ? t('models.would_use', { account: chosen.account }) : found.data.verdict}</p>
      ${rows.length > 0 && html`<${Table} label=${t('models.tab.why')} columns=${columns()} rows=${rows} id=${(row) => `${row.account_id}${row.upstream_model}`} />`}` : html`<${Waiting} ...${found} />`)}`;
}
