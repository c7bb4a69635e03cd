// Why an account gives no work, and until when, as one sentence.
import { html } from '../dom.js';
import { lang } from '../preferences.js';
import { t, valueLabel } from '../i18n.js';
import { cooldownText } from '../server_words.js';
import { formatAbsolute, formatMoment } from '../format.js';

/** "until 10:45"; `words` is the key of the text around the time. */
export const EndTime = ({ at, words = 'account.until_at' }) =>
  html`<time class="nowrap" dateTime=${new Date(at * 1000).toISOString()} title=${formatAbsolute(at)}>
    ${t(words, { at: formatMoment(at) })}
  </time>`;

const END_WORDS = { exhausted: 'account.returns_at', disabled: 'account.looked_at' };

// What the state alone says already is not said twice.
const TOLD_BY_STATE = new Set(['expired', 'draining', 'quota_exhausted']);

/** What the operator wrote is shown as it is; `whole` adds the server's own sentence to the words for its code. */
function reasonText({ reason, reason_code: code }, whole) {
  if (TOLD_BY_STATE.has(code)) return '';
  if (code === 'operator') return reason === 'by the operator' ? t('account.by_operator') : reason;
  if (!reason || (lang.value === 'en' && reason)) return reason;
  return whole ? cooldownText({ code, reason }) : valueLabel('cooldown', code);
}

/** The reason of an account's state and its end; nothing where there is neither. */
export function AccountReason({ account, whole = false }) {
  const reason = reasonText(account, whole);
  if (!reason && !account.until) return null;
  return html`<span>
    ${reason}${reason && account.until ? ' · ' : ''}
    ${account.until && html`<${EndTime} at=${account.until} words=${END_WORDS[account.state]} />`}
  </span>`;
}
