// Elements above the page: dialog, drawer, toast, action menu, confirmation.
import { html, classNames, signal, useLayoutEffect, useRef, useState } from '../dom.js';
import { t } from '../i18n.js';
import { useUnsaved } from '../unsaved.js';
import { errorText } from '../server_words.js';
import { Icon } from './icons.js';

/** The first form field of a dialog, to focus it; a drawer keeps the focus itself. */
const firstField = (kind, box) =>
  kind === 'drawer'
    ? null
    : box.querySelector('.inside :is(input:not([type=file], [type=checkbox]), select, textarea):not(:disabled)');

/**
 * What was typed stays: a click beside closes only a dialog in which nothing was, and Esc asks. `keep` is the question
 * for what is not shown again, as a new key; with `locked` nothing but its content closes it.
 */
function ModalLayer({ kind, title, onClose, foot, side, keep, locked, children }) {
  const element = useRef();
  const touched = useRef(false);
  const holdPage = useUnsaved(Boolean(keep));
  const leave = async () => {
    const text = keep ?? (touched.current && kind !== 'drawer' ? t('dialog.discard') : null);
    if (text && !(await askConfirmation({ title: t('dialog.close'), text, action: t('dialog.close_anyway') }))) return;
    onClose();
  };
  useLayoutEffect(() => {
    const before = document.activeElement;
    element.current.showModal();
    if (!element.current.querySelector('[autofocus]')) (firstField(kind, element.current) ?? element.current).focus();
    moveToastsToTop();
    return () =>
      queueMicrotask(() => {
        moveToastsToTop();
        before?.focus?.({ preventScroll: true });
      });
  }, []);
  const closeOnBackdrop = (event) => {
    if (event.target === element.current && !touched.current && !keep && !locked) onClose();
  };
  const cancel = (event) => {
    event.preventDefault();
    if (!locked) leave();
  };
  const touch = (event) => {
    // Fields of a dialog above this one, which is drawn inside of it, are not its own.
    if (event.target.closest('dialog') !== element.current) return;
    touched.current = true;
    if (kind !== 'drawer') holdPage();
  };
  return html`<dialog
    ref=${element}
    class=${kind}
    onCancel=${cancel}
    onInput=${touch}
    onMouseDown=${closeOnBackdrop}
    aria-label=${title}
    tabindex="-1"
  >
    <div class="head">
      <h2 class="clip">${title}</h2>
      ${side}
      ${
        !locked &&
        html`<button type="button" class="button plain icon-only" onClick=${leave} aria-label=${t('close')}>
          <${Icon} name="close" />
        </button>`
      }
    </div>
    <div class="inside">${children}</div>
    ${foot && html`<div class="feet">${foot}</div>`}
  </dialog>`;
}

/** `size`: small, large, or undefined. */
export const Dialog = ({ size, ...props }) => html`<${ModalLayer} kind=${classNames('box', size)} ...${props} />`;
export const Drawer = (props) => html`<${ModalLayer} kind="drawer" ...${props} />`;

const toasts = signal([]);
let lastToastId = 0;

/** Holds the toasts. It moves into the topmost dialog, because an open modal dialog makes everything outside inert. */
export const toastHost = document.createElement('div');

