// Read-only parts of the account drawer: facts and model names.
import { html } from '../lib/dom.js';
import { listText, t, valueLabel } from '../lib/i18n.js';
import { pageLink } from '../lib/router.js';
import { formatDuration, formatNumber, formatPercent } from '../lib/format.js';
import { CopyButton, RelativeTime } from '../lib/ui/elements.js';

export const AccountFacts = ({ account }) =>
  html`<dl class="facts">
    <dt>${t('account.provider')}</dt>
    <dd>
      ${account.provider}
      ${
        account.source !== 'store' &&
        html`
          ${' '}
          <span class="tag">${valueLabel('source', account.source)}</span>
        `
      }
    </dd>
    ${
      account.base_url &&
      html`
        <dt>${t('account.base_url')}</dt>
        <dd>
          <${CopyButton} text=${account.base_url} />
        </dd>
      `
    }
    <dt>${t('account.secret')}</dt>
    <dd class="mono">${account.secret_hint || '–'}</dd>
    <dt>${t('account.in_flight')}</dt>
    <dd>
      <a href=${pageLink('tasks', { account: account.id, state: 'open' })}>${account.in_flight}</a> /${' '}
      ${account.slots}
      ${account.rpm ? ` · ${t('account.rpm', { n: account.rpm })}` : ''}
    </dd>
    <dt>${t('account.success')}</dt>
    <dd>
      ${formatPercent(account.success_rate)}${' '}
      <span class="quiet">
        ${t('account.counts', { good: formatNumber(account.successes), bad: formatNumber(account.failures) })}
      </span>
    </dd>
    <dt>${t('account.average')}</dt>
    <dd>${formatDuration(account.average_seconds)}</dd>
    ${
      account.quota &&
      html`
        <dt>${t('account.quota')}</dt>
        <dd>
          ${account.quota.left} / ${account.quota.limit}${' '}
          ${account.quota.unit === 'usd' ? 'USD' : t('account.tasks')}
          ${account.quota.period !== 'none' ? ` · ${valueLabel('period', account.quota.period)}` : ''}
          ${
            account.quota.resets_at &&
            html`
              ${' '}
              · ${t('account.resets')} <${RelativeTime} at=${account.quota.resets_at} />
            `
          }
        </dd>
      `
    }
    <dt>${t('account.order')}</dt>
    <dd>${t('account.order_value', { tier: account.tier, weight: account.weight })}</dd>
    ${
      account.expires_at &&
      html`
        <dt>${t('account.expires')}</dt>
        <dd>
          <${RelativeTime} at=${account.expires_at} />
        </dd>
      `
    }
    ${
      account.plan &&
      html`
        <dt>${t('account.plan')}</dt>
        <dd>${account.plan}</dd>
      `
    }
    ${
      account.tags.length > 0 &&
      html`
        <dt>${t('account.tags')}</dt>
        <dd>
          ${account.tags.map(
            (tag) =>
              html`
                <span class="tag" key=${tag}>
                  ${tag}
                </span>${' '}
              `,
          )}
        </dd>
      `
    }
    ${
      account.note &&
      html`
        <dt>${t('note')}</dt>
        <dd>${account.note}</dd>
      `
    }
    ${
      account.proxy_hint &&
      html`
        <dt>${t('account.proxy')}</dt>
        <dd><code>${account.proxy_hint}</code></dd>
      `
    }
    ${
      account.kinds.length > 0 &&
      html`
        <dt>${t('account.kinds')}</dt>
        <dd>${listText(account.kinds.map((kind) => valueLabel('kind', kind)))}</dd>
      `
    }
    ${
      Object.keys(account.limits).length > 0 &&
      html`
        <dt>${t('account.limits')}</dt>
        <dd>
          ${listText(Object.entries(account.limits).map(([kind, slots]) => `${valueLabel('kind', kind)}: ${slots}`))}
        </dd>
      `
    }
    ${
      account.tested_at &&
      html`
        <dt>${t('account.tested')}</dt>
        <dd><${RelativeTime} at=${account.tested_at} /></dd>
      `
    }
    <dt>${t('account.created')}</dt>
    <dd>
      <${RelativeTime} at=${account.created_at} />
    </dd>
    <dt>${t('id')}</dt>
    <dd>
      <${CopyButton} text=${account.id} />
    </dd>
  </dl>`;

export const ModelMap = ({ models }) =>
  html`<section>
    <h3>${t('account.models')}</h3>
    <dl class="facts">
      ${Object.entries(models ?? {}).map(
        ([ours, theirs]) =>
          html`
            <dt key=${ours} class="mono">
              ${ours === '*' ? t('account.every_model') : ours}
            </dt>
            <dd class="mono">→ ${theirs === '*' ? t('account.same_name') : theirs}</dd>
          `,
      )}
    </dl>
  </section>`;
