// Work that would be lost with its page or its dialog: whoever leaves it, by a link, Back or with the tab, is asked.
import { useLayoutEffect, useRef } from './dom.js';

const held = new Set();

/** Whether anything is there that was typed and not saved. */
export const hasUnsaved = () => held.size > 0;

addEventListener('beforeunload', (event) => {
  if (hasUnsaved()) event.preventDefault();
});

/** Holds the page while `dirty`, and once what it returns was called, until the component is gone. */
export function useUnsaved(dirty = false) {
  const token = useRef({}).current;
  // Not useEffect, whose end comes after the address has changed.
  useLayoutEffect(() => {
    if (dirty) held.add(token);
    return () => held.delete(token);
  }, [dirty]);
  return () => held.add(token);
}
