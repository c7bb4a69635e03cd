// One film of the contact sheet: its picture, which plays under the pointer, with the focus or at a tap.
import { html, classNames, signal, useEffect, useRef } from '../lib/dom.js';
import { gatewayLink } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { formatMoney } from '../lib/format.js';
import { ActionMenu } from '../lib/ui/dialogs.js';
import { ProgressBar, RelativeTime } from '../lib/ui/elements.js';
import { Still } from '../lib/ui/still.js';
import { waitText } from '../lib/readiness.js';
import { OPEN } from './task_list.js';

const REST_MS = 150; // a pointer that only passes asks for no film
const playing = signal(''); // the id of the only film that plays

function TileStatus({ task }) {
  if (task.state === 'failed')
    return html`<span class="why-not">
      <strong>${valueLabel('error', task.error?.code ?? 'failed')}</strong>
      <span class="small" lang="en">${task.error?.message}</span>
    </span>`;
  return html`<span class="why-not">
    ${
      task.state === 'queued' && !task.account
        ? html`<span class="small">${waitText(task)}</span>`
        : html`<${ProgressBar} value=${task.progress ?? 0} />`
    }
    <span class="small">${valueLabel('state', task.state)}</span>
  </span>`;
}

/** `menu`: the items of its ActionMenu. */
export function FilmTile({ task, picked, onPick, onOpen, menu }) {
  const timer = useRef(0);
  const byFinger = useRef(false);
  const canPlay = task.kind === 'video' && task.link;
  const plays = canPlay && playing.value === task.id;
  const stop = () => {
    clearTimeout(timer.current);
    if (playing.value === task.id) playing.value = '';
  };
  const start = (wait) => {
    if (!canPlay) return;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      playing.value = task.id;
    }, wait);
  };
  useEffect(() => stop, []);
  const hover = (act) => (event) => {
    if (event.pointerType !== 'touch') act();
  };
  const click = () => {
    // The first tap plays it, as nothing hovers on a phone; the next one opens it.
    if (byFinger.current && canPlay && !plays) start(0);
    else onOpen(task);
  };
  const facts = [task.model, task.account?.name, task.cost != null && formatMoney(task.cost)];
  const words = task.prompt || valueLabel('kind', task.kind);
  return html`<li
    class=${classNames('tile', picked && 'picked', task.state)}
    data-id=${task.id}
    onPointerEnter=${hover(() => start(REST_MS))}
    onPointerLeave=${hover(stop)}
  >
    <button
      type="button"
      class="shown"
      onPointerDown=${(event) => {
        byFinger.current = event.pointerType === 'touch';
      }}
      onFocus=${() => !byFinger.current && start(REST_MS)}
      onBlur=${stop}
      onClick=${click}
    >
      <span class="hidden-text">${words}</span>
      ${task.thumbnail && html`<${Still} src=${gatewayLink(task.thumbnail)} />`}
      ${
        plays &&
        html`<video src=${gatewayLink(task.link)} autoplay muted=${true} loop playsinline aria-hidden="true"></video>`
      }
      ${(task.state === 'failed' || OPEN.includes(task.state)) && html`<${TileStatus} task=${task} />`}
    </button>
    <input
      type="checkbox"
      checked=${picked}
      aria-label=${`${t('pick')}: ${words}`}
      onChange=${() => onPick([task.id], false)}
    />
    <div class="under">
      <button type="button" class="text-button clip" title=${words} onClick=${() => onOpen(task)}>${words}</button>
      <span class="small quiet clip">
        ${facts.filter(Boolean).join(' · ')}${' · '}
        <${RelativeTime} at=${task.created_at} />
      </span>
    </div>
    <${ActionMenu} label=${`${t('actions')}: ${words}`} items=${menu} />
  </li>`;
}
