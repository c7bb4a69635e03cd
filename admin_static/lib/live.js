// One stream of changes for the whole panel; where it can't stay open, pages look again by themselves.
import { signal, useEffect, useRef } from './dom.js';
import { address, session, whoami } from './api.js';

export const connected = signal(false);
const listeners = { task: new Set(), accounts: new Set(), hello: new Set() };
let source = null;
let failures = 0;

function dial() {
  source = new EventSource(address('events'));
  source.onopen = () => { connected.value = true; failures = 0; };
  source.onerror = () => {
    connected.value = false;
    source.close();
    source = null;
    failures += 1;
    setTimeout(again, Math.min(1000 * 2 ** failures, 30000));
  };
  for (const name of Object.keys(listeners)) {
    source.addEventListener(name, (event) => {
      const data = event.data ? JSON.parse(event.data) : {};
      for (const tell of listeners[name]) tell(data);
    });
  }
}

async function again() {
  if (source || session.value?.state !== 'signed_in') return;
  const state = await whoami().catch(() => null);
  if (!source && state?.state === 'signed_in') dial();
  else if (!state) setTimeout(again, 5000);
}

export const listen = () => { if (!source) dial(); };
export const stopListening = () => { source?.close(); source = null; connected.value = false; };
addEventListener('pagehide', stopListening);

/** Call `tell(data)` for each event of that name while the component is shown. */
export function useLive(name, tell) {
  const latest = useRef(tell);
  latest.current = tell;
  useEffect(() => {
    const forward = (data) => latest.current(data);
    listeners[name].add(forward);
    return () => listeners[name].delete(forward);
  }, [name]);
}

/** Call `look` every `seconds` while the tab is seen; `always` also while the stream is open. */
export function usePolling(look, seconds, always = false) {
  const latest = useRef(look);
  latest.current = look;
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden && (always || !connected.value)) latest.current();
    }, seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds, always]);
}
