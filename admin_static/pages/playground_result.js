// The tasks that the playground has created, and the same request as code.
import { html, useState } from '../lib/dom.js';
import { canWrite, post, gatewayLink } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { pageLink } from '../lib/router.js';
import { LoadingNotice } from '../lib/api_hooks.js';
import { useLiveTask } from '../lib/live_task.js';
import { formatDuration, formatMoney } from '../lib/format.js';
import { CodeBlock, StateBadge } from '../lib/ui/elements.js';
import { Tabs } from '../lib/ui/tabs.js';
import { runWithToast } from '../lib/ui/dialogs.js';
import { SNIPPETS } from '../lib/snippets.js';
import { TaskMedia } from './task_facts.js';

/** What two takes differ in: who made them, for how much, and how long it took. */
function TakeFacts({ task }) {
  const reserved = task.ledger.find((row) => row.kind === 'reserve');
  return html`<dl class="facts">
    <dt>${t('task.state')}</dt>
    <dd><${StateBadge} value=${task.state} /></dd>
    <dt>${t('task.account')}</dt>
    <dd>${task.account?.name ?? '–'}</dd>
    <dt>${t('task.cost')}</dt>
    <dd>
      ${
        task.cost == null && reserved
          ? t('task.reserved', { amount: formatMoney(reserved.amount) })
          : formatMoney(task.cost)
      }
    </dd>
    <dt>${t('task.took')}</dt>
    <dd>${formatDuration(task.seconds)}</dd>
  </dl>`;
}

/** `created`: a task, of which the id is enough; `facts`: with what takes are compared by. */
export function TaskResult({ created, facts }) {
  const loaded = useLiveTask(created.id);
  const task = loaded.data;
  if (!task) return html`<${LoadingNotice} ...${loaded} />`;
  const cancelTask = () =>
    runWithToast(() => post(`tasks/${task.id}/cancel`), t('task.cancelling')).then(loaded.reload);
  return html`<article class="stack" data-task=${task.id} data-state=${task.state}>
    <div class="row apart">
      <strong>${task.model}</strong>
      ${!facts && html`<span class="soft">${formatMoney(task.cost)}</span>`}
    </div>
    <${TaskMedia} task=${task} />
    ${facts && html`<${TakeFacts} task=${task} />`}
    <div class="row">
      ${
        task.files[0] &&
        html`<a class="button small" href=${gatewayLink(task.files[0].link)} download=${task.files[0].name}>
          ${t('download')}
        </a>`
      }
      ${
        task.actions.cancel &&
        canWrite() &&
        html`<button type="button" class="button small" onClick=${cancelTask}>
          ${t('task.cancel')}
        </button>`
      }
      <a class="button small plain" href=${pageLink(`tasks/${task.id}`)}>
        ${t('playground.in_tasks')}
      </a>
    </div>
  </article>`;
}

export function CodeSnippets({ request }) {
  const [tab, setTab] = useState('curl');
  return html`<section class="stack">
    <h2>${t('playground.snippet')}</h2>
    <${Tabs}
      label=${t('playground.snippet')}
      value=${tab}
      onPick=${setTab}
      options=${[
        ['curl', 'curl'],
        ['python', 'Python'],
        ['node', 'Node'],
      ]}
    >
    <${CodeBlock} text=${SNIPPETS[tab](request)} label=${tab} />
    <//>
  </section>`;
}
