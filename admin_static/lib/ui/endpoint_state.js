// The state of a webhook endpoint: whether it is called, and whether its calls arrive.
import { html } from '../dom.js';
import { t } from '../i18n.js';
import { formatMoment } from '../format.js';
import { Said, wordsFor } from '../server_words.js';
import { StateBadge } from './elements.js';

/** Why the last call of an endpoint failed. */
const failureText = ({ status, error }) =>
  status == null ? wordsFor(t('webhook.no_answer'), error) : wordsFor(t('webhook.tested', { status }), error);

const DISABLED = { 'by the operator': 'account.by_operator', 'It answered 410 Gone.': 'webhook.gone' };
const disabledText = (reason) => (DISABLED[reason] ? t(DISABLED[reason]) : html`<${Said} text=${reason} />`);

/** Whether an endpoint is called, and whether its calls arrive. */
export function EndpointState({ endpoint }) {
  const { enabled, failing, disabled_reason: reason } = endpoint;
  const state = !enabled ? 'disabled' : failing ? 'failing' : 'enabled';
  const tone = state === 'failing' ? (failing.certain ? 'bad' : 'warn') : undefined;
  return html`<span class="stack tight">
    <${StateBadge} value=${state} group="key_state" tone=${tone} />
    ${!enabled && reason && html`<span class="small soft">${disabledText(reason)}</span>`}
    ${
      failing &&
      html`<span class="small soft">
        ${t('webhook.failing', { n: failing.calls, at: formatMoment(failing.since) })} ${failureText(failing)}
      </span>`
    }
  </span>`;
}
