// Filters above a table, kept in the address.
import { html, useEffect, useRef, useState } from '../dom.js';
import { t } from '../i18n.js';
import { route, filter } from '../router.js';
import { Icon } from './icons.js';

/** The search field; what is typed lands in the query `name` after a short rest. */
export function Search({ name = 'q', placeholder }) {
  const value = route.value.query[name] ?? '';
  const [typed, setTyped] = useState(value);
  const timer = useRef();
  useEffect(() => setTyped(value), [value]);
  const type = (event) => {
    const text = event.target.value;
    setTyped(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => filter({ [name]: text.trim(), after: '' }), 220);
  };
  return html`<div class="search"><${Icon} name="search" />
    <input type="search" value=${typed} onInput=${type} placeholder=${placeholder ?? t('search')} aria-label=${placeholder ?? t('search')} />
    <kbd>/</kbd></div>`;
}

const SPANS = { hour: 3600, day: 86400, week: 604800, month: 2592000 };

/** Since when, kept in the query `from`. */
export function Since() {
  const { from } = route.value.query;
  const now = Math.floor(Date.now() / 60000) * 60;
  const spans = Object.entries(SPANS).map(([name, seconds]) => [String(now - seconds), t(`span.${name}`)]);
  if (from && !spans.some(([value]) => value === from)) spans.unshift([from, t('span.chosen')]);
  return html`<${Choice} name="from" all=${t('tasks.any_time')} options=${spans} />`;
}

/** One choice kept in the query `name`; `options` are [value, text]. */
export const Choice = ({ name, options, all, label }) => html`
  <select aria-label=${label ?? all} value=${route.value.query[name] ?? ''}
      onChange=${(event) => filter({ [name]: event.target.value, after: '' })}>
    <option value="">${all}</option>
    ${options.map(([value, text]) => html`<option key=${value} value=${value}>${text ?? value}</option>`)}</select>`;
