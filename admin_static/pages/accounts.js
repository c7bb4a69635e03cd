// Accounts: who can be sent work, how each is doing, and why one rests.
import { html, useEffect, useState } from '../lib/dom.js';
import { post, download, mayWrite } from '../lib/api.js';
import { t, word } from '../lib/i18n.js';
import { route, open, link } from '../lib/router.js';
import { useGet, Waiting } from '../lib/load.js';
import { useLive, usePolling } from '../lib/live.js';
import { number, money, percent } from '../lib/format.js';
import { Badge, Empty, Head, Heartbeat, Meter, Time } from '../lib/ui/bits.js';
import { Table, Bulk } from '../lib/ui/table.js';
import { Search, Choice } from '../lib/ui/search.js';
import { Dialog, Menu, ask, attempt, toast } from '../lib/ui/layers.js';
import { Fields, FormButtons, useForm } from '../lib/ui/form.js';
import { AccountDrawer } from './account.js';
import { AccountForm } from './account_form.js';
import { ImportDialog } from './account_import.js';
import { actionsOf } from '../lib/account_actions.js';

const STATES = ['ready', 'busy', 'cooling', 'draining', 'disabled', 'expired', 'exhausted', 'broken'];

const beats = (account) => (account.outcomes ?? []).map((one) => ({
  tone: one.ok ? 'good' : 'bad', title: word('error', one.word ?? (one.ok ? 'completed' : 'failed')),
}));

/** Some of its models rest, while the account works. */
const Resting = ({ cooldowns }) => html`<span class="small warn" title=${cooldowns.map((one) => `${one.model}: ${one.reason}`).join('\n')}>
  ${cooldowns.length === 1 ? t('account.rests_one', { model: cooldowns[0].model }) : t('account.rests', { n: cooldowns.length })} ${t('account.till')} <${Time} at=${Math.max(...cooldowns.map((one) => one.until))} /></span>`;

export const AccountState = ({ account }) => html`<span class="stack tight">
  <${Badge} value=${account.state} group="account" tone=${account.state === 'ready' && account.cooldowns.length > 0 ? 'warn' : undefined} />
  ${account.reason || account.until ? html`<span class="small soft">${account.reason} ${account.until && html`<${Time} at=${account.until} />`}</span>`
  : account.cooldowns.length > 0 && html`<${Resting} cooldowns=${account.cooldowns} />`}</span>`;

const Quota = ({ quota }) => {
  if (!quota) return html`<span class="quiet">–</span>`;
  const left = Number(quota.left);
  const limit = Number(quota.limit);
  const show = (value) => (quota.unit === 'usd' ? money(value) : number(value));
  return html`<span class="stack tight"><span>${show(left)} <span class="quiet">/ ${show(limit)}</span></span>
    <${Meter} share=${limit ? 1 - left / limit : 1} /></span>`;
};

const columns = (act) => [
  { key: 'name', label: t('account.name'), lead: true, cell: (one) => html`<strong>${one.name}</strong> <span class="quiet small">${one.provider}</span>` },
  { key: 'state', label: t('account.state'), cell: (one) => html`<${AccountState} account=${one} />` },
  { key: 'beats', label: t('account.recent'), wide: true, cell: (one) => html`<${Heartbeat} outcomes=${beats(one)} />` },
  { key: 'slots', label: t('account.in_flight'), number: true, cell: (one) => html`${one.in_flight} <span class="quiet">/ ${one.slots}</span>` },
  { key: 'quota', label: t('account.quota'), cell: (one) => html`<${Quota} quota=${one.quota} />` },
  { key: 'plan', label: t('account.plan'), cell: (one) => (one.plan || one.tags.length > 0) && html`${one.plan} ${one.tags.map((tag) => html`<span class="tag" key=${tag}>${tag}</span> `)}` },
  { key: 'rate', label: t('account.success'), number: true, cell: (one) => percent(one.success_rate, 0) },
  { key: 'acts', label: '', acts: true, cell: (one) => html`<span class="row tight nowrap">
    ${mayWrite() && one.cooldowns.length > 0 && html`<button type="button" class="button small" onClick=${() => act.clear(one)}>${t('account.clear')}</button>`}
    ${mayWrite() && html`<${Menu} items=${act.menu(one)} label=${`${t('actions')}: ${one.name}`} />`}</span>` },
];

function ExportDialog({ onClose }) {
  const form = useForm({ format: 'json', secrets: false, password: '' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async ({ format, secrets, password }) => {
      if (secrets) {
        const response = await post('accounts/export', { format, secrets, password }, { raw: true });
        const { save } = await import('../lib/api.js');
        await save(await response.blob(), `accounts.${format}`);
      } else await download('accounts/export', { format }, `accounts.${format}`);
      toast(t('exported'));
      onClose();
    });
  };
  return html`<${Dialog} size="small" title=${t('accounts.export')} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}><${Fields} form=${form} prefix="export" fields=${[
      { name: 'format', label: t('format'), kind: 'select', wide: true, options: [['json', 'JSON'], ['csv', 'CSV']] },
      { name: 'secrets', label: t('accounts.with_secrets'), hint: t('accounts.with_secrets_hint'), kind: 'check', wide: true },
      { name: 'password', label: t('own_password'), kind: 'password', autocomplete: 'current-password', wide: true, when: (values) => values.secrets },
    ]} /><div class="row"><${FormButtons} form=${form} label=${t('export')} onCancel=${onClose} /></div></form><//>`;
}

