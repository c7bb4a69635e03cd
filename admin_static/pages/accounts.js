// Accounts: state, recent outcomes and quota of each, and why one is cooling down.
import { html, useEffect, useRef, useState } from '../lib/dom.js';
import { get, patch, post, canWrite } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { route, openRow, pageLink } from '../lib/router.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { EmptyState, PageHeader } from '../lib/ui/elements.js';
import { DataTable, NumberPager, useSelection, useSorting } from '../lib/ui/table.js';
import { SearchField, FilterSelect, SuggestFilter } from '../lib/ui/filters.js';
import { askConfirmation, runWithToast, showToast } from '../lib/ui/dialogs.js';
import { AccountDrawer } from './account_drawer.js';
import { AccountForm } from './account_form.js';
import { AccountWizard } from './account_wizard.js';
import { ImportDialog } from './account_import.js';
import { accountActions, offerUndo } from '../lib/account_actions.js';
import { ExportDialog } from './account_export.js';
import { BulkBar, BulkEditDialog, ResultDialog, TestDialog } from './account_bulk.js';
import { accountColumns } from './account_columns.js';
import { useAccountList } from './account_list.js';

const NoAccounts = ({ show }) =>
  html`<${EmptyState}
    title=${t('accounts.none')}
    actions=${
      canWrite() &&
      html`
        <button type="button" class="button main" onClick=${() => show(['add'])}>
          ${t('accounts.add')}
        </button>
        <button type="button" class="button" onClick=${() => show(['import'])}>
          ${t('accounts.import')}
        </button>
      `
    }
  >
    ${t('accounts.none_note')}
  <//>`;

const named = (counted) => (counted ?? []).map(({ name, count }) => [name, `${name} (${count})`]);

function AccountFilters({ list }) {
  const columns = accountColumns({}, null).filter((column) => column.sort);
  return html`<div class="filters">
    <${SearchField} placeholder=${t('accounts.search')} />
    <${FilterSelect}
      name="state"
      all=${t('accounts.any_state')}
      options=${(list?.states ?? []).map(({ name, count }) => [name, `${valueLabel('account', name)} (${count})`])}
    />
    <${FilterSelect} name="provider" all=${t('accounts.any_provider')} options=${named(list?.providers)} />
    <${SuggestFilter} name="tag" all=${t('accounts.any_tag')} options=${(list?.tags ?? []).map(({ name }) => [name])} />
    <${FilterSelect}
      name="group"
      all=${t('accounts.ungrouped')}
      options=${['provider', 'tag'].map((name) => [name, t(`accounts.by_${name}`)])}
    />
    <span class="narrow-only">
      <${FilterSelect}
        name="sort"
        all=${t('accounts.by_age')}
        options=${columns.map((column) => [column.sort, column.label])}
      />
    </span>
  </div>`;
}

/** The headings of groups: each leads to its accounts alone. */
function groupsOf(name, list) {
  if (!name) return undefined;
  const counts = Object.fromEntries((list[`${name}s`] ?? []).map((entry) => [entry.name, entry.count]));
  const of = name === 'provider' ? (row) => row.provider : (row) => row.tags[0] ?? '';
  const heading = (group) =>
    group
      ? html`
        <a href=${pageLink('accounts', { [name]: group })}>${group}</a>
        <span class="quiet"> ${counts[group]}</span>
      `
      : t('accounts.no_tag');
  return { of, heading };
}

/** What the bar of selected accounts does. `names` knows the name of each id. */
function bulkRunner({ picked, whole, names, show, reload, clear }) {
  const ids = [...picked];
  const nameList = ids.map((id) => names.get(id) ?? id);
  const ask = (action) =>
    askConfirmation({
      title: t(action === 'delete' ? 'accounts.delete_many' : 'accounts.change_many', {
        n: ids.length,
        action: t(`account.do.${action}`),
      }),
      text: action === 'delete' ? t('account.delete_note') : '',
      names: nameList,
      action: t(`account.do.${action}`),
      danger: action === 'delete',
    });
  const finish = (rows, action) => {
    const bad = rows.filter((row) => !row.ok).map((row) => ({ ...row, name: names.get(row.id) ?? row.id }));
    const good = rows.filter((row) => row.ok).map((row) => row.id);
    const text = t('accounts.bulk_done', { good: good.length, all: rows.length });
    if (action === 'delete' && good.length) offerUndo(good, t('accounts.deleted', { n: good.length }), reload);
    else showToast(text, bad.length ? 'bad' : 'good');
    show(bad.length ? ['failed', bad, text] : []);
    clear();
    reload();
  };
  const run = async (action) => {
    if (action === 'test') return show(['test', ids.map((id, at) => ({ id, name: nameList[at] }))]);
    if (action === 'edit') return show(['edit', ids]);
    if ((action === 'delete' || whole) && !(await ask(action))) return undefined;
    const answer = await runWithToast(() => post('accounts/bulk', { ids, action }));
    if (answer) finish(answer.data, action);
    return undefined;
  };
  return { run, finish };
}

const LIMIT = 100;

