// Numbers, money, sizes and times in the operator's language.
import { signal } from './dom.js';
import { lang } from './preferences.js';
import { t } from './i18n.js';

const locale = () => (lang.value === 'zh' ? 'zh-CN' : 'en-GB');
const CLOCK_SECONDS = 10;
const STEPS = [
  ['year', 31536000],
  ['month', 2592000],
  ['day', 86400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];

/** "3 minutes ago"; `at` in UTC seconds. */
export function formatRelative(at, now = Date.now() / 1000) {
  // What has just happened is not in the future because two clocks differ.
  const difference = Math.abs(at - now) < CLOCK_SECONDS ? 0 : at - now;
  const [unit, size] = STEPS.find(([, seconds]) => Math.abs(difference) >= seconds) ?? ['second', 1];
  // "now" and "yesterday", but never "last mo".
  const numeric = difference === 0 || unit === 'day' ? 'auto' : 'always';
  return new Intl.RelativeTimeFormat(locale(), { numeric, style: 'short' }).format(Math.trunc(difference / size), unit);
}

export const formatAbsolute = (at) =>
  new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: 'medium' }).format(at * 1000);

export const formatDay = (at) =>
  new Intl.DateTimeFormat(locale(), { day: 'numeric', month: 'short' }).format(at * 1000);
export const formatHour = (at) =>
  new Intl.DateTimeFormat(locale(), { hour: '2-digit', minute: '2-digit' }).format(at * 1000);

/** "08:00" today, else with its day; `at` in UTC seconds. */
export function formatMoment(at) {
  const isToday = new Date(at * 1000).toDateString() === new Date().toDateString();
  return isToday ? formatHour(at) : `${formatDay(at)} ${formatHour(at)}`;
}

export const formatClock = (at) =>
  new Intl.DateTimeFormat(locale(), { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(at * 1000);

export function formatDuration(seconds) {
  if (seconds == null) return '–';
  if (seconds < 1) return t('duration.milliseconds', { n: Math.round(seconds * 1000) });
  if (seconds < 59.5) return formatSeconds(seconds);
  const whole = Math.round(seconds);
  if (whole < 3600) return t('duration.minutes', { n: Math.floor(whole / 60), rest: whole % 60 });
  const minutes = Math.round(whole / 60);
  if (minutes < 1440) return t('duration.hours', { n: Math.floor(minutes / 60), rest: minutes % 60 });
  return t('duration.days', { n: formatNumber(seconds / 86400, 1) });
}

/** "4 s", "4–12 s". */
export function formatSeconds(from, to = from) {
  const [first, last] = [from, to].map((value) => formatNumber(value, value < 10 ? 1 : 0));
  return t('duration.seconds', { n: first === last ? first : `${first}–${last}` });
}

export const formatNumber = (value, digits = 0) =>
  value == null ? '–' : new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);

export const formatCompact = (value) =>
  value == null
    ? '–'
    : new Intl.NumberFormat(locale(), { notation: 'compact', maximumFractionDigits: 1 }).format(value);

/** What amounts are called: the ISO code that the operator has set. Nothing is converted. */
export const currency = signal('USD');

/** Amounts below 1 have up to four decimals. */
export function formatMoney(value) {
  if (value == null || value === '') return '–';
  const amount = Number(value);
  const digits = amount !== 0 && Math.abs(amount) < 1 ? 4 : 2;
  return new Intl.NumberFormat(locale(), {
    style: 'currency',
    currency: currency.value,
    currencyDisplay: 'narrowSymbol',
    minimumFractionDigits: 2,
    maximumFractionDigits: digits,
  }).format(amount);
}

export const formatPercent = (share, digits = 1) =>
  share == null
    ? '–'
    : new Intl.NumberFormat(locale(), { style: 'percent', maximumFractionDigits: digits }).format(share);

export function formatBytes(count) {
  if (count == null) return '–';
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  const power = count > 0 ? Math.min(Math.floor(Math.log10(count) / 3), 4) : 0;
  return `${formatNumber(count / 1000 ** power, power ? 1 : 0)} ${units[power]}`;
}

export const shortenId = (id) => (id && id.length > 12 ? `${id.slice(0, 4)}…${id.slice(-6)}` : id);
