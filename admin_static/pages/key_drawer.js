// One key in a drawer: its limits, spending and webhook endpoints.
import { html } from '../lib/dom.js';
import { may, canWrite } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { pageLink } from '../lib/router.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { formatMoney, formatNumber } from '../lib/format.js';
import { StateBadge, CopyButton, Sparkline, RelativeTime } from '../lib/ui/elements.js';
import { Drawer } from '../lib/ui/dialogs.js';
import { KeyEndpoints } from './key_endpoints.js';

export const PERIODS = ['daily', 'monthly', 'total'];
/** The states of keys, and the tone of each. */
export const KEY_TONES = { active: 'good', used_up: 'bad', expired: 'bad', disabled: '' };

export function KeyDrawer({ id, actions, show, onClose }) {
  const loaded = useGet(`keys/${encodeURIComponent(id)}`);
  const key = loaded.data;
  const list = (values) =>
    values.length
      ? values.map(
          (value) =>
            html`
              <span class="tag" key=${value}>
                ${value}
              </span>${' '}
            `,
        )
      : t('any');
  return html`<${Drawer} title=${key?.name ?? t('page.keys')} onClose=${onClose}>
    ${
      !key
        ? html`<${LoadingNotice} ...${loaded} />`
        : html`
          ${
            canWrite() &&
            !key.read_only &&
            html`<div class="row">
              <button type="button" class="button" onClick=${() => show(['edit', key])}>
                ${t('key.edit')}
              </button>
              <button type="button" class="button" onClick=${() => show(['rotate', key])}>
                ${t('key.rotate')}
              </button>
              <button type="button" class="button" onClick=${() => actions.toggle(key).then(loaded.reload)}>
                ${t(key.enabled ? 'key.disable' : 'key.enable')}
              </button>
              <button type="button" class="button plain" onClick=${() => actions.forget(key)}>
                ${t('key.forget')}
              </button>
            </div>`
          }
          ${
            !canWrite() &&
            may('money') &&
            !key.read_only &&
            html`<div class="row">
              <button type="button" class="button" onClick=${() => show(['edit', key])}>
                ${t('key.edit_budget')}
              </button>
            </div>`
          }
          ${key.read_only && html`<p class="soft">${valueLabel('read_only', key.source)}</p>`}
          <dl class="facts">
            <dt>${t('key.state')}</dt>
            <dd>
              <${StateBadge} value=${key.state} group="key_state" tone=${KEY_TONES[key.state]} />
            </dd>
            <dt>${t('key.owner')}</dt>
            <dd>
              <${CopyButton} text=${key.owner} />
            </dd>
            <dt>${t('key.spent')}</dt>
            <dd>
              ${PERIODS.map(
                (name) =>
                  html`<div key=${name}>
                    ${t(`key.spent.${name}`)} ${formatMoney(key.spent[name])}
                    ${
                      key.budget?.[name] != null &&
                      html`
                        ${' '}
                        <span class="quiet">/ ${formatMoney(key.budget[name])}</span>
                      `
                    }
                  </div>`,
              )}
              ${
                Number(key.spent.reserved) > 0 &&
                html`<div class="quiet">${t('key.reserved', { amount: formatMoney(key.spent.reserved) })}</div>`
              }
            </dd>
            <dt>${t('key.rpm')}</dt>
            <dd>${key.rpm ?? t('any')}</dd>
            <dt>${t('key.tasks_limit')}</dt>
            <dd>
              ${key.in_flight} / ${key.tasks_limit ?? '∞'}
            </dd>
            <dt>${t('key.models')}</dt>
            <dd>${list(key.models)}</dd>
            <dt>${t('key.networks')}</dt>
            <dd>${list(key.networks)}</dd>
            <dt>${t('key.expires')}</dt>
            <dd>${key.expires_at ? html`<${RelativeTime} at=${key.expires_at} />` : t('never')}</dd>
            ${
              key.old_until &&
              html`
                <dt>${t('key.old_until')}</dt>
                <dd>
                  <${RelativeTime} at=${key.old_until} />
                </dd>
              `
            }
            ${
              key.note &&
              html`
                <dt>${t('note')}</dt>
                <dd>${key.note}</dd>
              `
            }
            <dt>${t('account.created')}</dt>
            <dd>
              <${RelativeTime} at=${key.created_at} />
            </dd>
          </dl>
          <section>
            <h3>${t('key.usage')}</h3>
            <${Sparkline} values=${key.sparkline} label=${t('key.usage')} />${' '}
            <span class="quiet small">${formatNumber(key.sparkline.reduce((sum, n) => sum + n, 0))}</span>
          </section>
          <p class="row">
            <a href=${pageLink('tasks', { key: key.id })}>${t('account.its_tasks')}</a>
            <a href=${pageLink('logs', { key: key.id })}>${t('key.its_requests')}</a>
            <a href=${pageLink('logs', { tab: 'usage', key: key.id })}>${t('logs.tab.usage')}</a>
            <a href="../my/" target="_blank" rel="noreferrer">${t('key.holder_page')}</a>
            <button type="button" class="button small" onClick=${() => show(['statement', key])}>
              ${t('statement.title')}
            </button>
          </p>
          <${KeyEndpoints} id=${key.id} />
        `
    }
  <//>`;
}
