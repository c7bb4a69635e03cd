// Numbers, money, sizes and times in the operator's language.
import { lang } from './preferences.js';

const locale = () => (lang.value === 'zh' ? 'zh-CN' : 'en-GB');
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
  const difference = at - now;
  const [unit, size] = STEPS.find(([, seconds]) => Math.abs(difference) >= seconds) ?? ['second', 1];
  return new Intl.RelativeTimeFormat(locale(), { numeric: 'auto', style: 'short' }).format(
    Math.trunc(difference / size),
    unit,
  );
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
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${formatNumber(seconds, seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${formatNumber(seconds / 86400, 1)} d`;
}

export const formatNumber = (value, digits = 0) =>
  value == null ? '–' : new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);

export const formatCompact = (value) =>
  value == null
    ? '–'
    : new Intl.NumberFormat(locale(), { notation: 'compact', maximumFractionDigits: 1 }).format(value);

/** US dollars; amounts below 1 with up to four decimals. */
export function formatMoney(value) {
  if (value == null || value === '') return '–';
  const amount = Number(value);
  const digits = amount !== 0 && Math.abs(amount) < 1 ? 4 : 2;
  return new Intl.NumberFormat(locale(), {
    style: 'currency',
    currency: 'USD',
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