export function Page() {
  const { id, query } = route.value;
  const sorting = useSorting();
  const filters = { q: query.q, state: query.state, provider: query.provider, tag: query.tag };
  const order = { sort: sorting.by || undefined, descending: sorting.descending || undefined, group: query.group };
  const list = useAccountList({ ...filters, ...order, limit: LIMIT, after: query.after });
  const providers = useGet('providers');
  const rows = list.data?.data ?? [];
  const { picked, whole, pick, pickAll, clearPicked } = useSelection({
    shown: rows.map((row) => row.id),
    scope: JSON.stringify(filters),
  });
  const names = useRef(new Map());
  for (const row of rows) names.current.set(row.id, row.name);
  const [shown, show] = useState([]);
  useEffect(() => {
    if (query.add) show(['add']);
  }, [query.add]);

  const close = () => show([]);
  const pickMatching = async () => {
    const answer = await runWithToast(() => get('accounts/names', filters));
    if (!answer) return;
    for (const row of answer.data) names.current.set(row.id, row.name);
    pickAll(answer.data.map((row) => row.id));
  };
  const bulk = bulkRunner({
    picked,
    whole,
    names: names.current,
    show,
    reload: list.reload,
    clear: clearPicked,
  });
  const edit = async (account, change) => {
    await runWithToast(() => patch(`accounts/${account.id}`, change), t('account.saved', { name: account.name }));
    await list.reload();
  };
  const actions = accountActions({ reload: list.reload, edit: (account) => openRow(account.id) });
  const filtered = Object.values(filters).some(Boolean) || query.after;

  return html`
    <${PageHeader} title=${t('page.accounts')}>
      <button type="button" class="button" onClick=${() => show(['export'])}>
        ${t('export')}
      </button>
      ${
        canWrite() &&
        html`
          <button type="button" class="button" onClick=${() => show(['import'])}>
            ${t('accounts.import')}
          </button>
          <button type="button" class="button main" onClick=${() => show(['add'])}>
            ${t('accounts.add')}
          </button>
        `
      }
    <//>
    <${AccountFilters} list=${list.data} />
    ${
      !list.data
        ? html`<${LoadingNotice} ...${list} />`
        : rows.length === 0 && filtered
          ? html`<${EmptyState}
            title=${t('nothing_matches')}
            actions=${html`<a class="button" href="#/accounts">
              ${t('filters.clear')}
            </a>`}
          />`
          : rows.length === 0
            ? html`<${NoAccounts} show=${show} />`
            : html`
              <${DataTable}
                label=${t('page.accounts')}
                columns=${accountColumns(actions, canWrite() ? edit : null)}
                rows=${rows}
                chosen=${id}
                onOpen=${(account) => openRow(account.id)}
                picked=${canWrite() ? picked : undefined}
                onPick=${pick}
                sorting=${sorting}
                groups=${groupsOf(query.group, list.data)}
              />
              <${NumberPager} total=${list.data.total} limit=${LIMIT} shown=${rows.length} />
              ${
                rows.every((account) => account.embedded) &&
                html`<p class="soft row">
                  ${t('accounts.only_studio')} <a href=${pageLink('playground')}>${t('accounts.try_studio')}</a>
                  ${
                    canWrite() &&
                    html`<button type="button" class="text-button" onClick=${() => show(['import'])}>
                      ${t('accounts.import')}
                    </button>`
                  }
                </p>`
              }
            `
    }
    <${BulkBar}
      picked=${picked}
      whole=${whole}
      total=${list.data?.total ?? 0}
      pickAll=${pickMatching}
      run=${bulk.run}
      clear=${clearPicked}
    />
    ${
      id &&
      html`<${AccountDrawer}
        key=${id}
        id=${id}
        actions=${actions}
        providers=${providers.data?.data ?? []}
        onClose=${() => openRow('')}
        onChange=${list.reload}
      />`
    }
    ${
      shown[0] === 'add' &&
      html`<${AccountWizard}
        providers=${providers.data?.data ?? []}
        onClose=${close}
        onDone=${list.reload}
        onForm=${() => show(['form'])}
      />`
    }
    ${
      shown[0] === 'form' &&
      html`<${AccountForm}
        providers=${providers.data?.data ?? []}
        onClose=${close}
        onDone=${(account) => {
          close();
          list.reload();
          openRow(account.id);
        }}
      />`
    }
    ${
      shown[0] === 'import' &&
      html`<${ImportDialog} providers=${providers.data?.data ?? []} onClose=${close} onDone=${list.reload} />`
    }
    ${shown[0] === 'test' && html`<${TestDialog} accounts=${shown[1]} onClose=${close} onChange=${list.reload} />`}
    ${
      shown[0] === 'edit' &&
      html`<${BulkEditDialog}
        ids=${shown[1]}
        tags=${(list.data?.tags ?? []).map(({ name }) => name)}
        onClose=${close}
        onDone=${(results) => bulk.finish(results, 'edit')}
      />`
    }
    ${shown[0] === 'failed' && html`<${ResultDialog} title=${shown[2]} rows=${shown[1]} onClose=${close} />`}
    ${
      shown[0] === 'export' &&
      html`<${ExportDialog} filters=${filters} total=${list.data?.total ?? 0} onClose=${close} />`
    }
  `;
}
