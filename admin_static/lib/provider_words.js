// What the forms for accounts say of a provider, in the panel's language.
import { hasText, listText, t, valueLabel } from './i18n.js';
import { wordsFor } from './server_words.js';
import { html } from './dom.js';

/** What it makes, and how its adapter was verified. */
export function providerNote(provider) {
  if (!provider) return undefined;
  const makes = (provider.makes ?? []).map((kind) => valueLabel('kind', kind));
  const known = `verified.${provider.verified}`;
  const verified = hasText(known) ? t(known) : wordsFor(t('verified.sdk'), provider.verified);
  return html`${listText(makes)} · ${verified}`;
}

/** What its secret looks like, or how it is sent. */
export function secretHint(provider) {
  if (!provider) return undefined;
  const known = `secret_hint.${provider.name}`;
  return hasText(known) ? t(known) : wordsFor(t('account.sent_as'), provider.auth);
}
