// Data of a page: one request, again when its address changes, the old rows staying until the new are there.
import { html, useEffect, useRef, useState, useCallback } from './dom.js';
import { get } from './api.js';
import { t } from './i18n.js';
import { route, filter } from './router.js';

/** { data, error, busy, reload, set } of a GET; `path` null: nothing to ask. */
export function useGet(path, query = {}) {
  const [state, setState] = useState({ data: null, error: null, busy: true });
  const wanted = path && `${path}?${JSON.stringify(query)}`;
  const running = useRef(null);
  const reload = useCallback(async () => {
    if (!path) return;
    running.current?.abort();
    const mine = running.current = new AbortController();
    setState((old) => ({ ...old, busy: true }));
    try {
      const data = await get(path, query, { signal: mine.signal });
      setState({ data, error: null, busy: false });
    } catch (error) {
      if (error.name !== 'AbortError') setState((old) => ({ ...old, error, busy: false }));
    }
  }, [wanted]);
  useEffect(() => { reload(); return () => running.current?.abort(); }, [reload]);
  const set = (change) => setState((old) => ({ ...old, data: typeof change === 'function' ? change(old.data) : change }));
  return { ...state, reload, set };
}

/** A page of a list by cursor, from the filters in the address; `back` and `next` for the Pager. */
export function useList(path, names, { fixed = {}, limit = 50 } = {}) {
  const { query } = route.value;
  const wanted = { ...fixed, ...Object.fromEntries(names.map((name) => [name, query[name]]).filter(([, value]) => value)), limit, after: query.after };
  const loaded = useGet(path, wanted);
  const seen = useRef([]);
  const { after } = query;
  useEffect(() => { if (!after) seen.current = []; }, [after]);
  // A page looks through so many rows only: one that found nothing may be followed by one that does.
  const onward = loaded.data?.data.length === 0 && loaded.data.next;
  useEffect(() => { if (onward) filter({ after: onward }); }, [onward]);
  const next = loaded.data?.next && (() => { seen.current.push(after ?? ''); filter({ after: loaded.data.next }); });
  const back = after && (() => filter({ after: seen.current.pop() ?? '' }));
  return { ...loaded, data: onward ? null : loaded.data, rows: loaded.data?.data ?? [], next, back, filtered: names.some((name) => query[name]) || Boolean(after) };
}

/** What stands in for a page until its first answer. */
export const Waiting = ({ error, reload }) => (error
  ? html`<div class="trouble row apart"><span>${error.message}</span>
      <button type="button" class="button small" onClick=${reload}>${t('again')}</button></div>`
  : html`<p class="quiet" aria-busy="true">${t('loading')}</p>`);
