// The form of a key: name, budget, limits, who may use it from where.
import { html } from '../lib/dom.js';
import { patch, post } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { Dialog, toast } from '../lib/ui/layers.js';
import { Fields, FormButtons, useForm } from '../lib/ui/form.js';

const whole = (text) => (text === '' || text == null ? null : Number(text));
const sum = (text) => (text === '' || text == null ? null : String(text));
const words = (text) => text.split(/[,\s]+/).filter(Boolean);

function bodyOf(values) {
  const body = {
    name: values.name.trim(), models: words(values.models), networks: words(values.networks), rpm: whole(values.rpm), tasks_limit: whole(values.tasks_limit),
    budget: { daily: sum(values.daily), monthly: sum(values.monthly), total: sum(values.total) }, note: values.note,
    options: values.options.trim() ? JSON.parse(values.options) : {},
    expires_at: values.expires_at ? new Date(values.expires_at).getTime() / 1000 : null,
  };
  if (values.project.trim()) body.project = values.project.trim();
  return body;
}

const local = (at) => (at ? new Date(at * 1000 - new Date().getTimezoneOffset() * 60000).toISOString().slice(0, 16) : '');

export function KeyForm({ one, onClose, onDone }) {
  const form = useForm({
    name: one?.name ?? '', project: one?.project ?? '', daily: one?.budget?.daily ?? '', monthly: one?.budget?.monthly ?? '', total: one?.budget?.total ?? '',
    rpm: one?.rpm ?? '', tasks_limit: one?.tasks_limit ?? '', models: (one?.models ?? []).join(', '), networks: (one?.networks ?? []).join(', '),
    expires_at: local(one?.expires_at), note: one?.note ?? '', options: Object.keys(one?.options ?? {}).length ? JSON.stringify(one.options) : '',
  });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      let body;
      try {
        body = bodyOf(values);
      } catch {
        throw Object.assign(new Error(t('account.bad_json')), { param: 'options' });
      }
      const done = one ? await patch(`keys/${one.id}`, body) : await post('keys', body);
      toast(t(one ? 'key.saved' : 'key.made', { name: done.name }));
      onDone(done);
    });
  };
  return html`<${Dialog} title=${one ? t('key.edit') : t('keys.add')} onClose=${onClose}><form class="stack" onSubmit=${submit}>
    <${Fields} form=${form} prefix="key" fields=${[
      { name: 'name', label: t('key.name'), required: true, placeholder: 'laptop' },
      { name: 'project', label: t('key.project'), hint: t('key.project_hint') },
      { name: 'daily', label: t('key.daily'), kind: 'money', min: 0, placeholder: t('no_limit') },
      { name: 'monthly', label: t('key.monthly'), kind: 'money', min: 0, placeholder: t('no_limit') },
      { name: 'total', label: t('key.total'), kind: 'money', min: 0, placeholder: t('no_limit') },
      { name: 'rpm', label: t('key.rpm'), kind: 'number', min: 1, placeholder: t('no_limit') },
      { name: 'tasks_limit', label: t('key.tasks_limit'), kind: 'number', min: 1, placeholder: t('no_limit') },
      { name: 'expires_at', label: t('key.expires'), kind: 'date' },
      { name: 'models', label: t('key.models'), wide: true, placeholder: t('any'), hint: t('key.models_hint') },
      { name: 'networks', label: t('key.networks'), wide: true, placeholder: t('any'), hint: t('key.networks_hint') },
      { name: 'options', label: t('key.options'), kind: 'code', rows: 2, wide: true, hint: t('key.options_hint') },
      { name: 'note', label: t('note'), kind: 'textarea', rows: 2, wide: true },
    ]} />
    <div class="row"><${FormButtons} form=${form} label=${one ? t('save') : t('keys.add')} onCancel=${onClose} /></div></form><//>`;
}
