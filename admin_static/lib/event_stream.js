// One event stream for the whole panel. While it is closed, pages poll instead.
import { signal, useEffect, useRef } from './dom.js';
import { apiUrl, session, loadSession } from './api.js';

export const connected = signal(false);
/** Since when the gateway does not answer, in UTC seconds; null while it does. */
export const lostAt = signal(null);
/** How often the connection has come back: what a page shows is old then. */
export const reconnects = signal(0);
const LONGEST_PAUSE = 10000;
const listeners = { task: new Set(), accounts: new Set(), hello: new Set() };
let source = null;
let failures = 0;

function connect() {
  source = new EventSource(apiUrl('events'));
  source.onopen = () => {
    connected.value = true;
    failures = 0;
    if (lostAt.value) reconnects.value += 1;
    lostAt.value = null;
  };
  source.onerror = () => {
    connected.value = false;
    source.close();
    source = null;
    failures += 1;
    lostAt.value ??= Date.now() / 1000;
    setTimeout(reconnect, Math.min(1000 * 2 ** failures, LONGEST_PAUSE));
  };
  for (const name of Object.keys(listeners)) {
    source.addEventListener(name, (event) => {
      const data = event.data ? JSON.parse(event.data) : {};
      for (const callback of listeners[name]) callback(data);
    });
  }
}

async function reconnect() {
  if (source || session.value?.state !== 'signed_in') return;
  const state = await loadSession().catch(() => null);
  if (!source && state?.state === 'signed_in') connect();
  else if (!state) setTimeout(reconnect, 3000);
}
addEventListener('online', reconnect);

export const startListening = () => {
  if (!source) connect();
};
export const stopListening = () => {
  source?.close();
  source = null;
  connected.value = false;
  lostAt.value = null;
};
addEventListener('pagehide', stopListening);

/** Call `callback(data)` for each event `name` while the component is mounted. */
export function useServerEvent(name, callback) {
  const latest = useRef(callback);
  latest.current = callback;
  useEffect(() => {
    const forward = (data) => latest.current(data);
    listeners[name].add(forward);
    return () => listeners[name].delete(forward);
  }, [name]);
}

/** Call `poll` every `seconds` while the tab is visible; with `always`, also while the stream is open. */
export function usePolling(poll, seconds, always = false) {
  const latest = useRef(poll);
  latest.current = poll;
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden && (always || !connected.value)) latest.current();
    }, seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds, always]);
}
