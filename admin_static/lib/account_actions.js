// What may be done with one account, for its row and its drawer.
import { post, remove } from './api.js';
import { t } from './i18n.js';
import { money } from './format.js';
import { ask, attempt, toast } from './ui/layers.js';

export function actionsOf({ reload, edit }) {
  const act = {
    async test(one) {
      const found = await attempt(() => post(`accounts/${one.id}/test`));
      if (!found) return null;
      const balance = found.balance ? ` · ${found.balance.unit === 'USD' ? money(found.balance.left) : `${found.balance.left} ${found.balance.unit}`}` : '';
      toast(`${one.name}: ${found.message} (${Math.round(found.milliseconds)} ms)${balance}`, found.ok ? 'good' : 'bad');
      reload();
      return found;
    },
    clear: (one) => attempt(() => post(`accounts/${one.id}/clear`), t('account.cleared', { name: one.name })).then(reload),
    enable: (one) => attempt(() => post(`accounts/${one.id}/enable`), t('account.is_enabled', { name: one.name })).then(reload),
    disable: (one) => attempt(() => post(`accounts/${one.id}/disable`), t('account.is_disabled', { name: one.name })).then(reload),
    drain: (one) => attempt(() => post(`accounts/${one.id}/drain`), t('account.is_draining', { name: one.name })).then(reload),
    async duplicate(one) {
      const made = await attempt(() => post(`accounts/${one.id}/duplicate`, { name: `${one.name}-${Date.now().toString(36).slice(-4)}` }), (copy) => t('account.duplicated', { name: copy.name }));
      reload();
      if (made) edit(made);
    },
    async remove(one) {
      if (!await ask({ title: t('account.delete', { name: one.name }), text: t('account.delete_note'), action: t('delete') })) return false;
      try {
        await remove(`accounts/${one.id}`);
      } catch (error) {
        if (error.code !== 'account_busy') { toast(error.message, 'bad'); return false; }
        if (!await ask({ title: t('account.still_busy'), text: error.message, action: t('account.delete_anyway') })) return false;
        if (!await attempt(() => remove(`accounts/${one.id}?force=1`))) return false;
      }
      toast(t('account.gone', { name: one.name }));
      reload();
      return true;
    },
    menu: (one) => [
      [t('account.do.test'), () => act.test(one)],
      one.cooldowns.length > 0 && [t('account.clear'), () => act.clear(one)],
      !one.read_only && null,
      !one.read_only && [t('account.edit'), () => edit(one)],
      !one.read_only && (one.enabled ? [t('account.do.disable'), () => act.disable(one)] : [t('account.do.enable'), () => act.enable(one)]),
      !one.read_only && one.enabled && [t('account.do.drain'), () => act.drain(one)],
      !one.read_only && [t('account.duplicate'), () => act.duplicate(one)],
      !one.read_only && null,
      !one.read_only && [t('delete'), () => act.remove(one), 'bad'],
    ],
  };
  return act;
}
