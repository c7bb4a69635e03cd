// What the server says, in the panel's language: words for its codes, and its English sentence where that says more.
import { html } from './dom.js';
import { lang } from './preferences.js';
import { hasText, t, valueLabel } from './i18n.js';

/** The sentence of the server or of a vendor, marked as English, which it is in every language of the panel. */
export const Said = ({ text }) => text && html`<span class="said" lang="en">${text}</span>`;

/** `words` with the server's `text` as their detail; in English the text alone, as it says the same and more. */
export function wordsFor(words, text) {
  if (!text) return words;
  return lang.value === 'en' ? text : html`${words} <${Said} text=${text} />`;
}

/** `wordsFor` as plain text, for a `title`. */
export const plainWordsFor = (words, text) =>
  !text ? words : lang.value === 'en' ? text : t('reason.at_field', { field: words, words: text });

const FIELD_GROUPS = ['field', 'account', 'key', 'webhook', 'admins', 'own', 'sign_in', 'playground', 'task'];

/** "Resolvers 1 · Name" of `resolvers.0.name`. */
function fieldPath(param) {
  const part = (name) => {
    if (/^\d+$/.test(name)) return String(Number(name) + 1);
    const group = FIELD_GROUPS.find((one) => hasText(`${one}.${name}`));
    return group ? t(`${group}.${name}`) : name;
  };
  return (param ?? '')
    .split(/[.[\]]+/)
    .filter(Boolean)
    .map(part)
    .join(' · ');
}

// Reasons and codes that leave open what exactly is wrong.
const VAGUE = ['invalid_value', 'too_small', 'too_large', 'not_an_option'];
const EXACT = ['not_signed_in', 'invalid_credentials', 'rate_limit_exceeded', 'csrf_failed'];

/** Why a request was refused: an ApiError, or a row of an answer. `atField`: shown beside the field that it names. */
export function errorText(error, { atField = false } = {}) {
  const { reason, code, param, message } = error;
  // What the panel says itself has no code.
  const own = error instanceof Error && !code;
  if (own || code === 'offline' || lang.value === 'en') return message;
  if (!code && !reason) return html`<${Said} text=${message} />`;
  const words = reason ? valueLabel('reason', reason) : valueLabel('error', code);
  const named = atField || !param ? words : t('reason.at_field', { field: fieldPath(param), words });
  const exact = reason ? !VAGUE.includes(reason) : EXACT.includes(code);
  return wordsFor(named, exact ? '' : message);
}

/** What a test of an account found: its verdict, or why it could not be tested. */
export const testText = (result) =>
  hasText(`verdict.${result.verdict}`) ? wordsFor(t(`verdict.${result.verdict}`), result.message) : errorText(result);

/** Why an account, or one model on it, rests. */
export const cooldownText = ({ code, reason }) => wordsFor(valueLabel('cooldown', code), reason);
