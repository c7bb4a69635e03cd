// The accounts of a page of the table: what changes is asked for alone, the whole page once a minute.
import { useEffect, useRef } from '../lib/dom.js';
import { get } from '../lib/api.js';
import { useGet } from '../lib/api_hooks.js';
import { useServerEvent, usePolling } from '../lib/event_stream.js';

const GATHER_MS = 700;
const CLOCK_SECONDS = 10;
const WHOLE_SECONDS = 60;

/** Whether the state of an account ended by the clock between two moments (UTC seconds). */
function hasEnded(account, before, now) {
  const ends = [account.until, account.quota?.resets_at, account.expires_at];
  ends.push(...account.cooldowns.map((cooldown) => cooldown.until));
  return ends.some((at) => at && at > before && at <= now);
}

/** useGet for `accounts`. A row keeps its place until the page is read again. */
export function useAccountList(query) {
  const list = useGet('accounts', query);
  const due = useRef(new Set());
  const everything = useRef(false);
  const timer = useRef(0);
  const looked = useRef(Date.now() / 1000);
  const shown = new Set((list.data?.data ?? []).map((row) => row.id));

  const readSome = async (ids) => {
    const answer = await get('accounts', { ids: ids.join(',') }).catch(() => null);
    const fresh = new Map((answer?.data ?? []).map((row) => [row.id, row]));
    const { states, providers, tags } = answer ?? {};
    list.set(
      (old) =>
        old && answer && { ...old, states, providers, tags, data: old.data.map((row) => fresh.get(row.id) ?? row) },
    );
  };
  const read = useRef();
  read.current = () => {
    const changed = [...due.current];
    const whole = everything.current || (changed.length > 0 && query.state);
    due.current = new Set();
    everything.current = false;
    timer.current = 0;
    // Of the accounts in one state, others may be in it now.
    if (whole) return list.reload();
    const wanted = changed.filter((id) => shown.has(id));
    return wanted.length > 0 && readSome(wanted);
  };
  const note = (ids) => {
    if (!ids) everything.current = true;
    for (const id of ids ?? []) if (shown.has(id) || query.state) due.current.add(id);
    if (everything.current || due.current.size > 0) timer.current ||= setTimeout(() => read.current(), GATHER_MS);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  useServerEvent('accounts', ({ ids }) => note(ids));
  useServerEvent('task', (news) => note([news.account_id].filter(Boolean)));
  usePolling(
    () => {
      const now = Date.now() / 1000;
      const before = looked.current;
      looked.current = now;
      note((list.data?.data ?? []).filter((row) => hasEnded(row, before, now)).map((row) => row.id));
    },
    CLOCK_SECONDS,
    true,
  );
  usePolling(list.reload, CLOCK_SECONDS);
  usePolling(list.reload, WHOLE_SECONDS, true);
  return list;
}
