// Why an account gives no work, and until when, as one sentence.
import { html } from '../dom.js';
import { t } from '../i18n.js';
import { formatAbsolute, formatMoment } from '../format.js';

/** "until 10:45"; `words` is the key of the text around the time. */
export const EndTime = ({ at, words = 'account.until_at' }) =>
  html`<time class="nowrap" dateTime=${new Date(at * 1000).toISOString()} title=${formatAbsolute(at)}>
    ${t(words, { at: formatMoment(at) })}
  </time>`;

const END_WORDS = { exhausted: 'account.returns_at', disabled: 'account.looked_at' };

// What the state alone says already is not said twice.
const OWN_WORDS = {
  'expired': '',
  'draining': '',
  'its quota is used up': '',
  'by the operator': 'account.by_operator',
};

/** The reason of an account's state and its end; nothing where there is neither. */
export function AccountReason({ account }) {
  const words = OWN_WORDS[account.reason];
  const reason = words === undefined ? account.reason : words && t(words);
  if (!reason && !account.until) return null;
  return html`<span>
    ${reason}${reason && account.until ? ' · ' : ''}
    ${account.until && html`<${EndTime} at=${account.until} words=${END_WORDS[account.state]} />`}
  </span>`;
}
