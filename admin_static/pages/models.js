// Models & routes: every model name, the accounts that serve it, and its price.
import { html, classNames, useState } from '../lib/dom.js';
import { put, remove, may } from '../lib/api.js';
import { listText, t, valueLabel } from '../lib/i18n.js';
import { route, setFilters, pageLink } from '../lib/router.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { formatSeconds } from '../lib/format.js';
import { StateBadge, EmptyState, PageHeader, RelativeTime } from '../lib/ui/elements.js';
import { Tabs } from '../lib/ui/tabs.js';
import { DataTable } from '../lib/ui/table.js';
import { SearchField } from '../lib/ui/filters.js';
import { ActionMenu, askConfirmation, runWithToast } from '../lib/ui/dialogs.js';
import { ModelExplanation } from './model_explanation.js';
import { DocumentList, rowName } from './document_list.js';
import { changePause } from '../lib/pausing.js';
import { priceText } from '../lib/price_text.js';
import { PriceForm } from './price_form.js';
import { RouteForm, candidateText } from './route_form.js';

function capabilityTags(can) {
  if (!can) return html`<span class="quiet">${t('models.unknown')}</span>`;
  const parts = [];
  if (can.seconds) parts.push(formatSeconds(can.seconds.min, can.seconds.max));
  if (can.sizes?.length) parts.push(t('models.sizes', { n: can.sizes.length }));
  return html`<span class="row tight">
    <span>${parts.join(' · ')}</span>
    ${(can.inputs ?? []).map(
      (role) =>
        html`<span class="tag" key=${role}>
          ${valueLabel('role', role)}
        </span>`,
    )}
    ${can.native_shots && html`<span class="tag">${t('models.shots')}</span>`}
    ${can.remix && html`<span class="tag">${t('models.remix')}</span>`}
  </span>`;
}

const modelColumns = (actions) => [
  {
    key: 'name',
    label: t('task.model'),
    lead: true,
    cell: (entry) =>
      html`
        <strong>${entry.name}</strong> ${entry.alias_of && html`<span class="quiet">→ ${entry.alias_of}</span>`}
        ${actions.paused.has(entry.name) && html`<span class="badge warn">${t('account.paused')}</span>`}
        ${
          entry.retires &&
          html`<span class="badge warn">${t(`models.retires${entry.successor ? '_to' : ''}`, entry)}</span>`
        }
      `,
  },
  { key: 'kind', label: t('models.kind'), cell: (entry) => valueLabel('kind', entry.kind) },
  {
    key: 'usable',
    label: t('models.usable'),
    cell: (entry) =>
      html`<span class=${classNames('badge', entry.usable ? 'good' : entry.candidates ? 'warn' : '')}>
        ${entry.usable} / ${entry.candidates}
      </span>`,
  },
  { key: 'can', label: t('models.can'), wide: true, cell: (entry) => capabilityTags(entry.capabilities) },
  {
    key: 'price',
    label: t('models.price'),
    cell: (entry) => (entry.price ? priceText(entry.price) : html`<span class="quiet">–</span>`),
  },
  {
    key: 'acts',
    label: '',
    acts: true,
    cell: (entry) =>
      html`<${ActionMenu}
        label=${`${t('actions')}: ${entry.name}`}
        items=${[
          [t('models.why'), () => setFilters({ tab: 'why', model: entry.name, kind: entry.kind })],
          [
            t('models.play'),
            () => {
              location.hash = pageLink('playground', { model: entry.name });
            },
          ],
          may('money') && null,
          may('operate') && [t('models.route'), () => actions.route(entry.name)],
          may('operate') && [
            t(actions.paused.has(entry.name) ? 'pause.end' : 'pause.begin'),
            () => actions.pause(entry.name),
          ],
          may('money') && [t('models.set_price'), () => actions.price(entry.name, entry.price)],
        ]}
      />`,
  },
];

function ModelList({ actions }) {
  const loaded = useGet('models');
  const wanted = (route.value.query.q ?? '').toLowerCase();
  const all = loaded.data?.data ?? [];
  const rows = all.filter((entry) => entry.name.toLowerCase().includes(wanted));
  const [most, setMost] = useState(60);
  if (!loaded.data) return html`<${LoadingNotice} ...${loaded} />`;
  return html`
    <div class="filters">
      <${SearchField} placeholder=${t('models.search')} />
      <span class="quiet">${t('models.counted', { n: rows.length })}</span>
    </div>
    ${
      rows.length === 0
        ? html`<${EmptyState}
          title=${wanted ? t('nothing_matches') : t('models.none')}
          actions=${html`<a class="button main" href=${pageLink('accounts', { add: '1' })}>
            ${t('accounts.add')}
          </a>`}
        />`
        : html`
          <${DataTable}
            label=${t('models.tab.models')}
            columns=${modelColumns(actions)}
            rows=${rows.slice(0, most)}
            id=${rowName}
          />
          ${
            rows.length > most &&
            html`<button type="button" class="button" onClick=${() => setMost(most + 200)}>
              ${t('models.show_more', { n: rows.length - most })}
            </button>`
          }
        `
    }
  `;
}

// When an entry was changed, and its menu; entries of the configuration file have none.
const changeColumns = (right, itemsOf) => [
  { key: 'at', label: t('models.changed'), cell: (entry) => html`<${RelativeTime} at=${entry.updated_at} />` },
  {
    key: 'acts',
    label: '',
    acts: true,
    cell: (entry) =>
      may(right) &&
      entry.source === 'store' &&
      html`<${ActionMenu}
        label=${`${t('actions')}: ${entry.model}`}
        items=${itemsOf(entry)}
      />`,
  },
];

