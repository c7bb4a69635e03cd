// Preact hooks that load data from the admin API. Old rows stay visible until new ones arrive.
import { html, useEffect, useRef, useState, useCallback } from './dom.js';
import { get } from './api.js';
import { t } from './i18n.js';
import { errorText } from './server_words.js';
import { route, setFilters } from './router.js';
import { reconnects } from './event_stream.js';

/** The state of a GET: { data, error, busy, reload, set }. Sends nothing while `path` is null. */
export function useGet(path, query = {}) {
  const [state, setState] = useState({ data: null, error: null, busy: true });
  const requestKey = path && `${path}?${JSON.stringify(query)}`;
  const running = useRef(null);
  const reload = useCallback(async () => {
    if (!path) return;
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setState((old) => ({ ...old, busy: true }));
    try {
      const data = await get(path, query, { signal: controller.signal });
      setState({ data, error: null, busy: false });
    } catch (error) {
      if (error.name !== 'AbortError') setState((old) => ({ ...old, error, busy: false }));
    }
  }, [requestKey]);
  useEffect(() => {
    reload();
    return () => running.current?.abort();
  }, [reload, reconnects.value]);
  const set = (change) =>
    setState((old) => ({ ...old, data: typeof change === 'function' ? change(old.data) : change }));
  return { ...state, reload, set };
}

/** One page of a list, by cursor and with the filters in the address. `back` and `next` are for the TablePager. */
export function useList(path, names, { fixed = {}, limit = 50 } = {}) {
  const { query } = route.value;
  const filters = {
    ...fixed,
    ...Object.fromEntries(names.map((name) => [name, query[name]]).filter(([, value]) => value)),
    limit,
    after: query.after,
  };
  const loaded = useGet(path, filters);
  const earlierCursors = useRef([]);
  const { after } = query;
  useEffect(() => {
    if (!after) earlierCursors.current = [];
  }, [after]);
  // The server scans a limited number of rows for each page, so an empty page may be followed by one with rows.
  const emptyPageNext = loaded.data?.data.length === 0 && loaded.data.next;
  useEffect(() => {
    if (emptyPageNext) setFilters({ after: emptyPageNext }, { replace: true });
  }, [emptyPageNext]);
  const next =
    loaded.data?.next &&
    (() => {
      earlierCursors.current.push(after ?? '');
      setFilters({ after: loaded.data.next });
    });
  const back = after && (() => setFilters({ after: earlierCursors.current.pop() ?? '' }));
  return {
    ...loaded,
    data: emptyPageNext ? null : loaded.data,
    rows: loaded.data?.data ?? [],
    next,
    back,
    filtered: names.some((name) => query[name]) || Boolean(after),
  };
}

/** Shown until the first response arrives, or with its error. */
export const LoadingNotice = ({ error, reload }) =>
  error
    ? html`<div class="trouble row apart">
      <span>${errorText(error)}</span>
      <button type="button" class="button small" onClick=${reload}>
        ${t('again')}
      </button>
    </div>`
    : html`<p class="quiet" aria-busy="true">
      ${t('loading')}
    </p>`;