const Nothing = ({ show }) => html`<${Empty} title=${t('accounts.none')} actions=${mayWrite() && html`
    <button type="button" class="button main" onClick=${() => show('add')}>${t('accounts.add')}</button>
    <button type="button" class="button" onClick=${() => show('import')}>${t('accounts.import')}</button>`}>${t('accounts.none_note')}<//>`;

const BulkBar = ({ picked, bulk, clear }) => html`<${Bulk} picked=${picked} onClear=${clear}>
  ${['test', 'clear', 'enable', 'disable', 'drain', 'delete'].map((action) => html`
    <button type="button" class="button small" key=${action} onClick=${() => bulk(action)}>${t(`account.do.${action}`)}</button>`)}<//>`;

export function Page() {
  const { id, query } = route.value;
  const list = useGet('accounts', { q: query.q, state: query.state, provider: query.provider, tag: query.tag });
  const providers = useGet('providers');
  const [picked, setPicked] = useState(new Set());
  const [shown, show] = useState('');
  useEffect(() => { if (query.add) show('add'); }, [query.add]);
  useLive('accounts', list.reload);
  useLive('task', () => { clearTimeout(globalThis.accountsSoon); globalThis.accountsSoon = setTimeout(list.reload, 700); });
  usePolling(list.reload, 10, true);

  const rows = list.data?.data ?? [];
  const pick = (ids, all) => setPicked((old) => {
    if (all) return new Set(ids);
    const next = new Set(old);
    for (const one of ids) if (!next.delete(one)) next.add(one);
    return next;
  });
  const bulk = async (action) => {
    if (action === 'delete' && !await ask({ title: t('accounts.delete_many', { n: picked.size }), text: t('account.delete_note'), action: t('delete') })) return;
    const done = await attempt(() => post('accounts/bulk', { ids: [...picked], action }));
    if (!done) return;
    const bad = done.data.filter((row) => !row.ok);
    toast(t('accounts.bulk_done', { good: done.data.length - bad.length, all: done.data.length }) + (bad.length ? ` · ${bad[0].message}` : ''), bad.length ? 'bad' : 'good');
    setPicked(new Set());
    list.reload();
  };
  const act = actionsOf({ reload: list.reload, edit: (one) => open(one.id) });
  const filtered = query.q || query.state || query.provider;

  return html`<${Head} title=${t('page.accounts')}>
      <button type="button" class="button" onClick=${() => show('export')}>${t('export')}</button>
      ${mayWrite() && html`<button type="button" class="button" onClick=${() => show('import')}>${t('accounts.import')}</button>
      <button type="button" class="button main" onClick=${() => show('add')}>${t('accounts.add')}</button>`}<//>
    <div class="filters"><${Search} placeholder=${t('accounts.search')} />
      <${Choice} name="state" all=${t('accounts.any_state')} options=${STATES.map((state) => [state, word('account', state)])} />
      <${Choice} name="provider" all=${t('accounts.any_provider')} options=${(providers.data?.data ?? []).map((one) => [one.name])} /></div>
    ${!list.data ? html`<${Waiting} ...${list} />`
    : rows.length === 0 && filtered ? html`<${Empty} title=${t('nothing_matches')} actions=${html`<a class="button" href="#/accounts">${t('filters.clear')}</a>`} />`
    : rows.length === 0 ? html`<${Nothing} show=${show} />`
    : html`<${Table} label=${t('page.accounts')} columns=${columns(act)} rows=${rows} chosen=${id} onOpen=${(one) => open(one.id)}
        picked=${mayWrite() ? picked : undefined} onPick=${pick} />
      ${rows.every((one) => one.embedded) && html`<p class="soft row">${t('accounts.only_studio')} <a href=${link('playground')}>${t('accounts.try_studio')}</a>
        ${mayWrite() && html`<button type="button" class="text-button" onClick=${() => show('import')}>${t('accounts.import')}</button>`}</p>`}`}
    <${BulkBar} picked=${picked} bulk=${bulk} clear=${() => setPicked(new Set())} />
    ${id && html`<${AccountDrawer} key=${id} id=${id} act=${act} providers=${providers.data?.data ?? []} onClose=${() => open('')} onChange=${list.reload} />`}
    ${shown === 'add' && html`<${AccountForm} providers=${providers.data?.data ?? []} onClose=${() => show('')} onDone=${(made) => { show(''); list.reload(); open(made.id); }} />`}
    ${shown === 'import' && html`<${ImportDialog} providers=${providers.data?.data ?? []} onClose=${() => show('')} onDone=${list.reload} />`}
    ${shown === 'export' && html`<${ExportDialog} onClose=${() => show('')} />`}`;
}
