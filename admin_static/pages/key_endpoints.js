// The webhook endpoints of one key, in its drawer, and the form that makes one.
import { html, useState } from '../lib/dom.js';
import { post, mayWrite } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { link } from '../lib/router.js';
import { useGet } from '../lib/load.js';
import { Badge, Code } from '../lib/ui/bits.js';
import { Dialog, toast } from '../lib/ui/layers.js';
import { Fields, FormButtons, useForm } from '../lib/ui/form.js';

export const EVENTS = ['video.completed', 'video.failed'];

/** `path`: where endpoints are made; `owners`: [owner, name] to choose from, or none for a key's own. */
export function EndpointForm({ path, owners, onClose, onDone }) {
  const form = useForm({ owner: owners?.[0]?.[0] ?? '', name: '', url: '', completed: true, failed: true });
  const [made, setMade] = useState(null);
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      const body = { name: values.name, url: values.url, event_types: EVENTS.filter((_, n) => [values.completed, values.failed][n]) };
      setMade(await post(path, owners ? { ...body, owner: values.owner } : body));
      toast(t('hook.made'));
      onDone();
    });
  };
  return html`<${Dialog} title=${t('hook.add')} onClose=${onClose}>${made ? html`<p class="soft">${t('hook.secret_note')}</p><${Code} text=${made.secret} label=${t('hook.secret')} />
    <div class="row"><button type="button" class="button main" onClick=${onClose}>${t('key.kept')}</button></div>`
  : html`<form class="stack" onSubmit=${submit}><${Fields} form=${form} prefix="hook" fields=${[
    owners && { name: 'owner', label: t('hook.owner'), kind: 'select', wide: true, options: owners },
    { name: 'name', label: t('key.name'), required: true, wide: true }, { name: 'url', label: t('hook.url'), required: true, wide: true, placeholder: 'https://example.com/hook' },
    { name: 'completed', label: 'video.completed', kind: 'check' }, { name: 'failed', label: 'video.failed', kind: 'check' },
  ]} /><div class="row"><${FormButtons} form=${form} label=${t('hook.add')} onCancel=${onClose} /></div></form>`}<//>`;
}

export function KeyEndpoints({ id }) {
  const found = useGet(`keys/${id}/endpoints`);
  const [shown, show] = useState(false);
  return html`<section class="stack"><div class="row apart"><h3>${t('hook.endpoints')}</h3>${mayWrite() && html`<button type="button" class="button small" onClick=${() => show(true)}>${t('hook.add')}</button>`}</div>
    ${(found.data?.data ?? []).map((one) => html`<div class="row apart" key=${one.id}><span><strong>${one.name}</strong> <span class="soft small">${one.url}</span></span>
      <${Badge} value=${one.enabled ? 'enabled' : 'disabled'} group="key_state" title=${one.disabled_reason} /></div>`)}
    ${found.data?.data.length === 0 && html`<p class="quiet small">${t('hook.none')}</p>`}
    <a class="small" href=${link('webhooks')}>${t('hook.deliveries')}</a>
    ${shown && html`<${EndpointForm} path=${`keys/${id}/endpoints`} onClose=${() => show(false)} onDone=${found.reload} />`}</section>`;
}
