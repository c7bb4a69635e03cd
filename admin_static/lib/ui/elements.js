// Small elements: time, badge, progress bar, outcome strip, sparkline, meter, copy button, code, page header.
import { html, classNames, useEffect, useState, signal } from '../dom.js';
import { t, valueLabel } from '../i18n.js';
import { copyToClipboard } from '../clipboard.js';
import { formatRelative, formatAbsolute, formatPercent } from '../format.js';
import { Icon } from './icons.js';

const now = signal(Date.now() / 1000);
setInterval(() => {
  if (!document.hidden) now.value = Date.now() / 1000;
}, 5000);

/** A time relative to now; the tooltip shows the absolute time. `at` in UTC seconds. */
export const RelativeTime = ({ at }) =>
  at == null
    ? html`<span class="quiet">–</span>`
    : html`<time class="nowrap" dateTime=${new Date(at * 1000).toISOString()} title=${formatAbsolute(at)}>
      ${formatRelative(at, Math.max(now.value, Date.now() / 1000))}
    </time>`;

const TONES = {
  completed: 'good',
  delivered: 'good',
  healthy: 'good',
  active: 'good',
  ready: 'good',
  ok: 'good',
  enabled: 'good',
  running: 'live',
  storing: 'live',
  submitting: 'live',
  pending: 'live',
  trial: 'live',
  in_progress: 'live',
  queued: 'hollow',
  waiting: 'hollow',
  draining: 'warn',
  cooling: 'warn',
  exhausted: 'warn',
  expiring: 'warn',
  full: 'warn',
  held: 'warn',
  partial: 'warn',
  failed: 'bad',
  dead: 'bad',
  expired: 'bad',
  gave_up: 'bad',
  error: 'bad',
  given_up: 'bad',
};

/** A state as a coloured word. */
export const StateBadge = ({ value, group = 'state', tone, title }) =>
  html`<span class=${classNames('badge', tone ?? TONES[value])} title=${title}>
    ${valueLabel(group, value)}
  </span>`;

export const ProgressBar = ({ value }) =>
  html`<div
    class="progress"
    role="progressbar"
    aria-label=${t('progress')}
    aria-valuemin="0"
    aria-valuemax="100"
    aria-valuenow=${Math.round(value)}
  >
    <span class="track">
      <span class="fill" style=${{ width: `${value}%` }}></span>
    </span>
    <span class="share">${formatPercent(value / 100, 0)}</span>
  </div>`;

/** The last 50 outcomes of an account as a strip, newest at the right. */
export function OutcomeStrip({ outcomes = [] }) {
  const shown = outcomes.slice(-50);
  const good = shown.filter((outcome) => outcome.tone === 'good').length;
  const empty = Array.from({ length: 50 - shown.length });
  return html`<div
    class="heartbeat"
    role="img"
    aria-label=${t('accounts.heartbeat', { good, all: shown.length })}
    title=${t('accounts.heartbeat', { good, all: shown.length })}
  >
    ${empty.map(() => html`<i></i>`)}
    ${shown.map((outcome) => html`<i class=${outcome.tone} title=${outcome.title}></i>`)}
  </div>`;
}

export function Sparkline({ values = [], label }) {
  const top = Math.max(...values, 0) || 1;
  const step = 88 / Math.max(values.length - 1, 1);
  const path = values.map(
    (value, n) => `${n ? 'L' : 'M'}${(n * step).toFixed(1)} ${(20 - (value / top) * 18).toFixed(1)}`,
  );
  return html`<svg class="spark" viewBox="0 0 88 22" preserveAspectRatio="none" role="img" aria-label=${label}>
    <path d=${path.join('')} />
  </svg>`;
}

/** Used share of a limit, or with `left` what is left of it: neutral, amber from 75 % used, red from 95 %. */
export const UsageMeter = ({ share, left }) =>
  html`<div class="meter" role="presentation">
    <i
      class=${share >= 0.95 ? 'bad' : share >= 0.75 ? 'warn' : ''}
      style=${{ width: `${Math.max(0, Math.min(left ? 1 - share : share, 1)) * 100}%` }}
    ></i>
  </div>`;

function useCopy(text, onCopy) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    const timer = done && setTimeout(() => setDone(false), 1600);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = async (event) => {
    event.stopPropagation();
    if (!(await copyToClipboard(text))) return;
    setDone(true);
    onCopy?.();
  };
  return [done, copy];
}

/** An id or address that is copied on click. */
export function CopyButton({ text, shown, mono = true }) {
  const [done, copy] = useCopy(text);
  return html`<button
    type="button"
    class=${classNames('copy', mono && 'mono', done && 'done')}
    onClick=${copy}
    title=${done ? t('copied') : `${t('copy')}: ${text}`}
  >
    <span class="clip">${shown ?? text}</span>
    <${Icon} name=${done ? 'check' : 'copy'} />
    <span class="hidden-text" aria-live="polite">
      ${done ? t('copied') : ''}
    </span>
  </button>`;
}

/** A block of text with a copy button; `onCopy` is called once it was copied. */
export function CodeBlock({ text, label, onCopy }) {
  const [done, copy] = useCopy(text, onCopy);
  return html`<div class="code-box">
    <button type="button" class="button small" onClick=${copy}>
      <${Icon} name=${done ? 'check' : 'copy'} />
      ${done ? t('copied') : t('copy')}
    </button>
    <pre class="code" aria-label=${label} tabindex="0">
      ${text}
    </pre>
  </div>`;
}

export const JsonBlock = ({ value, label }) =>
  html`<${CodeBlock} text=${JSON.stringify(value, null, 2)} label=${label} />`;

/** Shown in place of an empty list, with the actions that would fill it. */
export const EmptyState = ({ title, children, actions }) =>
  html`<div class="empty">
    <div class="frames" aria-hidden="true">
      <i></i>
      <i></i>
      <i></i>
    </div>
    <h2>${title}</h2>
    ${children && html`<p>${children}</p>`}
    ${actions && html`<div class="row">${actions}</div>`}
  </div>`;

export const SegmentedControl = ({ options, value, onPick, label }) =>
  html`<div class="segments" role="group" aria-label=${label}>
    ${options.map(
      ([key, text]) =>
        html`<button type="button" key=${key} aria-pressed=${key === value} onClick=${() => onPick(key)}>
          ${text}
        </button>`,
    )}
  </div>`;

/** Title, note and actions at the top of a page. */
export const PageHeader = ({ title, note, children }) => {
  document.title = `${title} · Filmgate`;
  return html`<header class="page-head">
    <h1>${title}</h1>
    <div class="row">${children}</div>
    ${note && html`<p class="note">${note}</p>`}
  </header>`;
};
