// One call of the log of requests in a drawer: who asked, who answered, what it cost, and what its status means.
import { html } from '../lib/dom.js';
import { hasText, t } from '../lib/i18n.js';
import { pageLink } from '../lib/router.js';
import { formatAbsolute, formatDuration, formatMoney, formatNumber, formatSeconds } from '../lib/format.js';
import { CopyButton } from '../lib/ui/elements.js';
import { Drawer } from '../lib/ui/dialogs.js';
import { NamedItem } from '../lib/ui/named.js';

export const statusTone = (status) => (status >= 500 ? 'bad' : status >= 400 ? 'warn' : 'good');

/** What the status of an answer says: its own words, or those of its class. */
export function statusText(status) {
  const own = `http.${status}`;
  return t(hasText(own) ? own : `http.${Math.floor(status / 100)}xx`);
}

export function CallDrawer({ call, onClose }) {
  const { key, account } = call;
  const same = { status: call.status, model: call.model };
  const fact = (label, value) =>
    html`
      <dt>${label}</dt>
      <dd>${value}</dd>
    `;
  return html`<${Drawer}
    title=${call.path}
    onClose=${onClose}
    side=${html`<span class=${`badge ${statusTone(call.status)}`}>${call.status}</span>`}
  >
    <p class=${call.status >= 400 ? 'trouble' : 'soft'} id="call-status">${statusText(call.status)}</p>
    <dl class="facts">
      ${fact(t('logs.at'), formatAbsolute(call.at))}
      ${fact(t('logs.request_id'), call.request_id ? html`<${CopyButton} text=${call.request_id} />` : '–')}
      ${fact(
        t('task.key'),
        html`<span class="row tight">
          <${NamedItem} id=${key.id} name=${key.name} to=${`keys/${key.id}`} /> <${CopyButton} text=${key.id} />
        </span>`,
      )}
      ${fact(
        t('task.account'),
        account
          ? html`<span class="row tight">
            <${NamedItem} id=${account.id} name=${account.name} to=${`accounts/${account.id}`} />
            <${CopyButton} text=${account.id} />
          </span>`
          : '–',
      )}
      ${fact(t('task.model'), html`<a href=${pageLink('models', { q: call.model })}>${call.model}</a>`)}
      ${fact(t('task.took'), formatDuration(call.milliseconds / 1000))}
      ${
        call.input_tokens != null &&
        fact(t('logs.tokens'), `${formatNumber(call.input_tokens)} / ${formatNumber(call.output_tokens)}`)
      }
      ${call.films > 0 && fact(t('usage.films'), `${formatNumber(call.films)} · ${formatSeconds(call.film_seconds)}`)}
      ${fact(t('usage.sale'), formatMoney(call.cost))} ${fact(t('usage.vendor_cost'), formatMoney(call.vendor_cost))}
    </dl>
    <p class="row">
      ${
        call.task_id &&
        html`<a class="button" href=${pageLink(`tasks/${call.task_id}`)}>
          ${t('webhook.task')}
        </a>`
      }
      <a href=${pageLink('logs', { key: key.id })}>${t('key.its_requests')}</a>
      ${account && html`<a href=${pageLink('logs', { account: account.id })}>${t('logs.of_account')}</a>`}
      ${call.status >= 400 && html`<a href=${pageLink('logs', same)}>${t('logs.same_status')}</a>`}
    </p>
  <//>`;
}
