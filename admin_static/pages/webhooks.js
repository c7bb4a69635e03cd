// Webhooks: what was told to whom, how often it was tried, and the endpoints.
import { html, useState } from '../lib/dom.js';
import { post, remove, mayWrite } from '../lib/api.js';
import { t, word } from '../lib/i18n.js';
import { route, open, link, filter } from '../lib/router.js';
import { useGet, useList, Waiting } from '../lib/load.js';
import { usePolling } from '../lib/live.js';
import { Badge, Code, CopyButton, Empty, Head, Tabs, Time } from '../lib/ui/bits.js';
import { Table, Pager } from '../lib/ui/table.js';
import { Choice } from '../lib/ui/search.js';
import { Dialog, Drawer, Menu, ask, attempt, toast } from '../lib/ui/layers.js';
import { short } from '../lib/format.js';
import { EndpointForm } from './key_endpoints.js';

const FILTERS = ['state', 'owner', 'endpoint', 'task'];
const pretty = (body) => { try { return JSON.stringify(JSON.parse(body), null, 2); } catch { return body; } };

function DeliveryDrawer({ id, onClose, onChange }) {
  const loaded = useGet(`webhooks/deliveries/${encodeURIComponent(id)}`);
  const one = loaded.data;
  usePolling(() => one?.state === 'pending' && loaded.reload(), 2, true);
  const resend = async () => {
    if (await attempt(() => post(`webhooks/deliveries/${id}/resend`), t('hook.resent'))) { loaded.reload(); onChange(); }
  };
  return html`<${Drawer} title=${one?.event ?? t('hook.delivery')} onClose=${onClose} side=${one && html`<${Badge} value=${one.state} group="delivery" />`}>${!one ? html`<${Waiting} ...${loaded} />` : html`
    <div class="row">${mayWrite() && html`<button type="button" class="button main" onClick=${resend}>${t('hook.resend')}</button>`}
      ${one.task_id && html`<a class="button" href=${link(`tasks/${one.task_id}`)}>${t('hook.task')}</a>`}</div>
    <dl class="facts"><dt>${t('hook.url')}</dt><dd><${CopyButton} text=${one.url} /></dd><dt>${t('key.owner')}</dt><dd>${one.owner}</dd>
      <dt>${t('account.created')}</dt><dd><${Time} at=${one.created_at} /></dd>
      ${one.delivered_at && html`<dt>${t('delivery.delivered')}</dt><dd><${Time} at=${one.delivered_at} /></dd>`}
      ${one.state === 'pending' && html`<dt>${t('hook.next')}</dt><dd><${Time} at=${one.next_at} /></dd>`}<dt>${t('id')}</dt><dd><${CopyButton} text=${one.id} /></dd></dl>
    <section><h3>${t('hook.attempts')}</h3><ol class="timeline">${one.attempt_log.map((tried, n) => html`<li key=${n} class=${tried.status >= 200 && tried.status < 300 ? 'good' : 'bad'}>
      <time><${Time} at=${tried.at} /></time><span><strong>${tried.status ?? t('hook.no_answer')}</strong>${tried.error && html` <span class="soft small">${tried.error}</span>`}</span><span class="quiet small">${Math.round(tried.milliseconds)} ms</span></li>`)}</ol>
      ${one.attempt_log.length === 0 && html`<p class="quiet">${t('hook.not_tried')}</p>`}</section>
    ${one.body && html`<section><h3>${t('hook.body')}</h3><${Code} text=${pretty(one.body)} label=${t('hook.body')} /></section>`}`}<//>`;
}

const columns = () => [
  { key: 'event', label: t('hook.event'), lead: true, cell: (one) => html`<strong>${one.event}</strong> <span class="soft">→ ${one.receiver}</span>` },
  { key: 'state', label: t('task.state'), cell: (one) => html`<${Badge} value=${one.state} group="delivery" />` },
  { key: 'attempts', label: t('hook.attempts'), number: true, cell: (one) => one.attempts },
  { key: 'task', label: t('hook.task'), cell: (one) => (one.task_id ? html`<a class="mono" href=${link(`tasks/${one.task_id}`)}>${short(one.task_id)}</a>` : '–') },
  { key: 'owner', label: t('key.owner'), cell: (one) => one.owner },
  { key: 'at', label: t('account.created'), cell: (one) => html`<${Time} at=${one.created_at} />` },
  { key: 'acts', label: '', acts: true, cell: (one) => html`<span class="quiet">${one.state === 'pending' ? html`<${Time} at=${one.next_at} />` : ''}</span>` },
];

