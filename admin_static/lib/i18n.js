// Texts in the operator's language. A missing key is shown as it is.
import { lang } from './preferences.js';
import en from '../i18n/en.js';
import zh from '../i18n/zh.js';

const TEXTS = { en, zh };

/** The text of `key`: `t('rows', { n: 3 })` fills in `{n}`. */
export function t(key, values) {
  const text = TEXTS[lang.value][key] ?? key;
  return values ? text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole) : text;
}

/** The text of `key` for a number `n`: that of `key.one` where there is one thing. */
export const plural = (key, n, values) =>
  t(n === 1 && TEXTS[lang.value][`${key}.one`] ? `${key}.one` : key, { n, ...values });

/** The text for one value of an enumeration, or the value itself when it is unknown here. */
export const valueLabel = (group, value) => TEXTS[lang.value][`${group}.${value}`] ?? String(value ?? '');

/** The values of an enumeration that have a text. */
export const labelsOf = (group) =>
  Object.keys(en)
    .filter((key) => key.startsWith(`${group}.`))
    .map((key) => key.slice(group.length + 1));
