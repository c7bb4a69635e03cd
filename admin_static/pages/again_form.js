// A task is made again, as it was or on another account; the price is told first.
import { html, useState } from '../lib/dom.js';
import { get, post } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { useGet } from '../lib/api_hooks.js';
import { AccountChoice } from '../lib/ui/account_choice.js';
import { Dialog, askConfirmation, runWithToast } from '../lib/ui/dialogs.js';
import { priceText } from './task_bulk.js';

/** Asks whether the task is to be made again, and says what that costs. */
export async function askPrice(task) {
  const price = await runWithToast(() => get('tasks/retry-price', { ids: task.id }));
  if (!price) return false;
  const text = `${t('task.retry_note')} ${priceText(price, 1)}`;
  return askConfirmation({ title: t('task.retry'), text, action: t('task.retry'), danger: false });
}

/** `onDone(created)` after the new task was made. */
export function AgainForm({ task, onClose, onDone }) {
  const [account, setAccount] = useState(null);
  const [busy, setBusy] = useState(false);
  const price = useGet('tasks/retry-price', { ids: task.id });
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    const created = await runWithToast(() => post(`tasks/${task.id}/retry`, { account }), t('task.retried'));
    setBusy(false);
    if (!created) return;
    onClose();
    onDone(created);
  };
  return html`<${Dialog} size="small" title=${t('again.elsewhere')} onClose=${onClose}>
    <form class="stack" id="again" onSubmit=${submit}>
      <p class="soft">
        ${t('again.note', { model: task.model, account: task.account?.name ?? '–' })}
        ${price.data && ` ${priceText(price.data, 1)}`}
      </p>
      <div class="field">
        <label for="again-account">${t('task.account')}</label>
        <${AccountChoice}
          id="again-account"
          model=${task.model}
          kind=${task.kind}
          value=${account}
          onChange=${setAccount}
          without=${task.account?.id}
          anyAllowed=${false}
        />
      </div>
      <div class="row">
        <button type="button" class="button" onClick=${onClose}>${t('cancel')}</button>
        <button type="submit" class="button main" disabled=${busy || !account || !price.data}>
          ${t('task.retry')}
        </button>
      </div>
    </form>
  <//>`;
}
