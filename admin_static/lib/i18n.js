// Texts in the operator's language; those of the other one are loaded when it is chosen.
import { effect, signal } from './dom.js';
import { lang } from './preferences.js';

// The first page needs only some of the texts. The others are loaded with the first page that is not that one.
let wantsAll = false;
let failures = 0;
const load = async (language) => {
  const parts = wantsAll ? [language, `further/${language}`] : [language];
  const again = failures ? `?attempt=${failures}` : '';
  const loaded = await Promise.all(parts.map((part) => import(`../i18n/${part}.js${again}`)));
  return Object.assign({}, ...loaded.map((part) => part.default));
};
const texts = signal(await load(lang.value));
const reload = async (chosen) => {
  const loaded = await load(chosen);
  if (lang.value === chosen) texts.value = loaded;
};
effect(() => {
  reload(lang.value);
});

/** Loads the texts that neither the front page nor the sign-in needs, once. */
export async function loadAllTexts() {
  if (wantsAll) return;
  wantsAll = true;
  try {
    await reload(lang.value);
  } catch (error) {
    wantsAll = false;
    failures += 1; // browsers remember a module that failed
    throw error;
  }
}

/** The text of `key`: `t('rows', { n: 3 })` fills in `{n}`; of one thing it is that of `key.one`, where there is one. A
 * missing key is shown as it is. */
export function t(key, values) {
  const one = String(values?.n) === '1' && texts.value[`${key}.one`];
  const text = one || (texts.value[key] ?? key);
  return values ? text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole) : text;
}

/** Words one after the other, with the commas of the language. */
export const listText = (parts) => parts.join(t('comma'));

/** The text for one value of an enumeration, or the value itself when it is unknown here. */
export const valueLabel = (group, value) => texts.value[`${group}.${value}`] ?? String(value ?? '');

/** Whether there is a text of this key. */
export const hasText = (key) => key in texts.value;

/** The values of an enumeration that have a text. */
export const labelsOf = (group) =>
  Object.keys(texts.value)
    .filter((key) => key.startsWith(`${group}.`))
    .map((key) => key.slice(group.length + 1));
