// Webhooks: deliveries with their attempts, and the tab with the endpoints.
import { html, useState } from '../lib/dom.js';
import { post, canWrite } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { route, openRow, pageLink, setFilters } from '../lib/router.js';
import { useGet, useList, LoadingNotice } from '../lib/api_hooks.js';
import { usePolling } from '../lib/event_stream.js';
import { StateBadge, CodeBlock, CopyButton, EmptyState, PageHeader, RelativeTime } from '../lib/ui/elements.js';
import { DataTable, TablePager } from '../lib/ui/table.js';
import { OwnerName } from '../lib/ui/named.js';
import { Tabs } from '../lib/ui/tabs.js';
import { FilterSelect } from '../lib/ui/filters.js';
import { Drawer, runWithToast } from '../lib/ui/dialogs.js';
import { Said } from '../lib/server_words.js';
import { formatDuration, shortenId } from '../lib/format.js';
import { EndpointList } from './webhook_endpoints.js';

const FILTERS = ['state', 'owner', 'endpoint', 'task'];
const prettyJson = (body) => {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
};

function DeliveryDrawer({ id, onClose, onChange }) {
  const loaded = useGet(`webhooks/deliveries/${encodeURIComponent(id)}`);
  const delivery = loaded.data;
  usePolling(() => delivery?.state === 'pending' && loaded.reload(), 2, true);
  const resendDelivery = async () => {
    if (await runWithToast(() => post(`webhooks/deliveries/${id}/resend`), t('webhook.resent'))) {
      loaded.reload();
      onChange();
    }
  };
  return html`<${Drawer}
    title=${delivery?.event ?? t('webhook.delivery')}
    onClose=${onClose}
    side=${delivery && html`<${StateBadge} value=${delivery.state} group="delivery" />`}
  >
    ${
      !delivery
        ? html`<${LoadingNotice} ...${loaded} />`
        : html`
          <div class="row">
            ${
              canWrite() &&
              html`<button type="button" class="button main" onClick=${resendDelivery}>
                ${t('webhook.resend')}
              </button>`
            }
            ${
              delivery.task_id &&
              html`<a class="button" href=${pageLink(`tasks/${delivery.task_id}`)}>
                ${t('webhook.task')}
              </a>`
            }
          </div>
          <dl class="facts">
            <dt>${t('webhook.url')}</dt>
            <dd>
              <${CopyButton} text=${delivery.url} />
            </dd>
            <dt>${t('key.owner')}</dt>
            <dd class="row tight">
              <${OwnerName} owner=${delivery.owner} name=${delivery.owner_name} />
              <${CopyButton} text=${delivery.owner} />
            </dd>
            <dt>${t('account.created')}</dt>
            <dd>
              <${RelativeTime} at=${delivery.created_at} />
            </dd>
            ${
              delivery.delivered_at &&
              html`
                <dt>${t('delivery.delivered')}</dt>
                <dd>
                  <${RelativeTime} at=${delivery.delivered_at} />
                </dd>
              `
            }
            ${
              delivery.state === 'pending' &&
              html`
                <dt>${t('webhook.next')}</dt>
                <dd>
                  <${RelativeTime} at=${delivery.next_at} />
                </dd>
              `
            }
            <dt>${t('id')}</dt>
            <dd>
              <${CopyButton} text=${delivery.id} />
            </dd>
          </dl>
          <section>
            <h3>${t('webhook.attempts')}</h3>
            <ol class="timeline">
              ${delivery.attempt_log.map(
                (attempt, n) =>
                  html`<li key=${n} class=${attempt.status >= 200 && attempt.status < 300 ? 'good' : 'bad'}>
                    <time>
                      <${RelativeTime} at=${attempt.at} />
                    </time>
                    <span>
                      <strong>${attempt.status ?? t('webhook.no_answer')}</strong>
                      ${
                        attempt.error &&
                        html`
                          ${' '}
                          <span class="soft small"><${Said} text=${attempt.error} /></span>
                        `
                      }
                    </span>
                    <span class="quiet small">${formatDuration(attempt.milliseconds / 1000)}</span>
                  </li>`,
              )}
            </ol>
            ${delivery.attempt_log.length === 0 && html`<p class="quiet">${t('webhook.not_tried')}</p>`}
          </section>
          ${
            delivery.body &&
            html`<section>
              <h3>${t('webhook.body')}</h3>
              <${CodeBlock} text=${prettyJson(delivery.body)} label=${t('webhook.body')} />
            </section>`
          }
        `
    }
  <//>`;
}

