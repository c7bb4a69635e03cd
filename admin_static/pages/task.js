// One task in a drawer: the film, what happened to it, what was asked, what may be done.
import { html, useState } from '../lib/dom.js';
import { post, remove, mayWrite } from '../lib/api.js';
import { t, word } from '../lib/i18n.js';
import { link, open } from '../lib/router.js';
import { useGet, Waiting } from '../lib/load.js';
import { useLive, usePolling } from '../lib/live.js';
import { absolute, bytes, clock, duration, money, number } from '../lib/format.js';
import { Badge, Code, CopyButton, Json, Tabs, Time } from '../lib/ui/bits.js';
import { Drawer, ask, attempt, toast } from '../lib/ui/layers.js';
import { VideoPlayer } from '../lib/ui/video.js';
import { accountsOf, step, curlOf, waitingWords } from '../lib/task_steps.js';

const ended = (task) => ['completed', 'failed', 'cancelled'].includes(task.state);

export function Film({ task, muted }) {
  const file = task.files?.[0];
  const words = task.error ? task.error.message : task.expired ? t('task.expired') : task.deleted ? t('task.deleted') : waitingWords(task);
  return html`<${VideoPlayer} src=${file?.link} poster=${task.thumbnail} kind=${(file?.content_type ?? 'video').split('/')[0]}
    progress=${ended(task) ? null : task.progress} words=${words} muted=${muted} />`;
}

function Facts({ task }) {
  const file = task.files?.[0];
  const held = task.ledger.find((row) => row.kind === 'reserve');
  return html`<dl class="facts">
    <dt>${t('task.state')}</dt><dd><${Badge} value=${task.state} />${task.error && html` <span class="bad">${word('error', task.error.code)}</span>`}</dd>
    <dt>${t('task.model')}</dt><dd>${task.model}${task.upstream_model && task.upstream_model !== task.model && html` <span class="quiet">→ ${task.upstream_model}</span>`}</dd>
    <dt>${t('task.account')}</dt><dd>${task.account ? html`<a href=${link(`accounts/${task.account.id}`)}>${task.account.name}</a>` : '–'}</dd>
    <dt>${t('task.key')}</dt><dd>${task.dialect === 'panel' ? task.key.name : html`<a href=${link(`keys/${task.key.id}`)}>${task.key.name ?? task.key.id}</a>`} <span class="quiet">${word('dialect', task.dialect)}</span></dd>
    <dt>${t('task.cost')}</dt><dd id="task-cost">${money(task.cost)}${task.cost == null && held && html` <span class="quiet">${t('task.held', { amount: money(held.amount) })}</span>`}</dd>
    <dt>${t('task.created')}</dt><dd><${Time} at=${task.created_at} /> <span class="quiet">${t('task.took')}: ${duration(task.seconds)}</span></dd>
    ${file && html`<dt>${t('task.file')}</dt><dd>${[file.width && `${file.width} × ${file.height}`, file.seconds && `${number(file.seconds, 1)} s`, file.fps && `${number(file.fps)} fps`, bytes(file.bytes)].filter(Boolean).join(' · ')}
      ${task.expires_at && html` <span class="quiet" title=${absolute(task.expires_at)}>${t('task.kept')} <${Time} at=${task.expires_at} /></span>`}</dd>`}
    <dt>${t('id')}</dt><dd><${CopyButton} text=${task.id} /></dd>
    ${task.operation && html`<dt>${t('task.operation')}</dt><dd><${CopyButton} text=${task.operation.id} /></dd>`}</dl>`;
}

function Timeline({ task }) {
  const names = accountsOf(task.timeline);
  const start = task.timeline[0]?.at;
  return html`<ol class="timeline">${task.timeline.map((event, n) => {
    const { tone, text, detail } = step(event, names);
    return html`<li key=${n} class=${tone}><time title=${absolute(event.at)}>${clock(event.at)}</time>
      <span><strong>${text}</strong>${detail && html`<br /><span class="soft small">${detail}</span>`}</span>
      <span class="quiet small nowrap">+${duration(event.at - start)}</span></li>`;
  })}
  ${(task.webhooks ?? []).map((sent) => html`<li key=${sent.id} class=${sent.state === 'delivered' ? 'good' : 'warn'}><time></time>
      <span><strong>${t('task.webhook')}</strong><br /><a class="small" href=${link(`webhooks/${sent.id}`)}>${sent.event} → ${sent.receiver}</a></span>
      <${Badge} value=${sent.state} group="delivery" /></li>`)}</ol>`;
}

const Inputs = ({ inputs }) => (inputs.length === 0 ? null : html`<section><h3>${t('task.inputs')}</h3><div class="thumbs">
  ${inputs.map((input, n) => html`<figure key=${n} title=${word('role', input.role)}>${input.link && input.content_type.startsWith('image/')
    ? html`<img src=${input.link} alt=${word('role', input.role)} />` : html`<span class="small">${word('role', input.role)}</span>`}</figure>`)}</div></section>`);

