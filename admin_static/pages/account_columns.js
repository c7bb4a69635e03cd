// The columns of the account table.
import { html } from '../lib/dom.js';
import { canWrite } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { formatDuration, formatNumber, formatMoney, formatPercent } from '../lib/format.js';
import { StateBadge, OutcomeStrip, UsageMeter } from '../lib/ui/elements.js';
import { AccountReason, EndTime } from '../lib/ui/account_reason.js';
import { ActionMenu } from '../lib/ui/dialogs.js';
import { InlineNumber } from '../lib/ui/inline_number.js';
import { pageLink } from '../lib/router.js';

const outcomesOf = (account) =>
  (account.outcomes ?? []).map((outcome) => ({
    tone: outcome.ok ? 'good' : 'bad',
    title: valueLabel('error', outcome.word ?? (outcome.ok ? 'completed' : 'failed')),
  }));

/** Models that are cooling down on an account that is otherwise usable. */
const CoolingModels = ({ cooldowns }) =>
  html`<span
    class="small warn"
    title=${cooldowns.map(({ model, code }) => `${model}: ${valueLabel('cooldown', code)}`).join('\n')}
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

/** `edit(account, change)` saves a field that is changed in its cell; null for a viewer. */
const numberCell =
  (name, edit, { min, step } = {}) =>
  (account) =>
    edit && !account.read_only
      ? html`<${InlineNumber}
      value=${account[name]}
      label=${`${t(`account.${name}`)}: ${account.name}`}
      min=${min}
      step=${step}
      onSave=${(value) => edit(account, { [name]: value })}
    />`
      : account[name];

export const accountColumns = (actions, edit) => [
  {
    key: 'name',
    label: t('account.name'),
    sort: 'name',
    lead: true,
    cell: (account) =>
      html`
        <strong>${account.name}</strong> <span class="quiet small">${account.provider}</span>
      `,
  },
  {
    key: 'state',
    label: t('account.state'),
    sort: 'state',
    cell: (account) => html`<${AccountState} account=${account} />`,
  },
  {
    key: 'rate',
    label: t('account.success'),
    sort: 'success',
    cell: (account) =>
      html`<span class="stack tight">
        <${OutcomeStrip} outcomes=${outcomesOf(account)} />
        ${
          account.success_rate !== null &&
          html`<span class="small quiet">
            ${formatPercent(account.success_rate, 0)}${
              account.average_seconds != null ? ` · ${formatDuration(account.average_seconds)}` : ''
            }
          </span>`
        }
      </span>`,
  },
  {
    key: 'flight',
    label: t('account.in_flight'),
    sort: 'in_flight',
    number: true,
    cell: (account) => account.in_flight,
  },
  {
    key: 'slots',
    label: t('account.slots_short'),
    sort: 'slots',
    number: true,
    cell: numberCell('slots', edit, { min: 0 }),
  },
  {
    key: 'weight',
    label: t('account.weight'),
    sort: 'weight',
    number: true,
    cell: numberCell('weight', edit, { min: 0, step: 'any' }),
  },
  { key: 'tier', label: t('account.tier'), sort: 'tier', number: true, cell: numberCell('tier', edit) },
  {
    key: 'quota',
    label: t('account.quota'),
    sort: 'quota',
    cell: (account) => html`<${QuotaUse} quota=${account.quota} />`,
  },
  {
    key: 'plan',
    label: t('account.tags'),
    sort: 'tag',
    cell: (account) =>
      (account.plan || account.tags.length > 0) &&
      html`
        ${account.plan}${' '}
        ${account.tags.map(
          (tag) =>
            html`
              <a class="tag" key=${tag} href=${pageLink('accounts', { tag })}>${tag}</a>${' '}
            `,
        )}
      `,
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