const routeColumns = (actions) => [
  { key: 'model', label: t('task.model'), lead: true, cell: (entry) => html`<strong>${entry.model}</strong>` },
  {
    key: 'to',
    label: t('models.served_by'),
    wide: true,
    cell: (entry) =>
      entry.alias_of
        ? html`<span>→ ${entry.alias_of}</span>`
        : html`<span class="row tight">
          ${entry.candidates.map(
            (each, n) =>
              html`<span class="tag" key=${n}>
                ${n + 1}. ${candidateText(each)}
              </span>`,
          )}
        </span>`,
  },
  {
    key: 'state',
    label: t('task.state'),
    cell: (entry) => html`<${StateBadge} value=${entry.enabled ? 'enabled' : 'disabled'} group="key_state" />`,
  },
  { key: 'note', label: t('note'), cell: (entry) => html`<span class="soft">${entry.note}</span>` },
  ...changeColumns('operate', (entry) => [
    [t('edit'), () => actions.route(entry.model, entry)],
    [t(entry.enabled ? 'key.disable' : 'key.enable'), () => actions.toggle(entry)],
    [t('models.why'), () => setFilters({ tab: 'why', model: entry.model })],
    null,
    [t('delete'), () => actions.drop('routes', entry.model), 'bad'],
  ]),
];

/** A part of a price that never counts would make calls free in silence. */
const uncountedNote = (entry) =>
  entry.uncounted.length > 0 &&
  html`<span class="bad">${t('price.uncounted', { parts: listText(entry.uncounted) })}</span>`;

const priceColumns = (actions) => [
  { key: 'model', label: t('task.model'), lead: true, cell: (entry) => html`<strong>${entry.model}</strong>` },
  {
    key: 'price',
    label: t('models.price'),
    wide: true,
    cell: (entry) => html`${priceText(entry.document)} ${uncountedNote(entry)}`,
  },
  ...changeColumns('money', (entry) => [
    [t('edit'), () => actions.price(entry.model, entry.document)],
    null,
    [t('delete'), () => actions.drop('prices', entry.model), 'bad'],
  ]),
];

export function Page() {
  const tab = route.value.query.tab ?? 'models';
  const [shown, show] = useState(null);
  const [version, setVersion] = useState(0);
  const reloadLists = () => setVersion((n) => n + 1);
  const pauses = useGet('pauses', { version });
  const paused = new Set((pauses.data?.data ?? []).filter((each) => each.side === 'model').map((each) => each.name));
  const onSaved = () => {
    show(null);
    reloadLists();
  };
  const actions = {
    paused,
    pause: (name) => changePause('model', name, name, paused.has(name)).then(reloadLists),
    route: (model, document) => show({ form: 'route', model, route: document }),
    price: (model, document) => show({ form: 'price', model, document }),
    toggle: (entry) =>
      runWithToast(
        () =>
          put(`routes/${encodeURIComponent(entry.model)}`, {
            alias_of: entry.alias_of,
            candidates: entry.candidates,
            note: entry.note,
            retry: entry.retry,
            enabled: !entry.enabled,
          }),
        t('models.saved', { name: entry.model }),
      ).then(reloadLists),
    drop: async (path, model) => {
      if (
        !(await askConfirmation({
          title: t(`models.delete_${path}`, { name: model }),
          text: t(`models.delete_${path}_note`),
          action: t('delete'),
        }))
      )
        return;
      await runWithToast(() => remove(`${path}/${encodeURIComponent(model)}`), t('models.removed', { name: model }));
      reloadLists();
    },
  };
  const add = {
    routes: may('operate') && [t('models.add_route'), () => actions.route('')],
    prices: may('money') && [t('models.add_price'), () => actions.price('', null)],
  }[tab];
  return html`
    <${PageHeader} title=${t('page.models')}>
      ${
        add &&
        html`<button type="button" class="button main" onClick=${add[1]}>
          ${add[0]}
        </button>`
      }
    <//>
    <${Tabs}
      label=${t('page.models')}
      value=${tab}
      onPick=${(name) => setFilters({ tab: name === 'models' ? '' : name, q: '' })}
      options=${['models', 'routes', 'prices', 'why'].map((name) => [name, t(`models.tab.${name}`)])}
    >
    ${tab === 'models' && html`<${ModelList} key=${version} actions=${actions} />`}
    ${
      tab === 'routes' &&
      html`<${DocumentList}
        key=${`r${version}`}
        path="routes"
        columns=${routeColumns(actions)}
        none=${t('models.no_routes')}
        note=${t('models.no_routes_note')}
        add=${add}
      />`
    }
    ${
      tab === 'prices' &&
      html`<${DocumentList}
        key=${`p${version}`}
        path="prices"
        columns=${priceColumns(actions)}
        none=${t('models.no_prices')}
        note=${t('models.no_prices_note')}
        add=${add}
      />`
    }
    ${tab === 'why' && html`<${ModelExplanation} />`}
    <//>
    ${shown?.form === 'route' && html`<${RouteForm} ...${shown} onClose=${() => show(null)} onDone=${onSaved} />`}
    ${shown?.form === 'price' && html`<${PriceForm} ...${shown} onClose=${() => show(null)} onDone=${onSaved} />`}
  `;
}
