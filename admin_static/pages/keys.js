// Keys: what clients sign in with, what they may do, what they have spent.
import { html, useEffect, useState } from '../lib/dom.js';
import { patch, post, remove, mayWrite } from '../lib/api.js';
import { t, word } from '../lib/i18n.js';
import { route, open, link } from '../lib/router.js';
import { useGet, Waiting } from '../lib/load.js';
import { money, number } from '../lib/format.js';
import { Badge, Code, CopyButton, Empty, Head, Meter, Spark, Time } from '../lib/ui/bits.js';
import { Table } from '../lib/ui/table.js';
import { Search, Choice } from '../lib/ui/search.js';
import { Dialog, Drawer, Menu, ask, attempt } from '../lib/ui/layers.js';
import { Fields, FormButtons, useForm } from '../lib/ui/form.js';
import { KeyForm } from './key_form.js';
import { KeyEndpoints } from './key_endpoints.js';

const PERIODS = ['daily', 'monthly', 'total'];

function Budget({ one }) {
  const set = PERIODS.find((name) => one.budget?.[name] != null);
  const spent = Number(one.spent[set ?? 'total']) + Number(one.spent.reserved ?? 0);
  if (!set) return html`<span>${money(one.spent.total)}</span>`;
  const limit = Number(one.budget[set]);
  return html`<span class="stack tight"><span class="nowrap">${money(spent)} <span class="quiet">/ ${money(limit)} ${t(`key.budget.${set}`)}</span></span>
    <${Meter} share=${limit ? spent / limit : 1} /></span>`;
}

const columns = (act) => [
  { key: 'name', label: t('key.name'), lead: true, cell: (one) => html`<strong>${one.name}</strong> <span class="quiet small mono">${one.hint}</span>` },
  { key: 'state', label: t('key.state'), cell: (one) => html`<${Badge} value=${one.state} group="key_state" tone=${{ active: 'good', disabled: '', expired: 'bad' }[one.state]} />` },
  { key: 'spent', label: t('key.spent'), cell: (one) => html`<${Budget} one=${one} />` },
  { key: 'usage', label: t('key.usage'), cell: (one) => html`<${Spark} values=${one.sparkline} label=${t('key.usage')} />` },
  { key: 'flight', label: t('account.in_flight'), number: true, cell: (one) => html`${one.in_flight}${one.tasks_limit && html` <span class="quiet">/ ${one.tasks_limit}</span>`}` },
  { key: 'limits', label: t('key.limits'), cell: (one) => html`${one.rpm && html`<span class="tag">${t('key.rpm_tag', { n: one.rpm })}</span> `}${one.models.length > 0 && html`<span class="tag" title=${one.models.join(', ')}>${t('key.models_tag', { n: one.models.length })}</span> `}${one.networks.length > 0 && html`<span class="tag" title=${one.networks.join(', ')}>IP</span>`}` },
  { key: 'expires', label: t('key.expires'), cell: (one) => (one.expires_at ? html`<${Time} at=${one.expires_at} />` : html`<span class="quiet">${t('never')}</span>`) },
  { key: 'acts', label: '', acts: true, cell: (one) => mayWrite() && !one.read_only && html`<${Menu} items=${act.menu(one)} label=${`${t('actions')}: ${one.name}`} />` },
];

/** The one moment in which a key can be read. */
const Secret = ({ made, onClose }) => html`<${Dialog} title=${t('key.once')} onClose=${onClose} foot=${html`<button type="button" class="button main" onClick=${onClose}>${t('key.kept')}</button>`}>
  <p class="soft">${t('key.once_note')}</p><div id="new-secret"><${Code} text=${made.secret} label=${t('key.once')} /></div>
  <${Code} text=${`from openai import OpenAI\n\nclient = OpenAI(base_url="${location.origin}/v1", api_key="${made.secret}")`} label="Python" /><//>`;

function Rotate({ one, onClose, onDone }) {
  const form = useForm({ overlap_seconds: '86400' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => onDone(await post(`keys/${one.id}/rotate`, { overlap_seconds: Number(values.overlap_seconds) })));
  };
  return html`<${Dialog} size="small" title=${t('key.rotate')} onClose=${onClose}><form class="stack" onSubmit=${submit}>
    <${Fields} form=${form} prefix="rotate" fields=${[{ name: 'overlap_seconds', label: t('key.overlap'), kind: 'select', wide: true, hint: t('key.overlap_hint'),
      options: [['0', t('key.overlap_none')], ['3600', t('span.hour')], ['86400', t('span.day')], ['604800', t('span.week')]] }]} />
    <div class="row"><${FormButtons} form=${form} label=${t('key.rotate')} onCancel=${onClose} /></div></form><//>`;
}

