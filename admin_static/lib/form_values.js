// Conversions between the texts of form fields and the values of the API.
import { t } from './i18n.js';

export const numberOrNull = (text) => (text === '' || text == null ? null : Number(text));
/** The value of a text of JSON; `param` is the field that the error stands beside. */
export function parseJson(text, param) {
  try {
    return JSON.parse(text);
  } catch {
    throw Object.assign(new Error(t('account.bad_json')), { param });
  }
}

export const splitWords = (text) => text.split(/[,\s]+/).filter(Boolean);

/** UTC seconds as the value of a `datetime-local` field. */
export const localDateTime = (at) =>
  at ? new Date(at * 1000 - new Date(at * 1000).getTimezoneOffset() * 60000).toISOString().slice(0, 16) : '';

/** The value of a `datetime-local` field as UTC seconds; null for an empty one. */
export const secondsFromLocal = (text) => (text ? new Date(text).getTime() / 1000 : null);

/** What may be made where a model does not make what is asked: values of `lengths` and `sizes`. */
export const FITS = ['exact', 'nearest', 'at_least'];

/** The same for `lengths` of a line of a route. */
export const LENGTH_FITS = [...FITS, 'join'];
