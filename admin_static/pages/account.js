// One account in a drawer: how it stands, why it rests, its numbers; edit, rotate.
import { html, useState } from '../lib/dom.js';
import { post, mayWrite } from '../lib/api.js';
import { t, word } from '../lib/i18n.js';
import { link } from '../lib/router.js';
import { useGet, Waiting } from '../lib/load.js';
import { useLive } from '../lib/live.js';
import { duration, number, percent } from '../lib/format.js';
import { Badge, CopyButton, Heartbeat, Json, Time } from '../lib/ui/bits.js';
import { Dialog, Drawer, attempt } from '../lib/ui/layers.js';
import { Fields, FormButtons, useForm } from '../lib/ui/form.js';
import { AccountForm } from './account_form.js';

function Cooldowns({ account, act, reload }) {
  if (account.cooldowns.length === 0) return null;
  const clear = (model) => attempt(() => post(`accounts/${account.id}/clear`, { model }), t('account.cleared', { name: account.name })).then(reload);
  return html`<section class="stack"><h3>${t('account.cooldowns')}</h3>
    ${account.cooldowns.map((one) => html`<div class="caution row apart" key=${one.model}>
      <span><strong>${one.model === '*' ? t('account.whole') : one.model}</strong> · ${one.reason}<br />
        <span class="small">${t('account.since')} <${Time} at=${one.since} /> · ${t('account.until')} <${Time} at=${one.until} /> · ${t('account.strikes', { n: one.strikes })}</span></span>
      ${mayWrite() && html`<button type="button" class="button small" onClick=${() => clear(one.model)}>${t('account.clear')}</button>`}</div>`)}</section>`;
}

function Rotate({ account, onClose, onDone }) {
  const form = useForm({ secret: '' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      if (await attempt(() => post(`accounts/${account.id}/rotate`, values), t('account.rotated'))) onDone();
    });
  };
  return html`<${Dialog} size="small" title=${t('account.rotate')} onClose=${onClose}><form class="stack" onSubmit=${submit}>
    <${Fields} form=${form} prefix="rotate" fields=${[{ name: 'secret', label: t('account.new_secret'), kind: 'secret', wide: true, required: true, hint: t('account.rotate_hint') }]} />
    <div class="row"><${FormButtons} form=${form} label=${t('account.rotate')} onCancel=${onClose} /></div></form><//>`;
}

const Facts = ({ one }) => html`<dl class="facts">
  <dt>${t('account.provider')}</dt><dd>${one.provider}${one.source !== 'store' && html` <span class="tag">${word('source', one.source)}</span>`}</dd>
  ${one.base_url && html`<dt>${t('account.base_url')}</dt><dd><${CopyButton} text=${one.base_url} /></dd>`}
  <dt>${t('account.secret')}</dt><dd class="mono">${one.secret_hint || '–'}</dd>
  <dt>${t('account.in_flight')}</dt><dd><a href=${link('tasks', { account: one.id, state: 'open' })}>${one.in_flight}</a> / ${one.slots}${one.rpm ? ` · ${t('account.rpm', { n: one.rpm })}` : ''}</dd>
  <dt>${t('account.success')}</dt><dd>${percent(one.success_rate)} <span class="quiet">${t('account.counts', { good: number(one.successes), bad: number(one.failures) })}</span></dd>
  <dt>${t('account.average')}</dt><dd>${duration(one.average_seconds)}</dd>
  ${one.quota && html`<dt>${t('account.quota')}</dt><dd>${one.quota.left} / ${one.quota.limit} ${one.quota.unit === 'usd' ? 'USD' : t('account.tasks')}${one.quota.period !== 'none' ? ` · ${word('period', one.quota.period)}` : ''}
    ${one.quota.resets_at && html` · ${t('account.resets')} <${Time} at=${one.quota.resets_at} />`}</dd>`}
  <dt>${t('account.order')}</dt><dd>${t('account.order_value', { tier: one.tier, weight: one.weight })}</dd>
  ${one.expires_at && html`<dt>${t('account.expires')}</dt><dd><${Time} at=${one.expires_at} /></dd>`}
  ${(one.plan || one.tags.length > 0) && html`<dt>${t('account.plan')}</dt><dd>${one.plan} ${one.tags.map((tag) => html`<span class="tag" key=${tag}>${tag}</span> `)}</dd>`}
  ${one.note && html`<dt>${t('note')}</dt><dd>${one.note}</dd>`}
  <dt>${t('account.created')}</dt><dd><${Time} at=${one.created_at} /></dd>
  <dt>${t('id')}</dt><dd><${CopyButton} text=${one.id} /></dd></dl>`;

