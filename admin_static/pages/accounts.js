// Accounts: state, recent outcomes and quota of each, and why one is cooling down.
import { html, useEffect, useState } from '../lib/dom.js';
import { post, canWrite } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { route, openRow, pageLink } from '../lib/router.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { useServerEvent, usePolling } from '../lib/event_stream.js';
import { EmptyState, PageHeader } from '../lib/ui/elements.js';
import { DataTable, useSelection, BulkActions } from '../lib/ui/table.js';
import { SearchField, FilterSelect } from '../lib/ui/filters.js';
import { askConfirmation, runWithToast, showToast } from '../lib/ui/dialogs.js';
import { AccountDrawer } from './account_drawer.js';
import { AccountForm } from './account_form.js';
import { ImportDialog } from './account_import.js';
import { accountActions } from '../lib/account_actions.js';
import { ExportDialog } from './account_export.js';
import { accountColumns } from './account_columns.js';

const STATES = ['ready', 'busy', 'cooling', 'draining', 'disabled', 'expired', 'exhausted', 'broken'];

const NoAccounts = ({ show }) =>
  html`<${EmptyState}
    title=${t('accounts.none')}
    actions=${
      canWrite() &&
      html`
        <button type="button" class="button main" onClick=${() => show('add')}>
          ${t('accounts.add')}
        </button>
        <button type="button" class="button" onClick=${() => show('import')}>
          ${t('accounts.import')}
        </button>
      `
    }
  >
    ${t('accounts.none_note')}
  <//>`;

const BulkBar = ({ picked, runBulkAction, clear }) =>
  html`<${BulkActions} picked=${picked} onClear=${clear}>
    ${['test', 'clear', 'enable', 'disable', 'drain', 'delete'].map(
      (action) =>
        html`<button type="button" class="button small" key=${action} onClick=${() => runBulkAction(action)}>
          ${t(`account.do.${action}`)}
        </button>`,
    )}
  <//>`;

export function Page() {
  const { id, query } = route.value;
  const list = useGet('accounts', { q: query.q, state: query.state, provider: query.provider, tag: query.tag });
  const providers = useGet('providers');
  const { picked, pick, clearPicked } = useSelection();
  const [shown, show] = useState('');
  useEffect(() => {
    if (query.add) show('add');
  }, [query.add]);
  useServerEvent('accounts', list.reload);
  useServerEvent('task', () => {
    clearTimeout(globalThis.accountsSoon);
    globalThis.accountsSoon = setTimeout(list.reload, 700);
  });
  usePolling(list.reload, 10, true);

  const rows = list.data?.data ?? [];
  const runBulkAction = async (action) => {
    if (
      action === 'delete' &&
      !(await askConfirmation({
        title: t('accounts.delete_many', { n: picked.size }),
        text: t('account.delete_note'),
        action: t('delete'),
      }))
    )
      return;
    const answer = await runWithToast(() => post('accounts/bulk', { ids: [...picked], action }));
    if (!answer) return;
    const bad = answer.data.filter((row) => !row.ok);
    showToast(
      t('accounts.bulk_done', { good: answer.data.length - bad.length, all: answer.data.length }) +
        (bad.length ? ` · ${bad[0].message}` : ''),
      bad.length ? 'bad' : 'good',
    );
    clearPicked();
    list.reload();
  };
  const actions = accountActions({ reload: list.reload, edit: (account) => openRow(account.id) });
  const filtered = query.q || query.state || query.provider;

  return html`
    <${PageHeader} title=${t('page.accounts')}>
      <button type="button" class="button" onClick=${() => show('export')}>
        ${t('export')}
      </button>
      ${
        canWrite() &&
        html`
          <button type="button" class="button" onClick=${() => show('import')}>
            ${t('accounts.import')}
          </button>
          <button type="button" class="button main" onClick=${() => show('add')}>
            ${t('accounts.add')}
          </button>
        `
      }
    <//>
    <div class="filters">
      <${SearchField} placeholder=${t('accounts.search')} />
      <${FilterSelect}
        name="state"
        all=${t('accounts.any_state')}
        options=${STATES.map((state) => [state, valueLabel('account', state)])}
      />
      <${FilterSelect}
        name="provider"
        all=${t('accounts.any_provider')}
        options=${(providers.data?.data ?? []).map((provider) => [provider.name])}
      />
    </div>
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
                columns=${accountColumns(actions)}
                rows=${rows}
                chosen=${id}
                onOpen=${(account) => openRow(account.id)}
                picked=${canWrite() ? picked : undefined}
                onPick=${pick}
              />
              ${
                rows.every((account) => account.embedded) &&
                html`<p class="soft row">
                  ${t('accounts.only_studio')} <a href=${pageLink('playground')}>${t('accounts.try_studio')}</a>
                  ${
                    canWrite() &&
                    html`<button type="button" class="text-button" onClick=${() => show('import')}>
                      ${t('accounts.import')}
                    </button>`
                  }
                </p>`
              }
            `
    }
    <${BulkBar} picked=${picked} runBulkAction=${runBulkAction} clear=${clearPicked} />
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
      shown === 'add' &&
      html`<${AccountForm}
        providers=${providers.data?.data ?? []}
        onClose=${() => show('')}
        onDone=${(account) => {
          show('');
          list.reload();
          openRow(account.id);
        }}
      />`
    }
    ${
      shown === 'import' &&
      html`<${ImportDialog} providers=${providers.data?.data ?? []} onClose=${() => show('')} onDone=${list.reload} />`
    }
    ${shown === 'export' && html`<${ExportDialog} onClose=${() => show('')} />`}
  `;
}
