// What lies above the page: dialog, drawer, toast, menu, question.
import { html, classes, signal, useLayoutEffect, useRef, useState } from '../dom.js';
import { t } from '../i18n.js';
import { Icon } from './icons.js';

/** What a form begins with; a drawer is read first. */
const firstField = (kind, box) => (kind === 'drawer' ? null : box.querySelector('.inside :is(input:not([type=file], [type=checkbox]), select, textarea):not(:disabled)'));

function Layer({ kind, title, onClose, foot, side, children }) {
  const element = useRef();
  useLayoutEffect(() => {
    const before = document.activeElement;
    element.current.showModal();
    if (!element.current.querySelector('[autofocus]')) (firstField(kind, element.current) ?? element.current).focus();
    lift();
    return () => queueMicrotask(() => { lift(); before?.focus?.({ preventScroll: true }); });
  }, []);
  const press = (event) => { if (event.target === element.current) onClose(); };
  const cancel = (event) => { event.preventDefault(); onClose(); };
  return html`<dialog ref=${element} class=${kind} onCancel=${cancel} onMouseDown=${press} aria-label=${title} tabindex="-1">
    <div class="head"><h2 class="clip">${title}</h2>${side}
      <button type="button" class="button plain icon-only" onClick=${onClose} aria-label=${t('close')}><${Icon} name="close" /></button></div>
    <div class="inside">${children}</div>
    ${foot && html`<div class="feet">${foot}</div>`}</dialog>`;
}

/** `size`: small, large, or none. */
export const Dialog = ({ size, ...rest }) => html`<${Layer} kind=${classes('box', size)} ...${rest} />`;
export const Drawer = (rest) => html`<${Layer} kind="drawer" ...${rest} />`;

const toasts = signal([]);
let last = 0;

/** What tells, in the dialog on top: all outside a dialog is out of reach while it is open. */
export const toastHost = document.createElement('div');

function lift() {
  const top = [...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body;
  if (toastHost.parentNode !== top) top.append(toastHost);
  const box = toastHost.firstElementChild;
  if (box?.matches(':popover-open')) box.hidePopover();
  if (toasts.value.length) box?.showPopover();
}

/** Tell that something was done, or (tone `bad`) was not. */
export function toast(text, tone = 'good') {
  const id = ++last;
  toasts.value = [...toasts.value.slice(-3), { id, text, tone }];
  setTimeout(() => dismiss(id), tone === 'bad' ? 9000 : 4500);
}
const dismiss = (id) => { toasts.value = toasts.value.filter((one) => one.id !== id); };

/** Do something and say how it went; true when it went well. */
export async function attempt(work, done) {
  try {
    const answer = await work();
    if (done) toast(typeof done === 'function' ? done(answer) : done);
    return answer ?? true;
  } catch (error) {
    toast(error.message, 'bad');
    return false;
  }
}

export function Toasts() {
  useLayoutEffect(lift, [toasts.value.length]);
  return html`<div class="toasts" popover="manual" role="status" aria-live="polite">
    ${toasts.value.map((one) => html`<div class=${classes('toast', one.tone)} key=${one.id}>
      <span>${one.text}</span><button type="button" onClick=${() => dismiss(one.id)} aria-label=${t('close')}>✕</button></div>`)}</div>`;
}

const question = signal(null);

/** Ask before something that can't be taken back; resolves to true or false. */
export const ask = ({ title, text, action, danger = true }) =>
  new Promise((answer) => { question.value = { title, text, action, danger, answer }; });

export function Question() {
  const asked = question.value;
  if (!asked) return null;
  const say = (value) => { question.value = null; asked.answer(value); };
  return html`<${Dialog} size="small" title=${asked.title} onClose=${() => say(false)} foot=${html`
      <button type="button" class="button" onClick=${() => say(false)}>${t('cancel')}</button>
      <button type="button" autofocus class=${classes('button main', asked.danger && 'danger')} onClick=${() => say(true)}>${asked.action}</button>`}>
    <p class="soft">${asked.text}</p><//>`;
}

/** The actions of one row. `items`: `[label, act]` pairs, or null for a line. */
export function Menu({ items, label }) {
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
    const toggled = (event) => { if (event.newState === 'closed') setOpen(false); };
    box.addEventListener('toggle', toggled);
    return () => box.removeEventListener('toggle', toggled);
  }, [open]);
  const move = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = [...list.current.querySelectorAll('button')];
    all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
  };
  return html`<div class="menu" onClick=${(event) => event.stopPropagation()}>
    <button type="button" ref=${button} class="button plain small icon-only" aria-haspopup="menu" aria-expanded=${open}
      aria-label=${label ?? t('actions')} onClick=${() => setOpen(!open)}><${Icon} name="more" /></button>
    ${open && html`<div class="list" ref=${list} role="menu" popover="auto" onKeyDown=${move}>
      ${items.filter((item) => item !== false).map((item) => (item === null ? html`<hr />` : html`
        <button type="button" role="menuitem" class=${item[2]}
          onClick=${() => { list.current.hidePopover(); item[1](); }}>${item[0]}</button>`))}</div>`}</div>`;
}
