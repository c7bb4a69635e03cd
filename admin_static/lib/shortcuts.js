// Keys: `/` search, `?` this list, `g` and a letter to a page. `Esc` belongs to the dialogs themselves.
import { go } from './router.js';

export const PAGES = {
  o: 'overview', a: 'accounts', m: 'models', k: 'keys', t: 'tasks', p: 'playground',
  c: 'characters', w: 'webhooks', l: 'logs', s: 'settings',
};

const typing = (target) => target.matches?.('input, textarea, select, [contenteditable]');
let leading = 0;

export function listen({ help }) {
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing(event.target)) {
      if (event.key === 'Escape') event.target.blur();
      return;
    }
    if (event.key === '/') {
      const search = document.querySelector('dialog[open] input[type=search], input[type=search]');
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    } else if (event.key === '?') {
      help();
    } else if (event.key === 'g') {
      leading = Date.now();
    } else if (PAGES[event.key] && Date.now() - leading < 1500) {
      leading = 0;
      go(PAGES[event.key]);
    }
  });
}