function KeyDrawer({ id, act, show, onClose }) {
  const loaded = useGet(`keys/${encodeURIComponent(id)}`);
  const one = loaded.data;
  const list = (values) => (values.length ? values.map((value) => html`<span class="tag" key=${value}>${value}</span> `) : t('any'));
  return html`<${Drawer} title=${one?.name ?? t('page.keys')} onClose=${onClose}>${!one ? html`<${Waiting} ...${loaded} />` : html`
    ${mayWrite() && !one.read_only && html`<div class="row">
      <button type="button" class="button" onClick=${() => show(['edit', one])}>${t('key.edit')}</button>
      <button type="button" class="button" onClick=${() => show(['rotate', one])}>${t('key.rotate')}</button>
      <button type="button" class="button" onClick=${() => act.toggle(one).then(loaded.reload)}>${t(one.enabled ? 'key.disable' : 'key.enable')}</button>
      <button type="button" class="button plain" onClick=${() => act.revoke(one).then(loaded.reload)}>${t('key.revoke')}</button></div>`}
    ${one.read_only && html`<p class="soft">${word('read_only', one.source)}</p>`}
    <dl class="facts">
      <dt>${t('key.state')}</dt><dd><${Badge} value=${one.state} group="key_state" tone=${one.state === 'active' ? 'good' : ''} /></dd>
      <dt>${t('key.owner')}</dt><dd><${CopyButton} text=${one.owner} /></dd>
      <dt>${t('key.spent')}</dt><dd>${PERIODS.map((name) => html`<div key=${name}>${t(`key.spent.${name}`)} ${money(one.spent[name])}${one.budget?.[name] != null && html` <span class="quiet">/ ${money(one.budget[name])}</span>`}</div>`)}
        ${Number(one.spent.reserved) > 0 && html`<div class="quiet">${t('key.reserved', { amount: money(one.spent.reserved) })}</div>`}</dd>
      <dt>${t('key.rpm')}</dt><dd>${one.rpm ?? t('any')}</dd><dt>${t('key.tasks_limit')}</dt><dd>${one.in_flight} / ${one.tasks_limit ?? '∞'}</dd>
      <dt>${t('key.models')}</dt><dd>${list(one.models)}</dd><dt>${t('key.networks')}</dt><dd>${list(one.networks)}</dd>
      <dt>${t('key.expires')}</dt><dd>${one.expires_at ? html`<${Time} at=${one.expires_at} />` : t('never')}</dd>
      ${one.old_until && html`<dt>${t('key.old_until')}</dt><dd><${Time} at=${one.old_until} /></dd>`}
      ${one.note && html`<dt>${t('note')}</dt><dd>${one.note}</dd>`}
      <dt>${t('account.created')}</dt><dd><${Time} at=${one.created_at} /></dd></dl>
    <section><h3>${t('key.usage')}</h3><${Spark} values=${one.sparkline} label=${t('key.usage')} /> <span class="quiet small">${number(one.sparkline.reduce((sum, n) => sum + n, 0))}</span></section>
    <p class="row"><a href=${link('tasks', { key: one.id })}>${t('account.its_tasks')}</a><a href=${link('logs', { key: one.id })}>${t('key.its_requests')}</a></p>
    <${KeyEndpoints} id=${one.id} />`}<//>`;
}

export function Page() {
  const { id, query } = route.value;
  const list = useGet('keys', { q: query.q, state: query.state });
  const [shown, show] = useState([]);
  const [made, setMade] = useState(null);
  useEffect(() => { if (query.add) show(['add']); }, [query.add]);
  const close = () => show([]);
  const done = (key) => { close(); list.reload(); if (key.secret) setMade(key); };
  const act = {
    toggle: (one) => attempt(() => patch(`keys/${one.id}`, { enabled: !one.enabled }), t('key.saved', { name: one.name })).then(list.reload),
    revoke: async (one) => {
      if (!await ask({ title: t('key.revoke_title', { name: one.name }), text: t('key.revoke_note'), action: t('key.revoke') })) return;
      await attempt(() => remove(`keys/${one.id}`), t('key.revoked', { name: one.name }));
      list.reload();
    },
    menu: (one) => [[t('key.edit'), () => show(['edit', one])], [t('key.rotate'), () => show(['rotate', one])],
      [t(one.enabled ? 'key.disable' : 'key.enable'), () => act.toggle(one)], null, [t('key.revoke'), () => act.revoke(one), 'bad']],
  };
  const rows = list.data?.data ?? [];
  return html`<${Head} title=${t('page.keys')}>${mayWrite() && html`<button type="button" class="button main" onClick=${() => show(['add'])}>${t('keys.add')}</button>`}<//>
    <div class="filters"><${Search} placeholder=${t('keys.search')} /><${Choice} name="state" all=${t('keys.any_state')} options=${['active', 'disabled', 'expired'].map((state) => [state, word('key_state', state)])} /></div>
    ${!list.data ? html`<${Waiting} ...${list} />` : rows.length === 0
      ? html`<${Empty} title=${query.q || query.state ? t('nothing_matches') : t('keys.none')} actions=${mayWrite() && html`<button type="button" class="button main" onClick=${() => show(['add'])}>${t('keys.add')}</button>`}>${t('keys.none_note')}<//>`
      : html`<${Table} label=${t('page.keys')} columns=${columns(act)} rows=${rows} chosen=${id} onOpen=${(one) => open(one.id)} />`}
    ${id && html`<${KeyDrawer} key=${id + (shown[0] ?? '')} id=${id} act=${act} show=${show} onClose=${() => open('')} />`}
    ${(shown[0] === 'add' || shown[0] === 'edit') && html`<${KeyForm} one=${shown[1]} onClose=${close} onDone=${done} />`}
    ${shown[0] === 'rotate' && html`<${Rotate} one=${shown[1]} onClose=${close} onDone=${done} />`}
    ${made && html`<${Secret} made=${made} onClose=${() => setMade(null)} />`}`;
}
