// One task in a drawer: media, actions, facts, timeline, request, upstream response.
import { html, useState } from '../lib/dom.js';
import { downloadFile, post, remove, canWrite, gatewayLink, may } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { openRow } from '../lib/router.js';
import { LoadingNotice } from '../lib/api_hooks.js';
import { hasEnded, useLiveTask } from '../lib/live_task.js';
import { formatMoney } from '../lib/format.js';
import { StateBadge, CodeBlock, JsonBlock, RelativeTime } from '../lib/ui/elements.js';
import { Tabs } from '../lib/ui/tabs.js';
import { Drawer, askConfirmation, runWithToast, showToast } from '../lib/ui/dialogs.js';
import { copyToClipboard } from '../lib/clipboard.js';
import { curlCommand } from '../lib/task_timeline.js';
import { AgainForm, askPrice } from './again_form.js';
import { CompareForm, takesOf } from './compare_form.js';
import { TaskAttempts } from './task_attempts.js';
import { TaskMedia, TaskFacts, TaskTimeline, TaskInputs, TaskSegments } from './task_facts.js';

function SettleTask({ task, reload }) {
  const settle = (outcome) =>
    runWithToast(() => post(`tasks/${task.id}/settle`, { outcome }), t('task.settled')).then(reload);
  return html`<div class="caution stack">
    <span>${t('task.settle_note')}</span>
    <div class="row">
      <button type="button" class="button small" onClick=${() => settle('spent')}>
        ${t('task.settle_spent')}
      </button>
      <button type="button" class="button small" onClick=${() => settle('released')}>
        ${t('task.settle_released')}
      </button>
    </div>
  </div>`;
}

function TaskActions({ task, reload, onChange, onClose }) {
  const file = task.files?.[0];
  const cancelTask = () =>
    runWithToast(() => post(`tasks/${task.id}/cancel`), t('task.cancelling')).then(() => {
      reload();
      onChange?.();
    });
  const [form, setForm] = useState(null);
  const close = () => setForm(null);
  const openCreated = (created) => {
    onChange?.();
    openRow(created.id);
  };
  const retryTask = async () => {
    if (!(await askPrice(task))) return;
    const created = await runWithToast(() => post(`tasks/${task.id}/retry`), t('task.retried'));
    if (created) openCreated(created);
  };
  const again = () => setForm(html`<${AgainForm} task=${task} onClose=${close} onDone=${openCreated} />`);
  const compare = () => setForm(html`<${CompareForm} source=${takesOf(task)} onClose=${close} />`);
  const deleteTask = async () => {
    if (!(await askConfirmation({ title: t('task.delete'), text: t('task.delete_note'), action: t('delete') }))) return;
    if (await runWithToast(() => remove(`tasks/${task.id}`), t('task.deleted_now'))) {
      onClose();
      onChange?.();
    }
  };
  const copyCommand = async () => {
    const done = await copyToClipboard(curlCommand(task.request));
    showToast(t(done ? 'copied' : 'copy_failed'), done ? 'good' : 'bad');
  };
  const saveReceipt = () => runWithToast(() => downloadFile(`tasks/${task.id}/receipt`, {}, `receipt-${task.id}.json`));
  return html`<div class="row">
    ${
      file &&
      html`<a class="button" href=${gatewayLink(file.link)} download=${`${task.id}-${file.name}`}>
        ${t('download')}
      </a>`
    }
    ${
      may('content') &&
      hasEnded(task) &&
      html`<button type="button" class="button" onClick=${saveReceipt}>
        ${t('task.receipt')}
      </button>`
    }
    ${
      canWrite() &&
      task.actions.cancel &&
      html`<button type="button" class="button danger" disabled=${task.cancel_requested} onClick=${cancelTask}>
        ${t('task.cancel')}
      </button>`
    }
    ${
      canWrite() &&
      task.actions.retry &&
      html`<button type="button" class="button" onClick=${retryTask}>
        ${t('task.retry')}
      </button>`
    }
    ${
      canWrite() &&
      html`
        <button type="button" class="button" onClick=${again}>${t('again.elsewhere')}</button>
        <button type="button" class="button" onClick=${compare}>${t('compare.start')}</button>
      `
    }
    <button type="button" class="button" onClick=${copyCommand}>
      ${t('task.copy_curl')}
    </button>
    ${
      canWrite() &&
      hasEnded(task) &&
      !task.deleted &&
      html`<button type="button" class="button plain" onClick=${deleteTask}>
        ${t('delete')}
      </button>`
    }
    ${form}
  </div>`;
}

function TaskDetails({ task, reload, onChange, onClose }) {
  const [tab, setTab] = useState('timeline');
  return html`
    <${TaskMedia} task=${task} />
    <p class="prompt">${task.request.prompt}</p>
    <${TaskActions} task=${task} reload=${reload} onChange=${onChange} onClose=${onClose} />
    ${task.actions.settle && canWrite() && html`<${SettleTask} task=${task} reload=${reload} />`}
    <${TaskFacts} task=${task} />
    <${TaskAttempts} attempts=${task.attempt_rows} />
    <${TaskInputs} inputs=${task.inputs} />
    <${TaskSegments} segments=${task.segments} />
    <${Tabs}
      label=${valueLabel('kind', task.kind)}
      value=${tab}
      onPick=${setTab}
      options=${['timeline', 'request', 'answer', 'money'].map((name) => [name, t(`task.tab.${name}`)])}
    >
    ${tab === 'timeline' && html`<${TaskTimeline} task=${task} />`}
    ${
      tab === 'request' &&
      html`
        <${JsonBlock} value=${task.request} label=${t('task.tab.request')} />
        <${CodeBlock} text=${curlCommand(task.request)} label="curl" />
      `
    }
    ${
      tab === 'answer' &&
      html`<${JsonBlock}
        value=${{ operation: task.operation, answer: task.upstream_answer, error: task.error }}
        label=${t('task.tab.answer')}
      />`
    }
    ${
      tab === 'money' &&
      (task.ledger.length === 0 && task.vendor_cost == null
        ? html`<p class="quiet">${t('task.no_money')}</p>`
        : html`<dl class="facts">
          ${task.ledger.map(
            (row, n) =>
              html`
                <dt key=${n}>${valueLabel('ledger', row.kind)}</dt>
                <dd>
                  ${formatMoney(row.amount)}${' '}
                  <span class="quiet">
                    <${RelativeTime} at=${row.at} />
                  </span>
                </dd>
              `,
          )}
          ${
            task.vendor_cost != null &&
            html`
              <dt>${t('task.vendor_cost')}</dt>
              <dd id="task-vendor-cost">${formatMoney(task.vendor_cost)}</dd>
            `
          }
        </dl>`)
    }
    <//>
  `;
}

export function TaskDrawer({ id, onClose, onChange }) {
  const loaded = useLiveTask(id);
  const task = loaded.data;
  const isCancelling = task?.cancel_requested && !hasEnded(task);
  return html`<${Drawer}
    title=${task ? valueLabel('kind', task.kind) : t('page.tasks')}
    onClose=${onClose}
    side=${task && html`<${StateBadge} value=${isCancelling ? 'cancelling' : task.state} />`}
  >
    ${
      task
        ? html`<${TaskDetails} task=${task} reload=${loaded.reload} onChange=${onChange} onClose=${onClose} />`
        : html`<${LoadingNotice} ...${loaded} />`
    }
  <//>`;
}