const Models = ({ models }) => html`<section><h3>${t('account.models')}</h3><dl class="facts">
  ${Object.entries(models ?? {}).map(([ours, theirs]) => html`<dt key=${ours} class="mono">${ours === '*' ? t('account.every_model') : ours}</dt>
    <dd class="mono">→ ${theirs === '*' ? t('account.same_name') : theirs}</dd>`)}</dl></section>`;

export function AccountDrawer({ id, act, providers, onClose, onChange }) {
  const loaded = useGet(`accounts/${encodeURIComponent(id)}`);
  const [shown, show] = useState('');
  const [tested, setTested] = useState(null);
  useLive('accounts', loaded.reload);
  const one = loaded.data;
  const changed = () => { loaded.reload(); onChange(); };
  const then = (work) => async () => { await work(one); changed(); };
  const test = async () => { setTested(await act.test(one)); loaded.reload(); };
  const beats = (one?.outcomes ?? []).map((beat) => ({ tone: beat.ok ? 'good' : 'bad', title: word('error', beat.word ?? '') }));
  return html`<${Drawer} title=${one?.name ?? t('page.accounts')} onClose=${onClose} side=${one && html`<${Badge} value=${one.state} group="account" />`}>
    ${!one ? html`<${Waiting} ...${loaded} />` : html`
      ${(one.reason || one.until) && html`<p class="caution">${one.reason} ${one.until && html`<${Time} at=${one.until} />`}</p>`}
      ${tested && html`<p class=${tested.ok ? 'fine' : 'trouble'} id="test-result">${tested.message} <span class="small">${Math.round(tested.milliseconds)} ms</span></p>`}
      ${mayWrite() && html`<div class="row">
        <button type="button" class="button main" onClick=${test}>${t('account.do.test')}</button>
        ${!one.read_only && html`<button type="button" class="button" onClick=${() => show('edit')}>${t('account.edit')}</button>
          ${one.enabled ? html`<button type="button" class="button" onClick=${then(act.disable)}>${t('account.do.disable')}</button>
            <button type="button" class="button" onClick=${then(act.drain)}>${t('account.do.drain')}</button>`
          : html`<button type="button" class="button" onClick=${then(act.enable)}>${t('account.do.enable')}</button>`}
          <button type="button" class="button" onClick=${() => show('rotate')}>${t('account.rotate')}</button>
          <button type="button" class="button plain" onClick=${() => act.remove(one).then((gone) => gone && onClose())}>${t('delete')}</button>`}</div>`}
      ${one.read_only && html`<p class="soft">${word('read_only', one.source)}</p>`}
      <${Cooldowns} account=${one} act=${act} reload=${changed} />
      <section><h3>${t('account.recent')}</h3><${Heartbeat} outcomes=${beats} /></section>
      <${Facts} one=${one} /><${Models} models=${one.models} />
      ${Object.keys(one.options ?? {}).length > 0 && html`<section><h3>${t('account.options')}</h3><${Json} value=${one.options} /></section>`}
      <a href=${link('tasks', { account: one.id })}>${t('account.its_tasks')}</a>
      ${shown === 'edit' && html`<${AccountForm} account=${one} providers=${providers} onClose=${() => show('')} onDone=${() => { show(''); changed(); }} />`}
      ${shown === 'rotate' && html`<${Rotate} account=${one} onClose=${() => show('')} onDone=${() => { show(''); changed(); }} />`}`}<//>`;
}
