// Filters above a table; their values are kept in the address.
import { html, useEffect, useRef, useState } from '../dom.js';
import { t } from '../i18n.js';
import { route, setFilters } from '../router.js';
import { localDateTime, secondsFromLocal } from '../form_values.js';
import { useGet } from '../api_hooks.js';
import { Icon } from './icons.js';

/** The search field. Its text is written to the query parameter `name` 220 ms after the last keystroke. */
export function SearchField({ name = 'q', placeholder }) {
  const value = route.value.query[name] ?? '';
  const [typed, setTyped] = useState(value);
  const timer = useRef();
  useEffect(() => setTyped(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const onType = (event) => {
    const text = event.target.value;
    setTyped(text);
    clearTimeout(timer.current);
    // The first letter is a step that Back undoes, the others belong to it.
    const replace = Boolean(value);
    timer.current = setTimeout(() => setFilters({ [name]: text.trim(), after: '' }, { replace }), 220);
  };
  return html`<div class="search">
    <${Icon} name="search" />
    <input
      type="search"
      value=${typed}
      onInput=${onType}
      placeholder=${placeholder ?? t('search')}
      aria-label=${placeholder ?? t('search')}
    />
    <kbd>/</kbd>
  </div>`;
}

/** As many names are offered for what is typed. */
const MOST_SUGGESTED = 20;
const TIME_SPANS = { hour: 3600, day: 86400, week: 604800, month: 2592000 };

/** A time filter; its start (UTC seconds) is the query parameter `from`. */
export function TimeFilter() {
  const { from } = route.value.query;
  const now = Math.floor(Date.now() / 60000) * 60;
  const spans = Object.entries(TIME_SPANS).map(([name, seconds]) => [String(now - seconds), t(`span.${name}`)]);
  if (from && !spans.some(([value]) => value === from)) spans.unshift([from, t('span.chosen')]);
  return html`<${FilterSelect} name="from" all=${t('tasks.any_time')} options=${spans} />`;
}

/** The end of a time span, as the query parameter `to` in UTC seconds. */
export const UntilFilter = () =>
  html`<input
    type="datetime-local"
    class="suggest"
    aria-label=${t('filters.until')}
    title=${t('filters.until')}
    value=${localDateTime(Number(route.value.query.to))}
    onChange=${(event) => setFilters({ to: secondsFromLocal(event.target.value) ?? '', after: '' })}
  />`;

/** A select for the query parameter `name`; `options` are [value, text]. */
export const FilterSelect = ({ name, options, all, label }) =>
  html`<select
    aria-label=${label ?? all}
    value=${route.value.query[name] ?? ''}
    onChange=${(event) => setFilters({ [name]: event.target.value, after: '' })}
  >
    <option value="">${all}</option>
    ${options.map(
      ([value, text]) =>
        html`<option key=${value} value=${value}>
          ${text ?? value}
        </option>`,
    )}
  </select>`;

/**
 * A filter by one of many values: typing finds them, choosing one sets the query parameter `name`. `options` are
 * [value, text]; with `onType` the server is asked for those that contain what is typed.
 */
export function SuggestFilter({ name, options, all, onType }) {
  const value = route.value.query[name] ?? '';
  const textOf = (wanted) => options.find(([each]) => each === wanted)?.[1] ?? wanted;
  const [typed, setTyped] = useState(null);
  const onInput = (event) => {
    const text = event.target.value;
    const found = options.find(([each, shown]) => (shown ?? each) === text);
    setTyped(text);
    onType?.(text);
    if (!text || found) {
      setFilters({ [name]: found?.[0] ?? '', after: '' });
      setTyped(null);
    }
  };
  return html`<input
      type="text"
      class="suggest"
      list=${`suggest-${name}`}
      placeholder=${all}
      aria-label=${all}
      value=${typed ?? textOf(value)}
      onInput=${onInput}
      onBlur=${() => setTyped(null)}
      autocomplete="off"
      spellcheck=${false}
    />
    <datalist id=${`suggest-${name}`}>
      ${options.map(([each, text]) => html`<option key=${each} value=${text ?? each} />`)}
    </datalist>`;
}

/**
 * A filter by one of the names of `path` (accounts, keys): typing asks the server for those that contain it.
 * `chosenName` is the name of the one that is chosen, where the page knows it.
 */
export function NameFilter({ path, name, all, chosenName }) {
  const [typed, setTyped] = useState('');
  const value = route.value.query[name] ?? '';
  const known = useRef(new Map());
  const found = useGet(`${path}/names`, { q: typed || undefined, limit: MOST_SUGGESTED });
  for (const item of found.data?.data ?? []) known.current.set(item.id, item.name);
  if (value && chosenName) known.current.set(value, chosenName);
  const options = (found.data?.data ?? []).map((item) => [item.id, item.name]);
  if (value && !options.some(([id]) => id === value)) options.push([value, known.current.get(value) ?? value]);
  return html`<${SuggestFilter} name=${name} options=${options} all=${all} onType=${setTyped} />`;
}
