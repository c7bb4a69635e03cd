// Webhooks: the endpoints of all keys.
import { html, useState } from '../lib/dom.js';
import { patch, post, remove, canWrite } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { route } from '../lib/router.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { CodeBlock, EmptyState } from '../lib/ui/elements.js';
import { DataTable, NumberPager } from '../lib/ui/table.js';
import { EndpointState } from '../lib/ui/endpoint_state.js';
import { OwnerName } from '../lib/ui/named.js';
import { Dialog, ActionMenu, askConfirmation, runWithToast, showToast } from '../lib/ui/dialogs.js';
import { wordsFor } from '../lib/server_words.js';
import { EndpointForm } from './key_endpoints.js';

const LIMIT = 50;

export function EndpointList({ shown, show }) {
  const loaded = useGet('webhooks/endpoints', { limit: LIMIT, after: route.value.query.after });
  const keys = useGet('keys');
  const [secret, setSecret] = useState('');
  const owners = [...new Map((keys.data?.data ?? []).map((key) => [key.owner, [key.owner, key.name]])).values()];
  const rows = loaded.data?.data ?? [];
  const runAction = (endpoint, path, done) =>
    runWithToast(() => post(`webhooks/endpoints/${endpoint.id}/${path}`), done).then((answer) => {
      loaded.reload();
      return answer;
    });
  // Any change enables an endpoint.
  const enable = async (endpoint) => {
    const change = { name: endpoint.name };
    await runWithToast(() => patch(`webhooks/endpoints/${endpoint.id}`, change), t('webhook.is_enabled'));
    loaded.reload();
  };
  const sendTest = async (endpoint) => {
    const answer = await runAction(endpoint, 'test');
    if (answer)
      showToast(
        answer.error
          ? html`${endpoint.name}: ${wordsFor(t('webhook.not_received'), answer.error)}`
          : t('webhook.tested', { status: answer.status }),
        answer.status >= 200 && answer.status < 300 ? 'good' : 'bad',
      );
  };
  const deleteEndpoint = async (endpoint) => {
    if (
      await askConfirmation({
        title: t('webhook.delete', { name: endpoint.name }),
        text: t('webhook.delete_note'),
        action: t('delete'),
      })
    )
      await runWithToast(() => remove(`webhooks/endpoints/${endpoint.id}`), t('webhook.deleted')).then(loaded.reload);
  };
  const columns = [
    {
      key: 'name',
      label: t('key.name'),
      lead: true,
      cell: (endpoint) =>
        html`
          <strong>${endpoint.name}</strong> <span class="soft small">${endpoint.url}</span>
        `,
    },
    {
      key: 'state',
      label: t('task.state'),
      cell: (endpoint) => html`<${EndpointState} endpoint=${endpoint} />`,
    },
    {
      key: 'events',
      label: t('webhook.events'),
      cell: (endpoint) =>
        endpoint.event_types.map(
          (name) =>
            html`
              <span class="tag" key=${name}>
                ${name}
              </span>${' '}
            `,
        ),
    },
    {
      key: 'owner',
      label: t('key.owner'),
      cell: (endpoint) => html`<${OwnerName} owner=${endpoint.owner} name=${endpoint.owner_name} />`,
    },
    {
      key: 'secret',
      label: t('webhook.secret'),
      cell: (endpoint) => html`<span class="mono small">${endpoint.secret_hint}</span>`,
    },
    {
      key: 'acts',
      label: '',
      acts: true,
      cell: (endpoint) =>
        canWrite() &&
        html`<${ActionMenu}
          label=${`${t('actions')}: ${endpoint.name}`}
          items=${[
            [t('account.do.test'), () => sendTest(endpoint)],
            [
              t('webhook.rotate'),
              () =>
                runAction(endpoint, 'rotate', t('webhook.rotated')).then(
                  (answer) => answer && setSecret(answer.secret),
                ),
            ],
            endpoint.enabled
              ? [t('key.disable'), () => runAction(endpoint, 'disable', t('webhook.disabled'))]
              : [t('key.enable'), () => enable(endpoint)],
            null,
            [t('delete'), () => deleteEndpoint(endpoint), 'bad'],
          ]}
        />`,
    },
  ];
  return html`
    ${
      !loaded.data
        ? html`<${LoadingNotice} ...${loaded} />`
        : rows.length === 0
          ? html`<${EmptyState}
            title=${t('webhook.none')}
            actions=${
              canWrite() &&
              html`<button type="button" class="button main" onClick=${() => show(true)}>
                ${t('webhook.add')}
              </button>`
            }
          >
            ${t('webhook.none_note')}
          <//>`
          : html`
            <${DataTable} label=${t('webhook.endpoints')} columns=${columns} rows=${rows} />
            <${NumberPager} total=${loaded.data.total} limit=${LIMIT} shown=${rows.length} />
          `
    }
    ${
      shown &&
      keys.data &&
      html`<${EndpointForm}
        path="webhooks/endpoints"
        owners=${owners}
        onClose=${() => show(false)}
        onDone=${loaded.reload}
      />`
    }
    ${
      secret &&
      html`<${Dialog} title=${t('webhook.secret')} onClose=${() => setSecret('')} keep=${t('dialog.not_copied')}>
        <p class="soft">${t('webhook.secret_note')}</p>
        <${CodeBlock} text=${secret} label=${t('webhook.secret')} />
        <div class="row">
          <button type="button" class="button main" onClick=${() => setSecret('')}>
            ${t('key.saved_it')}
          </button>
        </div>
      <//>`
    }
  `;
}
