// Words in the operator's language. A key that is missing shows itself.
import { lang } from './preferences.js';
import en from '../i18n/en.js';
import zh from '../i18n/zh.js';

const WORDS = { en, zh };

/** `t('rows', { n: 3 })`: the text with `{n}` filled in. */
export function t(key, values) {
  const text = WORDS[lang.value][key] ?? key;
  return values ? text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole) : text;
}

/** The word for one value of a vocabulary, or the value itself when the back end has a newer one. */
export const word = (group, value) => WORDS[lang.value][`${group}.${value}`] ?? String(value ?? '');