const columns = () => [
  {
    key: 'event',
    label: t('webhook.event'),
    lead: true,
    cell: (delivery) =>
      html`
        <strong>${delivery.event}</strong> <span class="soft">→ ${delivery.receiver}</span>
      `,
  },
  {
    key: 'state',
    label: t('task.state'),
    cell: (delivery) => {
      // What failed and is sent again is not simply on its way.
      const again = delivery.state === 'pending' && delivery.attempts > 0;
      return html`<${StateBadge}
        value=${again ? 'retried' : delivery.state}
        group="delivery"
        tone=${again ? 'warn' : undefined}
      />`;
    },
  },
  { key: 'attempts', label: t('webhook.attempts'), number: true, cell: (delivery) => delivery.attempts },
  {
    key: 'task',
    label: t('webhook.task'),
    cell: (delivery) =>
      delivery.task_id
        ? html`<a class="mono" href=${pageLink(`tasks/${delivery.task_id}`)}>
          ${shortenId(delivery.task_id)}
        </a>`
        : '–',
  },
  {
    key: 'owner',
    label: t('key.owner'),
    cell: (delivery) => html`<${OwnerName} owner=${delivery.owner} name=${delivery.owner_name} />`,
  },
  { key: 'at', label: t('account.created'), cell: (delivery) => html`<${RelativeTime} at=${delivery.created_at} />` },
  {
    key: 'acts',
    label: '',
    acts: true,
    cell: (delivery) =>
      html`<span class="quiet">
        ${delivery.state === 'pending' ? html`<${RelativeTime} at=${delivery.next_at} />` : ''}
      </span>`,
  },
];

function DeliveryList() {
  const { id } = route.value;
  const list = useList('webhooks/deliveries', FILTERS);
  usePolling(list.reload, 8, true);
  return html`
    <div class="filters">
      <${FilterSelect}
        name="state"
        all=${t('webhook.any_state')}
        options=${['pending', 'delivered', 'failed'].map((state) => [state, valueLabel('delivery', state)])}
      />
    </div>
    ${
      !list.data
        ? html`<${LoadingNotice} ...${list} />`
        : list.rows.length === 0
          ? html`<${EmptyState}
            title=${list.filtered ? t('nothing_matches') : t('webhook.no_deliveries')}
            actions=${html`<button type="button" class="button main" onClick=${() => setFilters({ tab: 'endpoints' })}>
              ${t('webhook.endpoints')}
            </button>`}
          >
            ${t('webhook.no_deliveries_note')}
          <//>`
          : html`
            <${DataTable}
              label=${t('webhook.deliveries')}
              columns=${columns()}
              rows=${list.rows}
              chosen=${id}
              onOpen=${(delivery) => openRow(delivery.id)}
            />
            <${TablePager} shown=${list.rows.length} onBack=${list.back} onNext=${list.next} />
          `
    }
    ${id && html`<${DeliveryDrawer} key=${id} id=${id} onClose=${() => openRow('')} onChange=${list.reload} />`}
  `;
}

export function Page() {
  const tab = route.value.query.tab ?? 'deliveries';
  const [shown, show] = useState(false);
  return html`
    <${PageHeader} title=${t('page.webhooks')}>
      ${
        tab === 'endpoints' &&
        canWrite() &&
        html`<button type="button" class="button main" onClick=${() => show(true)}>
          ${t('webhook.add')}
        </button>`
      }
    <//>
    <${Tabs}
      label=${t('page.webhooks')}
      value=${tab}
      onPick=${(name) => setFilters({ tab: name === 'deliveries' ? '' : name, state: '', after: '' })}
      options=${[
        ['deliveries', t('webhook.deliveries')],
        ['endpoints', t('webhook.endpoints')],
      ]}
    >
    ${tab === 'deliveries' ? html`<${DeliveryList} />` : html`<${EndpointList} shown=${shown} show=${show} />`}
    <//>
  `;
}
