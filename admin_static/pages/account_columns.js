// The columns of the account table.
import { html } from '../lib/dom.js';
import { canWrite } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { formatNumber, formatMoney, formatPercent } from '../lib/format.js';
import { StateBadge, OutcomeStrip, UsageMeter } from '../lib/ui/elements.js';
import { AccountReason, EndTime } from '../lib/ui/account_reason.js';
import { ActionMenu } from '../lib/ui/dialogs.js';

const outcomesOf = (account) =>
  (account.outcomes ?? []).map((outcome) => ({
    tone: outcome.ok ? 'good' : 'bad',
    title: valueLabel('error', outcome.word ?? (outcome.ok ? 'completed' : 'failed')),
  }));

/** Models that are cooling down on an account that is otherwise usable. */
const CoolingModels = ({ cooldowns }) =>
  html`<span
    class="small warn"
    title=${cooldowns.map((cooldown) => `${cooldown.model}: ${cooldown.reason}`).join('\n')}
  >
    ${
      cooldowns.length === 1
        ? t('account.model_cooling', { model: cooldowns[0].model })
        : t('account.models_cooling', { n: cooldowns.length })
    }${' · '}
    <${EndTime} at=${Math.max(...cooldowns.map((cooldown) => cooldown.until))} />
  </span>`;

export const AccountState = ({ account }) =>
  html`<span class="stack tight">
    <${StateBadge}
      value=${account.state}
      group="account"
      tone=${account.state === 'ready' && account.cooldowns.length > 0 ? 'warn' : undefined}
    />
    ${
      account.reason || account.until
        ? html`<span class="small soft">
          <${AccountReason} account=${account} />
        </span>`
        : account.cooldowns.length > 0 && html`<${CoolingModels} cooldowns=${account.cooldowns} />`
    }
  </span>`;

const QuotaUse = ({ quota }) => {
  if (!quota) return html`<span class="quiet">–</span>`;
  const left = Number(quota.left);
  const limit = Number(quota.limit);
  const show = (value) => (quota.unit === 'usd' ? formatMoney(value) : formatNumber(value));
  return html`<span class="stack tight">
    <span>
      ${show(left)} <span class="quiet">/ ${show(limit)}</span>
    </span>
    <${UsageMeter} share=${limit ? 1 - left / limit : 1} left=${true} />
  </span>`;
};

export const accountColumns = (actions) => [
  {
    key: 'name',
    label: t('account.name'),
    lead: true,
    cell: (account) =>
      html`
        <strong>${account.name}</strong> <span class="quiet small">${account.provider}</span>
      `,
  },
  { key: 'state', label: t('account.state'), cell: (account) => html`<${AccountState} account=${account} />` },
  {
    key: 'beats',
    label: t('account.recent'),
    wide: true,
    cell: (account) => html`<${OutcomeStrip} outcomes=${outcomesOf(account)} />`,
  },
  {
    key: 'slots',
    label: t('account.in_flight'),
    number: true,
    cell: (account) =>
      html`
        ${account.in_flight} <span class="quiet">/ ${account.slots}</span>
      `,
  },
  { key: 'quota', label: t('account.quota'), cell: (account) => html`<${QuotaUse} quota=${account.quota} />` },
  {
    key: 'plan',
    label: t('account.plan'),
    cell: (account) =>
      (account.plan || account.tags.length > 0) &&
      html`
        ${account.plan}${' '}
        ${account.tags.map(
          (tag) =>
            html`
              <span class="tag" key=${tag}>
                ${tag}
              </span>${' '}
            `,
        )}
      `,
  },
  {
    key: 'rate',
    label: t('account.success'),
    number: true,
    cell: (account) => formatPercent(account.success_rate, 0),
  },
  {
    key: 'acts',
    label: '',
    acts: true,
    cell: (account) =>
      html`<span class="row tight nowrap">
        ${
          canWrite() &&
          account.cooldowns.length > 0 &&
          html`<button type="button" class="button small" onClick=${() => actions.clear(account)}>
            ${t('account.clear')}
          </button>`
        }
        ${
          canWrite() &&
          html`<${ActionMenu} items=${actions.menu(account)} label=${`${t('actions')}: ${account.name}`} />`
        }
      </span>`,
  },
];