function Deliveries() {
  const { id } = route.value;
  const list = useList('webhooks/deliveries', FILTERS);
  usePolling(list.reload, 8, true);
  return html`<div class="filters"><${Choice} name="state" all=${t('hook.any_state')} options=${['pending', 'delivered', 'failed'].map((state) => [state, word('delivery', state)])} /></div>
    ${!list.data ? html`<${Waiting} ...${list} />` : list.rows.length === 0
      ? html`<${Empty} title=${list.filtered ? t('nothing_matches') : t('hook.no_deliveries')} actions=${html`<button type="button" class="button main" onClick=${() => filter({ tab: 'endpoints' })}>${t('hook.endpoints')}</button>`}>${t('hook.no_deliveries_note')}<//>`
      : html`<${Table} label=${t('hook.deliveries')} columns=${columns()} rows=${list.rows} chosen=${id} onOpen=${(one) => open(one.id)} />
        <${Pager} shown=${list.rows.length} onBack=${list.back} onNext=${list.next} />`}
    ${id && html`<${DeliveryDrawer} key=${id} id=${id} onClose=${() => open('')} onChange=${list.reload} />`}`;
}

function Endpoints({ shown, show }) {
  const found = useGet('webhooks/endpoints');
  const keys = useGet('keys');
  const [secret, setSecret] = useState('');
  const owners = [...new Map((keys.data?.data ?? []).map((key) => [key.owner, [key.owner, key.name]])).values()];
  const rows = found.data?.data ?? [];
  const act = (one, path, done) => attempt(() => post(`webhooks/endpoints/${one.id}/${path}`), done).then((answer) => { found.reload(); return answer; });
  const test = async (one) => {
    const answer = await act(one, 'test');
    if (answer) toast(answer.error ? `${one.name}: ${answer.error}` : t('hook.tested', { status: answer.status }), answer.status >= 200 && answer.status < 300 ? 'good' : 'bad');
  };
  const drop = async (one) => {
    if (await ask({ title: t('hook.delete', { name: one.name }), text: t('hook.delete_note'), action: t('delete') })) await attempt(() => remove(`webhooks/endpoints/${one.id}`), t('hook.gone')).then(found.reload);
  };
  const shape = [
    { key: 'name', label: t('key.name'), lead: true, cell: (one) => html`<strong>${one.name}</strong> <span class="soft small">${one.url}</span>` },
    { key: 'state', label: t('task.state'), cell: (one) => html`<${Badge} value=${one.enabled ? 'enabled' : 'disabled'} group="key_state" title=${one.disabled_reason} />` },
    { key: 'events', label: t('hook.events'), cell: (one) => one.event_types.map((name) => html`<span class="tag" key=${name}>${name}</span> `) },
    { key: 'owner', label: t('key.owner'), cell: (one) => one.owner },
    { key: 'secret', label: t('hook.secret'), cell: (one) => html`<span class="mono small">${one.secret_hint}</span>` },
    { key: 'acts', label: '', acts: true, cell: (one) => mayWrite() && html`<${Menu} label=${`${t('actions')}: ${one.name}`} items=${[[t('account.do.test'), () => test(one)],
      [t('hook.rotate'), () => act(one, 'rotate', t('hook.rotated')).then((answer) => answer && setSecret(answer.secret))],
      one.enabled && [t('key.disable'), () => act(one, 'disable', t('hook.disabled'))], null, [t('delete'), () => drop(one), 'bad']]} />` },
  ];
  return html`${!found.data ? html`<${Waiting} ...${found} />` : rows.length === 0
    ? html`<${Empty} title=${t('hook.none')} actions=${mayWrite() && html`<button type="button" class="button main" onClick=${() => show(true)}>${t('hook.add')}</button>`}>${t('hook.none_note')}<//>`
    : html`<${Table} label=${t('hook.endpoints')} columns=${shape} rows=${rows} />`}
    ${shown && keys.data && html`<${EndpointForm} path="webhooks/endpoints" owners=${owners} onClose=${() => show(false)} onDone=${found.reload} />`}
    ${secret && html`<${Dialog} title=${t('hook.secret')} onClose=${() => setSecret('')}><p class="soft">${t('hook.secret_note')}</p><${Code} text=${secret} label=${t('hook.secret')} /><//>`}`;
}

export function Page() {
  const tab = route.value.query.tab ?? 'deliveries';
  const [shown, show] = useState(false);
  return html`<${Head} title=${t('page.webhooks')}>${tab === 'endpoints' && mayWrite() && html`<button type="button" class="button main" onClick=${() => show(true)}>${t('hook.add')}</button>`}<//>
    <${Tabs} value=${tab} onPick=${(name) => filter({ tab: name === 'deliveries' ? '' : name, state: '', after: '' })} options=${[['deliveries', t('hook.deliveries')], ['endpoints', t('hook.endpoints')]]} />
    ${tab === 'deliveries' ? html`<${Deliveries} />` : html`<${Endpoints} shown=${shown} show=${show} />`}`;
}
