// Tabs with their panel: one Tab stop, arrow keys between them, and the chosen one in view.
import { html, useEffect, useId, useRef } from '../dom.js';

const STEPS = { ArrowLeft: -1, ArrowRight: 1 };

/** Where a key leads from tab `at` of `count`; undefined for other keys. */
function nextTab(key, at, count) {
  if (key === 'Home') return 0;
  if (key === 'End') return count - 1;
  return STEPS[key] && (at + STEPS[key] + count) % count;
}

/** Scroll the chosen one of a row of links or tabs into view, without moving the page. */
export function useInView(list, selector, chosen) {
  useEffect(() => {
    const row = list.current;
    const found = row?.querySelector(selector);
    if (!found || row.scrollWidth <= row.clientWidth) return;
    row.scrollLeft = found.offsetLeft - row.offsetLeft - (row.clientWidth - found.offsetWidth) / 2;
  }, [chosen]);
}

/** `options`: [value, text] pairs; the children are the panel of `value`. */
export function Tabs({ options, value, onPick, label, children }) {
  const id = useId();
  const list = useRef();
  const at = options.findIndex(([key]) => key === value);
  useInView(list, '[aria-selected=true]', value);
  const move = (event) => {
    const next = nextTab(event.key, at, options.length);
    if (next === undefined) return;
    event.preventDefault();
    onPick(options[next][0]);
    list.current.children[next].focus();
  };
  return html`
    <div class="tabs" role="tablist" aria-label=${label} ref=${list} onKeyDown=${move}>
      ${options.map(
        ([key, text]) =>
          html`<button
            type="button"
            role="tab"
            key=${key}
            id=${`${id}-${key}`}
            aria-controls=${`${id}-panel`}
            aria-selected=${key === value}
            tabindex=${key === value ? 0 : -1}
            onClick=${() => onPick(key)}
          >
            ${text}
          </button>`,
      )}
    </div>
    <div class="tab-panel" role="tabpanel" id=${`${id}-panel`} aria-labelledby=${`${id}-${value}`} tabindex="0">
      ${children}
    </div>
  `;
}
