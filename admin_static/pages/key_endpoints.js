// The webhook endpoints of one key, and the form that adds one.
import { html, useState } from '../lib/dom.js';
import { post, canWrite } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { pageLink } from '../lib/router.js';
import { useGet } from '../lib/api_hooks.js';
import { EndpointState } from '../lib/ui/endpoint_state.js';
import { CodeBlock } from '../lib/ui/elements.js';
import { Dialog, showToast } from '../lib/ui/dialogs.js';
import { FormFields, FormButtons, useForm } from '../lib/ui/form.js';

export const EVENTS = ['video.completed', 'video.failed'];

/** `path`: the collection to post to; `owners`: [owner, name] pairs to choose from, or none on the page of a key. */
export function EndpointForm({ path, owners, onClose, onDone }) {
  const form = useForm({ owner: owners?.[0]?.[0] ?? '', name: '', url: '', completed: true, failed: true });
  const [created, setCreated] = useState(null);
  const [copied, setCopied] = useState(false);
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      const body = {
        name: values.name,
        url: values.url,
        event_types: EVENTS.filter((_, n) => [values.completed, values.failed][n]),
      };
      setCreated(await post(path, owners ? { ...body, owner: values.owner } : body));
      showToast(t('webhook.added'));
      onDone();
    });
  };
  return html`<${Dialog}
    title=${t('webhook.add')}
    onClose=${onClose}
    keep=${created && !copied ? t('dialog.not_copied') : null}
  >
    ${
      created
        ? html`
          <p class="soft">${t('webhook.secret_note')}</p>
          <${CodeBlock} text=${created.secret} label=${t('webhook.secret')} onCopy=${() => setCopied(true)} />
          <div class="row">
            <button type="button" class="button main" onClick=${onClose}>
              ${t('key.saved_it')}
            </button>
          </div>
        `
        : html`<form class="stack" onSubmit=${submit}>
          <${FormFields}
            form=${form}
            prefix="hook"
            fields=${[
              owners && { name: 'owner', label: t('webhook.owner'), kind: 'select', wide: true, options: owners },
              { name: 'name', label: t('key.name'), required: true, wide: true },
              {
                name: 'url',
                label: t('webhook.url'),
                required: true,
                wide: true,
                placeholder: 'https://example.com/hook',
              },
              { name: 'completed', label: 'video.completed', kind: 'check' },
              { name: 'failed', label: 'video.failed', kind: 'check' },
            ]}
          />
          <div class="row">
            <${FormButtons} form=${form} label=${t('webhook.add')} onCancel=${onClose} />
          </div>
        </form>`
    }
  <//>`;
}

export function KeyEndpoints({ id }) {
  const endpoints = useGet(`keys/${id}/endpoints`);
  const [shown, show] = useState(false);
  return html`<section class="stack">
    <div class="row apart">
      <h3>${t('webhook.endpoints')}</h3>
      ${
        canWrite() &&
        html`<button type="button" class="button small" onClick=${() => show(true)}>
          ${t('webhook.add')}
        </button>`
      }
    </div>
    ${(endpoints.data?.data ?? []).map(
      (endpoint) =>
        html`<div class="row apart" key=${endpoint.id}>
          <span>
            <strong>${endpoint.name}</strong> <span class="soft small">${endpoint.url}</span>
          </span>
          <${EndpointState} endpoint=${endpoint} />
        </div>`,
    )}
    ${endpoints.data?.data.length === 0 && html`<p class="quiet small">${t('webhook.none')}</p>`}
    <a class="small" href=${pageLink('webhooks')}>
      ${t('webhook.deliveries')}
    </a>
    ${
      shown &&
      html`<${EndpointForm} path=${`keys/${id}/endpoints`} onClose=${() => show(false)} onDone=${endpoints.reload} />`
    }
  </section>`;
}
