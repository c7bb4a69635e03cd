// Keyboard shortcuts: `/` search, `?` help, `g` and a letter for a page. Dialogs handle `Esc` themselves.
import { goTo } from './router.js';

export const PAGES = {
  o: 'overview',
  a: 'accounts',
  m: 'models',
  k: 'keys',
  t: 'tasks',
  f: 'films',
  p: 'playground',
  c: 'characters',
  w: 'webhooks',
  l: 'logs',
  s: 'settings',
};

const isTextField = (target) => target.matches?.('input, textarea, select, [contenteditable]');
let pressedGAt = 0;

export function listenForShortcuts({ help }) {
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTextField(event.target)) {
      if (event.key === 'Escape') event.target.blur();
      return;
    }
    if (event.key === '/') {
      const search = document.querySelector('dialog[open] input[type=search], input[type=search]');
      if (search) {
        event.preventDefault();
        search.focus();
        search.select();
      }
    } else if (event.key === '?') {
      help();
    } else if (event.key === 'g') {
      pressedGAt = Date.now();
    } else if (PAGES[event.key] && Date.now() - pressedGAt < 1500) {
      pressedGAt = 0;
      goTo(PAGES[event.key]);
    }
  });
}
