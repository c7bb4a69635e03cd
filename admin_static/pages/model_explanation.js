// Explains for each account why it would or would not be chosen for a model. Nothing is sent.
import { html, useState } from '../lib/dom.js';
import { listText, t, valueLabel } from '../lib/i18n.js';
import { Said, wordsFor } from '../lib/server_words.js';
import { formatDuration, formatMoney, formatPercent } from '../lib/format.js';
import { route, setFilters, pageLink } from '../lib/router.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { StateBadge } from '../lib/ui/elements.js';
import { EndTime } from '../lib/ui/account_reason.js';
import { DataTable } from '../lib/ui/table.js';
import { FormField } from '../lib/ui/form.js';

// Verdicts whose label says as much as their text.
const SELF_EXPLANATORY = new Set(['chosen', 'candidate', 'not_in_route']);

const MOST_NAMED = 5;
const FIRST_SHOWN = 100;

const columns = () => [
  { key: 'rank', label: '#', cell: (row) => row.rank ?? '' },
  {
    key: 'account',
    label: t('task.account'),
    lead: true,
    cell: (row) =>
      html`
        <a href=${pageLink(`accounts/${row.account_id}`)}>
          <strong>${row.account}</strong>
        </a>${' '}
        <span class="quiet small">${row.provider}</span>
      `,
  },
  {
    key: 'model',
    label: t('models.upstream'),
    cell: (row) => html`<span class="mono small">${row.upstream_model ?? '–'}</span>`,
  },
  {
    key: 'verdict',
    label: t('models.verdict'),
    cell: (row) =>
      html`<${StateBadge}
        value=${row.verdict}
        group="explain"
        tone=${{ chosen: 'good', candidate: 'hollow', busy: 'warn', cooling: 'warn' }[row.verdict] ?? ''}
      />`,
  },
  {
    key: 'slots',
    label: t('account.in_flight'),
    number: true,
    cell: (row) => (row.slots == null ? html`<span class="quiet">–</span>` : `${row.taken} / ${row.slots}`),
  },
  {
    key: 'reason',
    label: t('models.reason'),
    wide: true,
    cell: (row) =>
      (row.until || row.prefer || !SELF_EXPLANATORY.has(row.verdict)) &&
      html`<span>
        ${!SELF_EXPLANATORY.has(row.verdict) && html`<${Said} text=${row.text} />`}${' '}
        ${row.prefer && html`<span class="soft">${preferenceText(row)}</span>`}${' '}
        ${
          row.until &&
          html`<span class="soft">
            <${EndTime} at=${row.until} />
          </span>`
        }
      </span>`,
  },
];

/** What the account's step of the route prefers, and how it stands there. */
function preferenceText({ prefer, figure }) {
  if (figure == null) return t('prefer.unknown', { what: t(`prefer.${prefer}`) });
  const figures = {
    cheapest: () => `${formatMoney(figure)}/s`,
    fastest: () => formatDuration(figure),
    most_reliable: () => formatPercent(figure),
  };
  return t('prefer.known', { what: t(`prefer.${prefer}`), figure: figures[prefer]() });
}

/** Several accounts are chosen when they are equal until one of them gets the task. */
function chosenSentence(accounts) {
  if (accounts.length > MOST_NAMED) return t('models.would_use_some', { n: accounts.length });
  if (accounts.length > 1) return t('models.would_use_one', { accounts: listText(accounts) });
  return accounts.length === 1 ? t('models.would_use', { account: accounts[0] }) : null;
}

export function ModelExplanation() {
  const { query } = route.value;
  const models = useGet('models');
  const model = query.model ?? '';
  const loaded = useGet(model ? 'explain' : null, { model, kind: query.kind || 'video' });
  const rows = loaded.data?.data ?? [];
  const [most, setMost] = useState(FIRST_SHOWN);
  const chosen = rows.filter((row) => row.chosen).map((row) => row.account);
  return html`
    <p class="soft">${t('models.why_note')}</p>
    <div class="form">
      <${FormField}
        prefix="why"
        field=${{
          name: 'model',
          label: t('task.model'),
          placeholder: 'sora-2',
          suggestions: (models.data?.data ?? []).map((entry) => entry.name),
        }}
        value=${model}
        onChange=${(value) => setFilters({ model: value }, { replace: true })}
      />
      <${FormField}
        prefix="why"
        field=${{
          name: 'kind',
          label: t('models.kind'),
          kind: 'select',
          options: ['video', 'image', 'audio'].map((kind) => [kind, valueLabel('kind', kind)]),
        }}
        value=${query.kind || 'video'}
        onChange=${(value) => setFilters({ kind: value })}
      />
    </div>
    ${
      model &&
      (loaded.data
        ? html`
          <p class=${chosen.length > 0 ? 'fine' : 'caution'} id="verdict">
            ${chosenSentence(chosen) ?? wordsFor(t('verdict.nobody'), loaded.data.verdict)}
          </p>
          ${
            rows.length > 0 &&
            html`<${DataTable}
              label=${t('models.tab.why')}
              columns=${columns()}
              rows=${rows.slice(0, most)}
              id=${(row) => `${row.account_id}${row.upstream_model}`}
            />`
          }
          ${
            rows.length > most &&
            html`<button type="button" class="button" onClick=${() => setMost(most + 5 * FIRST_SHOWN)}>
              ${t('models.show_more', { n: rows.length - most })}
            </button>`
          }
        `
        : html`<${LoadingNotice} ...${loaded} />`)
    }
  `;
}
