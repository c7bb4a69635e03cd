// The operator's time zone, and days in it as texts like 2026-11-30.
import { lang } from './preferences.js';

const known = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** The IANA name of this browser's zone, as the server takes it. */
export const zone = known?.includes('/') && !known.startsWith('Etc/Unknown') ? known : 'UTC';

const asText = (date) =>
  [date.getFullYear(), String(date.getMonth() + 1).padStart(2, '0'), String(date.getDate()).padStart(2, '0')].join('-');

/** So many days before today. */
export const dayBack = (days) => {
  const now = new Date();
  return asText(new Date(now.getFullYear(), now.getMonth(), now.getDate() - days));
};

/** The first and the last day of the month, so many months before this one. */
export function monthBack(months) {
  const now = new Date();
  const first = new Date(now.getFullYear(), now.getMonth() - months, 1);
  return [asText(first), asText(new Date(first.getFullYear(), first.getMonth() + 1, 0))];
}

/** "30 Nov" of a day as a text. */
export const shortDay = (day) =>
  new Intl.DateTimeFormat(lang.value === 'zh' ? 'zh-CN' : 'en-GB', {
    day: 'numeric',
    month: 'short',
    timeZone: 'UTC',
  }).format(new Date(`${day}T00:00:00Z`));

/** The usual spans of days: [name, first day, last day]. */
export const daySpans = () => [
  ['today', dayBack(0), dayBack(0)],
  ['days_7', dayBack(6), dayBack(0)],
  ['days_30', dayBack(29), dayBack(0)],
  ['this_month', ...monthBack(0)],
  ['last_month', ...monthBack(1)],
];