function Settle({ task, reload }) {
  const settle = (outcome) => attempt(() => post(`tasks/${task.id}/settle`, { outcome }), t('task.settled')).then(reload);
  return html`<div class="caution stack"><span>${t('task.settle_note')}</span><div class="row">
    <button type="button" class="button small" onClick=${() => settle('spent')}>${t('task.settle_spent')}</button>
    <button type="button" class="button small" onClick=${() => settle('released')}>${t('task.settle_released')}</button></div></div>`;
}

function Actions({ task, reload, onChange, onClose }) {
  const file = task.files?.[0];
  const cancel = () => attempt(() => post(`tasks/${task.id}/cancel`), t('task.cancelling')).then(() => { reload(); onChange?.(); });
  const retry = async () => {
    const price = task.retry_price ? t('task.retry_price', { amount: money(task.retry_price) }) : t('task.retry_note');
    if (!await ask({ title: t('task.retry'), text: price, action: t('task.retry'), danger: false })) return;
    const made = await attempt(() => post(`tasks/${task.id}/retry`), t('task.retried'));
    if (made) { onChange?.(); open(made.id); }
  };
  const drop = async () => {
    if (!await ask({ title: t('task.delete'), text: t('task.delete_note'), action: t('delete') })) return;
    if (await attempt(() => remove(`tasks/${task.id}`), t('task.deleted_now'))) { onClose(); onChange?.(); }
  };
  const copy = async () => { await navigator.clipboard?.writeText(curlOf(task.request)); toast(t('copied')); };
  return html`<div class="row">
    ${file && html`<a class="button" href=${file.link} download=${`${task.id}-${file.name}`}>${t('download')}</a>`}
    ${mayWrite() && task.actions.cancel && html`<button type="button" class="button danger" disabled=${task.cancel_requested} onClick=${cancel}>${t('task.cancel')}</button>`}
    ${mayWrite() && task.actions.retry && html`<button type="button" class="button" onClick=${retry}>${t('task.retry')}</button>`}
    <button type="button" class="button" onClick=${copy}>${t('task.copy_curl')}</button>
    ${mayWrite() && ended(task) && !task.deleted && html`<button type="button" class="button plain" onClick=${drop}>${t('delete')}</button>`}</div>`;
}

function Body({ task, reload, onChange, onClose }) {
  const [tab, setTab] = useState('timeline');
  return html`<${Film} task=${task} />
    <p class="prompt">${task.request.prompt}</p>
    <${Actions} task=${task} reload=${reload} onChange=${onChange} onClose=${onClose} />
    ${task.actions.settle && mayWrite() && html`<${Settle} task=${task} reload=${reload} />`}
    <${Facts} task=${task} />
    <${Inputs} inputs=${task.inputs} />
    <${Tabs} value=${tab} onPick=${setTab} options=${['timeline', 'request', 'answer', 'money'].map((name) => [name, t(`task.tab.${name}`)])} />
    ${tab === 'timeline' && html`<${Timeline} task=${task} />`}
    ${tab === 'request' && html`<${Json} value=${task.request} label=${t('task.tab.request')} />
      <${Code} text=${curlOf(task.request)} label="curl" />`}
    ${tab === 'answer' && html`<${Json} value=${{ operation: task.operation, answer: task.upstream_answer, error: task.error }} label=${t('task.tab.answer')} />`}
    ${tab === 'money' && (task.ledger.length === 0 ? html`<p class="quiet">${t('task.no_money')}</p>` : html`<dl class="facts">
      ${task.ledger.map((row, n) => html`<dt key=${n}>${word('ledger', row.kind)}</dt><dd>${money(row.amount)} <span class="quiet"><${Time} at=${row.at} /></span></dd>`)}</dl>`)}`;
}

export function TaskDrawer({ id, onClose, onChange }) {
  const loaded = useGet(`tasks/${encodeURIComponent(id)}`);
  const task = loaded.data;
  useLive('task', (news) => {
    if (task?.id !== news.id) return;
    if (news.state !== task.state) loaded.reload();
    else loaded.set({ ...task, ...news });
  });
  usePolling(() => task && !ended(task) && loaded.reload(), 3);
  return html`<${Drawer} title=${task ? word('kind', task.kind) : t('page.tasks')} onClose=${onClose}
      side=${task && html`<${Badge} value=${task.cancel_requested && !ended(task) ? 'cancelling' : task.state} />`}>
    ${task ? html`<${Body} task=${task} reload=${loaded.reload} onChange=${onChange} onClose=${onClose} />` : html`<${Waiting} ...${loaded} />`}<//>`;
}
