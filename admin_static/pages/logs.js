// Logs & audit: requests of clients, usage, and changes by admins.
import { html, useState } from '../lib/dom.js';
import { downloadFile } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { goTo, route, pageLink } from '../lib/router.js';
import { useGet, useList, LoadingNotice } from '../lib/api_hooks.js';
import { formatAbsolute, formatDuration, formatMoney, formatNumber } from '../lib/format.js';
import { CopyButton, EmptyState, PageHeader, JsonBlock, RelativeTime } from '../lib/ui/elements.js';
import { NamedItem, OwnerName } from '../lib/ui/named.js';
import { Tabs } from '../lib/ui/tabs.js';
import { DataTable, TablePager } from '../lib/ui/table.js';
import { FilterSelect, NameFilter, SuggestFilter, TimeFilter, UntilFilter } from '../lib/ui/filters.js';
import { Drawer, runWithToast } from '../lib/ui/dialogs.js';
import { CallDrawer, statusText, statusTone } from './call_drawer.js';
import { UsageReport, usageQuery } from './usage_report.js';

const REQUESTS = ['key', 'model', 'account', 'path', 'status', 'from', 'to'];
const AUDIT = ['actor', 'action', 'target', 'from', 'to'];

const requestColumns = () => [
  { key: 'at', label: t('logs.at'), cell: (row) => html`<${RelativeTime} at=${row.at} />` },
  { key: 'path', label: t('logs.path'), lead: true, cell: (row) => html`<span class="mono">${row.path}</span>` },
  {
    key: 'status',
    label: t('logs.status'),
    cell: (row) =>
      html`<span class=${`badge ${statusTone(row.status)}`} title=${statusText(row.status)}>${row.status}</span>`,
  },
  { key: 'model', label: t('task.model'), cell: (row) => row.model },
  { key: 'key', label: t('task.key'), cell: (row) => row.key?.name ?? row.key?.id },
  {
    key: 'account',
    label: t('task.account'),
    cell: (row) => row.account?.name ?? html`<span class="quiet">–</span>`,
  },
  {
    key: 'tokens',
    label: t('logs.tokens'),
    number: true,
    cell: (row) =>
      row.input_tokens == null ? '–' : `${formatNumber(row.input_tokens)} / ${formatNumber(row.output_tokens)}`,
  },
  { key: 'took', label: t('task.took'), number: true, cell: (row) => formatDuration(row.milliseconds / 1000) },
  { key: 'cost', label: t('task.cost'), number: true, cell: (row) => formatMoney(row.cost) },
  { key: 'vendor_cost', label: t('task.vendor_cost'), number: true, cell: (row) => formatMoney(row.vendor_cost) },
  {
    key: 'task',
    label: t('webhook.task'),
    cell: (row) => (row.task_id ? html`<a href=${pageLink(`tasks/${row.task_id}`)}>${t('logs.open')}</a>` : ''),
  },
];

