// Keys of clients: limits, budgets and spending.
import { html, useEffect, useState } from '../lib/dom.js';
import { patch, post, may, canWrite } from '../lib/api.js';
import { listText, t, valueLabel } from '../lib/i18n.js';
import { route, openRow, pageLink } from '../lib/router.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { formatMoney } from '../lib/format.js';
import { StateBadge, EmptyState, PageHeader, UsageMeter, Sparkline, RelativeTime } from '../lib/ui/elements.js';
import { DataTable, NumberPager, useSorting } from '../lib/ui/table.js';
import { SearchField, FilterSelect } from '../lib/ui/filters.js';
import { ActionMenu, askConfirmation, runWithToast } from '../lib/ui/dialogs.js';
import { KeyForm } from './key_form.js';
import { NewSecret, RotateKey } from './key_secret.js';
import { KEY_TONES, PERIODS, KeyDrawer } from './key_drawer.js';
import { KeyStatement } from './key_statement.js';

function BudgetUse({ clientKey }) {
  const used = (name) => Number(clientKey.spent[name]) + Number(clientKey.spent.reserved ?? 0);
  const shareOf = (name) => used(name) / Number(clientKey.budget[name]);
  // The one that is nearest to its end.
  const [set] = PERIODS.filter((name) => clientKey.budget?.[name] != null).sort((a, b) => shareOf(b) - shareOf(a));
  const spent = used(set ?? 'total');
  if (!set) return html`<span>${formatMoney(clientKey.spent.total)}</span>`;
  const limit = Number(clientKey.budget[set]);
  return html`<span class="stack tight">
    <span class="nowrap">
      ${formatMoney(spent)}${' '}
      <span class="quiet">
        / ${formatMoney(limit)} ${t(`key.budget.${set}`)}
      </span>
    </span>
    <${UsageMeter} share=${limit ? spent / limit : 1} />
  </span>`;
}

const columns = (actions) => [
  {
    key: 'name',
    sort: 'name',
    label: t('key.name'),
    lead: true,
    cell: (key) =>
      html`
        <strong>${key.name}</strong> <span class="quiet small mono">${key.hint}</span>
      `,
  },
  {
    key: 'state',
    sort: 'state',
    label: t('key.state'),
    cell: (key) =>
      html`<${StateBadge}
        value=${key.state}
        group="key_state"
        tone=${KEY_TONES[key.state]}
      />`,
  },
  { key: 'spent', sort: 'spent', label: t('key.spent'), cell: (key) => html`<${BudgetUse} clientKey=${key} />` },
  {
    key: 'usage',
    label: t('key.usage'),
    cell: (key) => html`<${Sparkline} values=${key.sparkline} label=${t('key.usage')} />`,
  },
  {
    key: 'flight',
    sort: 'in_flight',
    label: t('account.in_flight'),
    number: true,
    cell: (key) =>
      html`
        ${key.in_flight}
        ${
          key.tasks_limit &&
          html`
            ${' '}
            <span class="quiet">/ ${key.tasks_limit}</span>
          `
        }
      `,
  },
  {
    key: 'limits',
    label: t('key.limits'),
    cell: (key) =>
      html`
        ${
          key.project &&
          html`
            <a class="tag" href=${pageLink('keys', { q: key.project })}>${key.project}</a>${' '}
          `
        }
        ${
          key.rpm &&
          html`
            <span class="tag">${t('key.rpm_tag', { n: key.rpm })}</span>${' '}
          `
        }
        ${
          key.models.length > 0 &&
          html`
            <span class="tag" title=${listText(key.models)}>
              ${t('key.models_tag', { n: key.models.length })}
            </span>${' '}
          `
        }
        ${
          key.networks.length > 0 &&
          html`<span class="tag" title=${listText(key.networks)}>
            IP
          </span>`
        }
      `,
  },
  {
    key: 'expires',
    sort: 'expires',
    label: t('key.expires'),
    cell: (key) =>
      key.expires_at ? html`<${RelativeTime} at=${key.expires_at} />` : html`<span class="quiet">${t('never')}</span>`,
  },
  {
    key: 'acts',
    label: '',
    acts: true,
    cell: (key) =>
      may('money') &&
      !key.read_only &&
      html`<${ActionMenu} items=${actions.menu(key)} label=${`${t('actions')}: ${key.name}`} />`,
  },
];

