// Texts in the operator's language; the dictionary of the other one is loaded when it is chosen.
import { effect, signal } from './dom.js';
import { lang } from './preferences.js';

const load = async (language) => (await import(`../i18n/${language}.js`)).default;
const texts = signal(await load(lang.value));
effect(async () => {
  const chosen = lang.value;
  const loaded = await load(chosen);
  if (lang.value === chosen) texts.value = loaded;
});

/** The text of `key`: `t('rows', { n: 3 })` fills in `{n}`. A missing key is shown as it is. */
export function t(key, values) {
  const text = texts.value[key] ?? key;
  return values ? text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole) : text;
}

/** The text of `key` for a number `n`: that of `key.one` where there is one thing. */
export const plural = (key, n, values) =>
  t(n === 1 && texts.value[`${key}.one`] ? `${key}.one` : key, { n, ...values });

/** The text for one value of an enumeration, or the value itself when it is unknown here. */
export const valueLabel = (group, value) => texts.value[`${group}.${value}`] ?? String(value ?? '');

/** Whether there is a text of this key. */
export const hasText = (key) => key in texts.value;

/** The values of an enumeration that have a text. */
export const labelsOf = (group) =>
  Object.keys(texts.value)
    .filter((key) => key.startsWith(`${group}.`))
    .map((key) => key.slice(group.length + 1));
