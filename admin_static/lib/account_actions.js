// The actions for one account, shared by its row and its drawer.
import { html } from './dom.js';
import { post, remove } from './api.js';
import { t } from './i18n.js';
import { errorText, testText } from './server_words.js';
import { formatDuration, formatMoney } from './format.js';
import { askConfirmation, runWithToast, showToast } from './ui/dialogs.js';

/** Like "$12.50" or "300 credits". */
const balanceText = (balance) =>
  balance.unit === 'USD' ? formatMoney(balance.left) : `${balance.left} ${balance.unit}`;

/** Say what was deleted, with the button that brings it back. The gateway keeps it, whatever happens to this page. */
export function offerUndo(ids, text, reload) {
  const restore = () =>
    runWithToast(
      () => post('accounts/restore', { ids }),
      (answer) => t('accounts.restored', { n: answer.data.length }),
    ).then(reload);
  showToast(text, 'good', restore);
}

export function accountActions({ reload, edit }) {
  const actions = {
    async test(account) {
      const result = await runWithToast(() => post(`accounts/${account.id}/test`));
      if (!result) return null;
      showToast(
        html`${account.name}: ${testText(result)} (${formatDuration(result.milliseconds / 1000)})
        ${result.balance && ` · ${balanceText(result.balance)}`}`,
        result.ok ? 'good' : 'bad',
      );
      reload();
      return result;
    },
    clear: (account) =>
      runWithToast(() => post(`accounts/${account.id}/clear`), t('account.cleared', { name: account.name })).then(
        reload,
      ),
    enable: (account) =>
      runWithToast(() => post(`accounts/${account.id}/enable`), t('account.is_enabled', { name: account.name })).then(
        reload,
      ),
    disable: (account) =>
      runWithToast(() => post(`accounts/${account.id}/disable`), t('account.is_disabled', { name: account.name })).then(
        reload,
      ),
    drain: (account) =>
      runWithToast(() => post(`accounts/${account.id}/drain`), t('account.is_draining', { name: account.name })).then(
        reload,
      ),
    async duplicate(account) {
      const duplicate = await runWithToast(
        () =>
          post(`accounts/${account.id}/duplicate`, {
            name: `${account.name}-${Date.now().toString(36).slice(-4)}`,
          }),
        (copy) => t('account.duplicated', { name: copy.name }),
      );
      reload();
      if (duplicate) edit(duplicate);
    },
    async remove(account) {
      if (
        !(await askConfirmation({
          title: t('account.delete', { name: account.name }),
          text: t('account.delete_note'),
          action: t('delete'),
        }))
      )
        return false;
      try {
        await remove(`accounts/${account.id}`);
      } catch (error) {
        if (error.code !== 'account_busy') {
          showToast(errorText(error), 'bad');
          return false;
        }
        if (
          !(await askConfirmation({
            title: t('account.still_busy'),
            text: errorText(error),
            action: t('account.delete_anyway'),
          }))
        )
          return false;
        if (!(await runWithToast(() => remove(`accounts/${account.id}?force=1`)))) return false;
      }
      offerUndo([account.id], t('account.deleted', { name: account.name }), reload);
      reload();
      return true;
    },
    menu: (account) => [
      [t('account.do.test'), () => actions.test(account)],
      account.cooldowns.length > 0 && [t('account.clear'), () => actions.clear(account)],
      !account.read_only && null,
      !account.read_only && [t('account.edit'), () => edit(account)],
      !account.read_only &&
        (account.enabled
          ? [t('account.do.disable'), () => actions.disable(account)]
          : [t('account.do.enable'), () => actions.enable(account)]),
      !account.read_only && account.enabled && [t('account.do.drain'), () => actions.drain(account)],
      !account.read_only && [t('account.duplicate'), () => actions.duplicate(account)],
      !account.read_only && null,
      !account.read_only && [t('delete'), () => actions.remove(account), 'bad'],
    ],
  };
  return actions;
}
