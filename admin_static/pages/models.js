// Models & routes: every name that can be asked for, who serves it in which order, and at what price.
import { html, classes, useState } from '../lib/dom.js';
import { put, remove, mayWrite } from '../lib/api.js';
import { t, word } from '../lib/i18n.js';
import { route, filter, link } from '../lib/router.js';
import { useGet, Waiting } from '../lib/load.js';
import { Badge, Empty, Head, Tabs, Time } from '../lib/ui/bits.js';
import { Table } from '../lib/ui/table.js';
import { Search } from '../lib/ui/search.js';
import { Menu, ask, attempt } from '../lib/ui/layers.js';
import { Explain } from './models_explain.js';
import { PriceForm, priceWords } from './models_price.js';
import { RouteForm, candidateWords } from './models_route.js';

const named = (row) => row.model ?? row.name;

function able(can) {
  if (!can) return html`<span class="quiet">${t('models.unknown')}</span>`;
  const parts = [];
  if (can.seconds) parts.push(can.seconds.min === can.seconds.max ? `${can.seconds.min} s` : `${can.seconds.min}–${can.seconds.max} s`);
  if (can.sizes?.length) parts.push(t('models.sizes', { n: can.sizes.length }));
  return html`<span class="row tight"><span>${parts.join(' · ')}</span>
    ${(can.inputs ?? []).map((role) => html`<span class="tag" key=${role}>${word('role', role)}</span>`)}
    ${can.native_shots && html`<span class="tag">${t('models.shots')}</span>`}${can.remix && html`<span class="tag">${t('models.remix')}</span>`}</span>`;
}

const modelColumns = (act) => [
  { key: 'name', label: t('task.model'), lead: true, cell: (one) => html`<strong>${one.name}</strong> ${one.alias_of && html`<span class="quiet">→ ${one.alias_of}</span>`}` },
  { key: 'kind', label: t('models.kind'), cell: (one) => word('kind', one.kind) },
  { key: 'usable', label: t('models.usable'), cell: (one) => html`<span class=${classes('badge', one.usable ? 'good' : one.candidates ? 'warn' : '')}>${one.usable} / ${one.candidates}</span>` },
  { key: 'can', label: t('models.can'), wide: true, cell: (one) => able(one.capabilities) },
  { key: 'price', label: t('models.price'), cell: (one) => (one.price ? priceWords(one.price) : html`<span class="quiet">–</span>`) },
  { key: 'acts', label: '', acts: true, cell: (one) => html`<${Menu} label=${`${t('actions')}: ${one.name}`} items=${[
    [t('models.why'), () => filter({ tab: 'why', model: one.name, kind: one.kind })], [t('models.play'), () => { location.hash = link('playground', { model: one.name }); }],
    mayWrite() && null, mayWrite() && [t('models.route'), () => act.route(one.name)], mayWrite() && [t('models.set_price'), () => act.price(one.name, one.price)]]} />` },
];

function Models({ act }) {
  const found = useGet('models');
  const wanted = (route.value.query.q ?? '').toLowerCase();
  const all = found.data?.data ?? [];
  const rows = all.filter((one) => one.name.toLowerCase().includes(wanted));
  const [most, setMost] = useState(60);
  if (!found.data) return html`<${Waiting} ...${found} />`;
  return html`<div class="filters"><${Search} placeholder=${t('models.search')} /><span class="quiet">${t('models.counted', { n: rows.length })}</span></div>
    ${rows.length === 0 ? html`<${Empty} title=${wanted ? t('nothing_matches') : t('models.none')} actions=${html`<a class="button main" href=${link('accounts', { add: '1' })}>${t('accounts.add')}</a>`} />`
    : html`<${Table} label=${t('models.tab.models')} columns=${modelColumns(act)} rows=${rows.slice(0, most)} id=${named} />
      ${rows.length > most && html`<button type="button" class="button" onClick=${() => setMost(most + 200)}>${t('models.rest', { n: rows.length - most })}</button>`}`}`;
}