function moveToastsToTop() {
  const top = [...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body;
  if (toastHost.parentNode !== top) top.append(toastHost);
  const box = toastHost.firstElementChild;
  if (box?.matches(':popover-open')) box.hidePopover();
  if (toasts.value.length) box?.showPopover();
}

/** Show a message for some seconds; tone `bad` for a failure. `undo`: what takes the step back, for ten seconds. */
export function showToast(text, tone = 'good', undo = undefined) {
  const id = ++lastToastId;
  toasts.value = [...toasts.value.slice(-3), { id, text, tone, undo }];
  setTimeout(() => dismissToast(id), undo ? 10000 : tone === 'bad' ? 9000 : 4500);
}
const dismissToast = (id) => {
  toasts.value = toasts.value.filter((entry) => entry.id !== id);
};

/** Run `work`, then show `done` or the error as a toast. Resolves to the result of `work` (or true), or to false. */
export async function runWithToast(work, done) {
  try {
    const answer = await work();
    if (done) showToast(typeof done === 'function' ? done(answer) : done);
    return answer ?? true;
  } catch (error) {
    showToast(errorText(error), 'bad');
    return false;
  }
}

export function ToastList() {
  useLayoutEffect(moveToastsToTop, [toasts.value.length]);
  return html`<div class="toasts" popover="manual" role="status" aria-live="polite">
    ${toasts.value.map(
      (entry) =>
        html`<div class=${classNames('toast', entry.tone)} key=${entry.id}>
          <span>${entry.text}</span>
          ${
            entry.undo &&
            html`<button
              type="button"
              class="undo"
              onClick=${() => {
                dismissToast(entry.id);
                entry.undo();
              }}
            >
              ${t('undo')}
            </button>`
          }
          <button type="button" onClick=${() => dismissToast(entry.id)} aria-label=${t('close')}>
            ✕
          </button>
        </div>`,
    )}
  </div>`;
}

const question = signal(null);

/** Ask for confirmation before a step; `names`: what it concerns. Resolves to true or false. */
export const askConfirmation = ({ title, text, action, names = [], danger = true }) =>
  new Promise((answer) => {
    question.value = { title, text, action, names, danger, answer };
  });

const MOST_NAMES = 12;

const NameList = ({ names }) =>
  html`<p id="question-names">
    ${names.slice(0, MOST_NAMES).map((name) => html`<span class="tag" key=${name}>${name}</span> `)}
    ${names.length > MOST_NAMES && html`<span class="soft">${t('and_more', { n: names.length - MOST_NAMES })}</span>`}
  </p>`;

export function ConfirmationDialog() {
  const current = question.value;
  if (!current) return null;
  const reply = (value) => {
    question.value = null;
    current.answer(value);
  };
  return html`<${Dialog}
    size="small"
    title=${current.title}
    onClose=${() => reply(false)}
    foot=${html`
      <button type="button" class="button" autofocus onClick=${() => reply(false)}>
        ${t('cancel')}
      </button>
      <button
        type="button"
        class=${classNames('button main', current.danger && 'danger')}
        onClick=${() => reply(true)}
      >
        ${current.action}
      </button>
    `}
  >
    ${current.names.length > 0 && html`<${NameList} names=${current.names} />`}
    ${current.text && html`<p class="soft">${current.text}</p>`}
  <//>`;
}

/** The actions of one row. `items`: `[label, action]` pairs; null draws a separator, false is skipped. */
export function ActionMenu({ items, label }) {
  const [open, setOpen] = useState(false);
  const button = useRef();
  const list = useRef();
  useLayoutEffect(() => {
    if (!open) return undefined;
    const at = button.current.getBoundingClientRect();
    const box = list.current;
    box.showPopover();
    const height = box.offsetHeight;
    box.style.left = `${Math.max(8, at.right - box.offsetWidth)}px`;
    box.style.top = `${at.bottom + height + 8 > innerHeight ? Math.max(8, at.top - height - 4) : at.bottom + 4}px`;
    box.querySelector('button')?.focus();
    const onToggle = (event) => {
      if (event.newState === 'closed') setOpen(false);
    };
    box.addEventListener('toggle', onToggle);
    return () => box.removeEventListener('toggle', onToggle);
  }, [open]);
  const moveFocus = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = [...list.current.querySelectorAll('button')];
    all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
  };
  return html`<div class="menu" onClick=${(event) => event.stopPropagation()}>
    <button
      type="button"
      ref=${button}
      class="button plain small icon-only"
      aria-haspopup="menu"
      aria-expanded=${open}
      aria-label=${label ?? t('actions')}
      onClick=${() => setOpen(!open)}
    >
      <${Icon} name="more" />
    </button>
    ${
      open &&
      html`<div class="list" ref=${list} role="menu" popover="auto" onKeyDown=${moveFocus}>
        ${items
          .filter((item) => item !== false)
          .map((item) =>
            item === null
              ? html`<hr />`
              : html`<button
                type="button"
                role="menuitem"
                class=${item[2]}
                onClick=${() => {
                  list.current.hidePopover();
                  item[1]();
                }}
              >
                ${item[0]}
              </button>`,
          )}
      </div>`
    }
  </div>`;
}
