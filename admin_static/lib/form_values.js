// Conversions between the texts of form fields and the values of the API.

export const numberOrNull = (text) => (text === '' || text == null ? null : Number(text));
export const splitWords = (text) => text.split(/[,\s]+/).filter(Boolean);

/** UTC seconds as the value of a `datetime-local` field. */
export const localDateTime = (at) =>
  at ? new Date(at * 1000 - new Date(at * 1000).getTimezoneOffset() * 60000).toISOString().slice(0, 16) : '';

/** The value of a `datetime-local` field as UTC seconds; null for an empty one. */
export const secondsFromLocal = (text) => (text ? new Date(text).getTime() / 1000 : null);

/** What may be made where a model does not make what is asked: values of `lengths` and `sizes`. */
export const FITS = ['exact', 'nearest', 'at_least'];