const routeColumns = (act) => [
  { key: 'model', label: t('task.model'), lead: true, cell: (one) => html`<strong>${one.model}</strong>` },
  { key: 'to', label: t('models.served_by'), wide: true, cell: (one) => (one.alias_of ? html`<span>→ ${one.alias_of}</span>` : html`<span class="row tight">${one.candidates.map((each, n) => html`<span class="tag" key=${n}>${n + 1}. ${candidateWords(each)}</span>`)}</span>`) },
  { key: 'state', label: t('task.state'), cell: (one) => html`<${Badge} value=${one.enabled ? 'enabled' : 'disabled'} group="key_state" />` },
  { key: 'note', label: t('note'), cell: (one) => html`<span class="soft">${one.note}</span>` },
  { key: 'at', label: t('models.changed'), cell: (one) => html`<${Time} at=${one.updated_at} />` },
  { key: 'acts', label: '', acts: true, cell: (one) => mayWrite() && one.source === 'store' && html`<${Menu} label=${`${t('actions')}: ${one.model}`} items=${[[t('edit'), () => act.route(one.model, one)],
    [t(one.enabled ? 'key.disable' : 'key.enable'), () => act.toggle(one)], [t('models.why'), () => filter({ tab: 'why', model: one.model })], null, [t('delete'), () => act.drop('routes', one.model), 'bad']]} />` },
];

const priceColumns = (act) => [
  { key: 'model', label: t('task.model'), lead: true, cell: (one) => html`<strong>${one.model}</strong>` },
  { key: 'price', label: t('models.price'), wide: true, cell: (one) => priceWords(one.document) },
  { key: 'at', label: t('models.changed'), cell: (one) => html`<${Time} at=${one.updated_at} />` },
  { key: 'acts', label: '', acts: true, cell: (one) => mayWrite() && one.source === 'store' && html`<${Menu} label=${`${t('actions')}: ${one.model}`} items=${[[t('edit'), () => act.price(one.model, one.document)], null, [t('delete'), () => act.drop('prices', one.model), 'bad']]} />` },
];

/** A table of what an operator has set, or how to begin. */
function Listed({ path, columns, none, note, add, version }) {
  const found = useGet(path, { version });
  if (!found.data) return html`<${Waiting} ...${found} />`;
  return found.data.data.length === 0 ? html`<${Empty} title=${none} actions=${mayWrite() && html`<button type="button" class="button main" onClick=${add[1]}>${add[0]}</button>`}>${note}<//>`
    : html`<${Table} label=${none} columns=${columns} rows=${found.data.data} id=${named} />`;
}

export function Page() {
  const tab = route.value.query.tab ?? 'models';
  const [shown, show] = useState(null);
  const [version, setVersion] = useState(0);
  const changed = () => setVersion((n) => n + 1);
  const done = () => { show(null); changed(); };
  const act = {
    route: (model, one) => show({ form: 'route', model, one }),
    price: (model, document) => show({ form: 'price', model, document }),
    toggle: (one) => attempt(() => put(`routes/${encodeURIComponent(one.model)}`, { alias_of: one.alias_of, candidates: one.candidates, note: one.note, enabled: !one.enabled }), t('models.saved', { name: one.model })).then(changed),
    drop: async (path, model) => {
      if (!await ask({ title: t(`models.delete_${path}`, { name: model }), text: t(`models.delete_${path}_note`), action: t('delete') })) return;
      await attempt(() => remove(`${path}/${encodeURIComponent(model)}`), t('models.gone', { name: model }));
      changed();
    },
  };
  const add = { routes: [t('models.add_route'), () => act.route('')], prices: [t('models.add_price'), () => act.price('', null)] }[tab];
  return html`<${Head} title=${t('page.models')}>${mayWrite() && add && html`<button type="button" class="button main" onClick=${add[1]}>${add[0]}</button>`}<//>
    <${Tabs} value=${tab} onPick=${(name) => filter({ tab: name === 'models' ? '' : name, q: '' })} options=${['models', 'routes', 'prices', 'why'].map((name) => [name, t(`models.tab.${name}`)])} />
    ${tab === 'models' && html`<${Models} key=${version} act=${act} />`}
    ${tab === 'routes' && html`<${Listed} key=${`r${version}`} path="routes" columns=${routeColumns(act)} none=${t('models.no_routes')} note=${t('models.no_routes_note')} add=${add} />`}
    ${tab === 'prices' && html`<${Listed} key=${`p${version}`} path="prices" columns=${priceColumns(act)} none=${t('models.no_prices')} note=${t('models.no_prices_note')} add=${add} />`}
    ${tab === 'why' && html`<${Explain} />`}
    ${shown?.form === 'route' && html`<${RouteForm} ...${shown} onClose=${() => show(null)} onDone=${done} />`}
    ${shown?.form === 'price' && html`<${PriceForm} ...${shown} onClose=${() => show(null)} onDone=${done} />`}`;
}