const LIMIT = 100;

export function Page() {
  const { id, query } = route.value;
  const sorting = useSorting();
  const list = useGet('keys', {
    q: query.q,
    state: query.state,
    sort: sorting.by || undefined,
    descending: sorting.descending || undefined,
    limit: LIMIT,
    after: query.after,
  });
  const [shown, show] = useState([]);
  const [newKey, setNewKey] = useState(null);
  useEffect(() => {
    if (query.add) show(['add']);
  }, [query.add]);
  const close = () => show([]);
  const onSaved = (key) => {
    close();
    list.reload();
    if (key.secret) setNewKey(key);
  };
  const actions = {
    toggle: async (key) => {
      const { name, enabled } = key;
      if (
        enabled &&
        !(await askConfirmation({
          title: t('key.disable_title', { name }),
          text: t('key.disable_note'),
          action: t('key.disable'),
        }))
      )
        return;
      const done = t(enabled ? 'key.is_disabled' : 'key.is_enabled', { name });
      await runWithToast(() => patch(`keys/${key.id}`, { enabled: !enabled }), done);
      list.reload();
    },
    forget: async (key) => {
      if (
        !(await askConfirmation({
          title: t('key.forget_title', { name: key.name }),
          text: t('key.forget_note'),
          action: t('key.forget'),
        }))
      )
        return;
      await runWithToast(() => post(`keys/${key.id}/forget`), t('key.forgotten', { name: key.name }));
      list.reload();
    },
    menu: (key) => [
      [t(canWrite() ? 'key.edit' : 'key.edit_budget'), () => show(['edit', key])],
      ...(canWrite() ? actions.furtherItems(key) : []),
    ],
    furtherItems: (key) => [
      [t('key.rotate'), () => show(['rotate', key])],
      [t('statement.title'), () => show(['statement', key])],
      [t(key.enabled ? 'key.disable' : 'key.enable'), () => actions.toggle(key)],
      null,
      [t('key.forget'), () => actions.forget(key), 'bad'],
    ],
  };
  const rows = list.data?.data ?? [];
  return html`
    <${PageHeader} title=${t('page.keys')}>
      <a class="button" href=${pageLink('projects')}>${t('page.projects')}</a>
      ${
        canWrite() &&
        html`<button type="button" class="button main" onClick=${() => show(['add'])}>
          ${t('keys.add')}
        </button>`
      }
    <//>
    <div class="filters">
      <${SearchField} placeholder=${t('keys.search')} />
      <${FilterSelect}
        name="state"
        all=${t('keys.any_state')}
        options=${Object.keys(KEY_TONES).map((state) => [state, valueLabel('key_state', state)])}
      />
    </div>
    ${
      !list.data
        ? html`<${LoadingNotice} ...${list} />`
        : rows.length === 0
          ? html`<${EmptyState}
            title=${query.q || query.state ? t('nothing_matches') : t('keys.none')}
            actions=${
              canWrite() &&
              html`<button type="button" class="button main" onClick=${() => show(['add'])}>
                ${t('keys.add')}
              </button>`
            }
          >
            ${t('keys.none_note')}
          <//>`
          : html`
            <${DataTable}
              label=${t('page.keys')}
              columns=${columns(actions)}
              rows=${rows}
              chosen=${id}
              onOpen=${(key) => openRow(key.id)}
              sorting=${sorting}
            />
            <${NumberPager} total=${list.data.total} limit=${LIMIT} shown=${rows.length} />
          `
    }
    ${
      id &&
      html`<${KeyDrawer}
        key=${id + (shown[0] ?? '')}
        id=${id}
        actions=${actions}
        show=${show}
        onClose=${() => openRow('')}
      />`
    }
    ${
      (shown[0] === 'add' || shown[0] === 'edit') &&
      html`<${KeyForm} clientKey=${shown[1]} onClose=${close} onDone=${onSaved} />`
    }
    ${shown[0] === 'rotate' && html`<${RotateKey} clientKey=${shown[1]} onClose=${close} onDone=${onSaved} />`}
    ${shown[0] === 'statement' && html`<${KeyStatement} clientKey=${shown[1]} onClose=${close} />`}
    ${newKey && html`<${NewSecret} newKey=${newKey} onClose=${() => setNewKey(null)} />`}
  `;
}