function RequestLog() {
  const list = useList('requests', REQUESTS);
  const [shown, show] = useState(null);
  const models = useGet('models');
  return html`
    <div class="filters">
      <${FilterSelect}
        name="status"
        all=${t('logs.any_status')}
        options=${[
          ['errors', t('logs.errors')],
          ['4xx', '4xx'],
          ['5xx', '5xx'],
          ['200', '200'],
        ]}
      />
      <${NameFilter} path="keys" name="key" all=${t('tasks.any_key')} />
      <${NameFilter} path="accounts" name="account" all=${t('tasks.any_account')} />
      <${SuggestFilter}
        name="model"
        all=${t('tasks.any_model')}
        options=${(models.data?.data ?? []).map((model) => [model.name])}
      />
      <${TimeFilter} />
      <${UntilFilter} />
    </div>
    ${
      !list.data
        ? html`<${LoadingNotice} ...${list} />`
        : list.rows.length === 0
          ? html`<${EmptyState}
            title=${list.filtered ? t('nothing_matches') : t('logs.none')}
            actions=${html`<a class="button" href=${list.filtered ? '#/logs' : pageLink('keys')}>
              ${list.filtered ? t('filters.clear') : t('keys.add')}
            </a>`}
          >
            ${!list.filtered && t('logs.none_note')}
          <//>`
          : html`
            <${DataTable}
              label=${t('logs.tab.requests')}
              columns=${requestColumns()}
              rows=${list.rows}
              chosen=${shown?.id}
              onOpen=${(row) => (row.task_id ? goTo(`tasks/${row.task_id}`) : show(row))}
              busy=${list.busy}
            />
            <${TablePager} shown=${list.rows.length} onBack=${list.back} onNext=${list.next} />
          `
    }
    ${shown && html`<${CallDrawer} call=${shown} onClose=${() => show(null)} />`}
  `;
}

// Where targets are opened, by the first part of their name.
const TARGET_PAGES = {
  accounts: (id) => `accounts/${id}`,
  keys: (id) => `keys/${id}`,
  tasks: (id) => `tasks/${id}`,
  webhook_deliveries: (id) => `webhooks/${id}`,
  webhook_endpoints: () => 'webhooks?tab=endpoints',
  characters: () => 'characters',
  admins: () => 'settings/people',
  settings: (id) => `settings/${id}`,
};

const NAMED_BY_MODEL = ['prices', 'routes'];

/** What a change was about, by its name; a link while it exists. */
function AuditTarget({ row }) {
  const [kind, id] = row.target.split('/');
  const opens = (row.target_exists || kind === 'settings') && id && TARGET_PAGES[kind];
  const own = NAMED_BY_MODEL.includes(kind) ? id : kind === 'settings' && valueLabel('document', id);
  const name = row.target_name ?? (own || undefined);
  return html`<span class="soft">${valueLabel('target', kind)}</span>${' '}
    ${id && html`<${NamedItem} id=${row.target} name=${name} to=${opens ? opens(id) : undefined} />`}`;
}

const AuditActor = ({ row }) =>
  row.actor.startsWith('key:') ? html`<${OwnerName} owner=${row.actor} name=${row.actor_name} />` : row.actor;

const auditColumns = () => [
  { key: 'at', label: t('logs.at'), cell: (row) => html`<${RelativeTime} at=${row.at} />` },
  { key: 'actor', label: t('audit.actor'), cell: (row) => html`<${AuditActor} row=${row} />` },
  {
    key: 'action',
    label: t('audit.action'),
    lead: true,
    cell: (row) => html`<strong title=${row.action}>${valueLabel('audit_action', row.action)}</strong>`,
  },
  {
    key: 'target',
    label: t('audit.target'),
    wide: true,
    cell: (row) => html`<${AuditTarget} row=${row} />`,
  },
];

const asText = (value) => (value == null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value));

/** The fields that differ between before and after. */
function ChangedFields({ before, after }) {
  const nameOptions = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  const changed = nameOptions.filter((name) => asText(before?.[name]) !== asText(after?.[name]));
  return html`<div class="changes">
    ${changed.map(
      (name) =>
        html`
          <strong>${name}</strong>
          <span class="was">${asText(before?.[name])}</span>
          <span class="now">${asText(after?.[name])}</span>
        `,
    )}
  </div>`;
}

function AuditLog() {
  const list = useList('audit', AUDIT);
  const [shown, show] = useState(null);
  const actors = [...new Set(list.rows.map((row) => row.actor))];
  const actions = [...new Set(list.rows.map((row) => row.action))].sort();
  return html`
    <div class="filters">
      <${FilterSelect} name="actor" all=${t('audit.any_actor')} options=${actors.map((actor) => [actor])} />
      <${FilterSelect}
        name="action"
        all=${t('audit.any_action')}
        options=${actions.map((action) => [action, valueLabel('audit_action', action)])}
      />
      <${TimeFilter} />
    </div>
    ${
      !list.data
        ? html`<${LoadingNotice} ...${list} />`
        : list.rows.length === 0
          ? html`<${EmptyState}
            title=${t('nothing_matches')}
            actions=${html`<a class="button" href="#/logs?tab=audit">
              ${t('filters.clear')}
            </a>`}
          />`
          : html`
            <${DataTable}
              label=${t('logs.tab.audit')}
              columns=${auditColumns()}
              rows=${list.rows}
              onOpen=${show}
              busy=${list.busy}
            />
            <${TablePager} shown=${list.rows.length} onBack=${list.back} onNext=${list.next} />
          `
    }
    ${
      shown &&
      html`<${Drawer} title=${valueLabel('audit_action', shown.action)} onClose=${() => show(null)}>
        <dl class="facts">
          <dt>${t('audit.action')}</dt>
          <dd class="mono">${shown.action}</dd>
          <dt>${t('audit.actor')}</dt>
          <dd><${AuditActor} row=${shown} /></dd>
          <dt>${t('logs.at')}</dt>
          <dd>${formatAbsolute(shown.at)}</dd>
          <dt>${t('audit.target')}</dt>
          <dd><${AuditTarget} row=${shown} /></dd>
          <dt>${t('id')}</dt>
          <dd><${CopyButton} text=${shown.target} /></dd>
        </dl>
        <section>
          <h3>${t('audit.changes')}</h3>
          <${ChangedFields} ...${shown} />
        </section>
        <details>
          <summary>${t('audit.raw')}</summary>
          <${JsonBlock} value=${{ before: shown.before, after: shown.after }} />
        </details>
      <//>`
    }
  `;
}

export function Page() {
  const { query } = route.value;
  const tab = query.tab ?? 'requests';
  const names = { requests: REQUESTS, audit: AUDIT }[tab] ?? [];
  const downloadCsv = () =>
    runWithToast(
      () =>
        downloadFile(
          `${tab}.csv`,
          tab === 'usage' ? usageQuery(query) : Object.fromEntries(names.map((name) => [name, query[name]])),
          `${tab}.csv`,
        ).then(() => true),
      t('exported'),
    );
  return html`
    <${PageHeader} title=${t('page.logs')}>
      <button type="button" class="button" onClick=${downloadCsv}>
        ${t('export_csv')}
      </button>
    <//>
    <${Tabs}
      label=${t('page.logs')}
      value=${tab}
      onPick=${(name) => {
        location.hash = pageLink('logs', { tab: name === 'requests' ? '' : name });
      }}
      options=${['requests', 'usage', 'audit'].map((name) => [name, t(`logs.tab.${name}`)])}
    >
    ${tab === 'requests' ? html`<${RequestLog} />` : tab === 'usage' ? html`<${UsageReport} />` : html`<${AuditLog} />`}
    <//>
  `;
}
