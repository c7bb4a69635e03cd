// The form of a key: name, budgets, limits, models, networks.
import { html } from '../lib/dom.js';
import { may, patch, post } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { currency } from '../lib/format.js';
import { localDateTime, numberOrNull, parseJson, secondsFromLocal, splitWords } from '../lib/form_values.js';
import { Dialog, showToast } from '../lib/ui/dialogs.js';
import { FormFields, FormButtons, useForm } from '../lib/ui/form.js';

const amountOrNull = (text) => (text === '' || text == null ? null : String(text));

const budgetOf = (values) => ({
  daily: amountOrNull(values.daily),
  monthly: amountOrNull(values.monthly),
  total: amountOrNull(values.total),
});

const GATES = [
  ...['none', 'words', 'moderation', 'webhook'],
  ...['words+moderation', 'words+webhook', 'moderation+webhook', 'all'],
];

/** The options as they are written, with the chosen gates among them. */
function optionsOf(values) {
  const options = values.options.trim() ? parseJson(values.options, 'options') : {};
  delete options.gates;
  return values.gates ? { ...options, gates: values.gates } : options;
}

const budgetFields = () =>
  ['daily', 'monthly', 'total'].map((name) => ({
    name,
    label: t(`key.${name}`, { currency: currency.value }),
    kind: 'money',
    min: 0,
    placeholder: t('no_limit'),
  }));

function requestBody(values) {
  if (!may('operate')) return { budget: budgetOf(values) };
  const body = {
    name: values.name.trim(),
    models: splitWords(values.models),
    networks: splitWords(values.networks),
    rpm: numberOrNull(values.rpm),
    tasks_limit: numberOrNull(values.tasks_limit),
    budget: budgetOf(values),
    note: values.note,
    keep_prompts: values.keep_prompts,
    may_rotate: values.may_rotate,
    priority: Number(values.priority),
    most_priority: Number(values.most_priority),
    options: optionsOf(values),
    expires_at: secondsFromLocal(values.expires_at),
  };
  if (values.secret?.trim()) body.secret = values.secret.trim();
  if (values.project.trim()) body.project = values.project.trim();
  return body;
}

const priorities = () => [-1, 0, 1].map((step) => [String(step), t(`priority.${step}`)]);

/** Who may not operate changes the budgets only. */
const keyFields = (clientKey) =>
  may('operate')
    ? [
        { name: 'name', label: t('key.name'), required: true, placeholder: 'laptop' },
        { name: 'project', label: t('key.project'), hint: t('key.project_hint') },
        ...budgetFields(),
        { name: 'rpm', label: t('key.rpm'), kind: 'number', min: 1, placeholder: t('no_limit') },
        {
          name: 'tasks_limit',
          label: t('key.tasks_limit'),
          kind: 'number',
          min: 1,
          placeholder: t('no_limit'),
        },
        { name: 'expires_at', label: t('key.expires'), kind: 'date' },
        {
          name: 'models',
          label: t('key.models'),
          wide: true,
          placeholder: t('any'),
          hint: t('key.models_hint'),
        },
        {
          name: 'networks',
          label: t('key.networks'),
          wide: true,
          placeholder: t('any'),
          hint: t('key.networks_hint'),
        },
        {
          name: 'gates',
          label: t('key.gates'),
          kind: 'select',
          options: [['', t('gates.default')], ...GATES.map((name) => [name, t(`gates.${name}`)])],
          hint: t('key.gates_hint'),
        },
        {
          name: 'options',
          label: t('key.options'),
          kind: 'code',
          rows: 2,
          wide: true,
          hint: t('key.options_hint'),
        },
        { name: 'note', label: t('note'), kind: 'textarea', rows: 2, wide: true },
        !clientKey && {
          name: 'secret',
          label: t('key.secret'),
          kind: 'password',
          wide: true,
          hint: t('key.secret_hint'),
        },
        { name: 'keep_prompts', label: t('key.keep_prompts'), kind: 'check', hint: t('key.keep_prompts_hint') },
        { name: 'priority', label: t('key.priority'), kind: 'select', options: priorities() },
        {
          name: 'most_priority',
          label: t('key.most_priority'),
          kind: 'select',
          options: priorities(),
          hint: t('key.most_priority_hint'),
        },
        { name: 'may_rotate', label: t('key.may_rotate'), kind: 'check', hint: t('key.may_rotate_hint') },
      ]
    : budgetFields();

export function KeyForm({ clientKey, onClose, onDone }) {
  const { gates = '', ...others } = clientKey?.options ?? {};
  const form = useForm({
    name: clientKey?.name ?? '',
    project: clientKey?.project ?? '',
    daily: clientKey?.budget?.daily ?? '',
    monthly: clientKey?.budget?.monthly ?? '',
    total: clientKey?.budget?.total ?? '',
    rpm: clientKey?.rpm ?? '',
    tasks_limit: clientKey?.tasks_limit ?? '',
    models: (clientKey?.models ?? []).join(', '),
    networks: (clientKey?.networks ?? []).join(', '),
    expires_at: localDateTime(clientKey?.expires_at),
    note: clientKey?.note ?? '',
    keep_prompts: clientKey?.keep_prompts ?? true,
    may_rotate: clientKey?.may_rotate ?? false,
    priority: clientKey?.priority ?? 0,
    most_priority: clientKey?.most_priority ?? 0,
    secret: '',
    gates,
    options: Object.keys(others).length ? JSON.stringify(others) : '',
  });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      const body = requestBody(values);
      const saved = clientKey ? await patch(`keys/${clientKey.id}`, body) : await post('keys', body);
      showToast(t(clientKey ? 'key.saved' : 'key.created', { name: saved.name }));
      onDone(saved);
    });
  };
  return html`<${Dialog} title=${clientKey ? t('key.edit') : t('keys.add')} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <${FormFields}
        form=${form}
        prefix="key"
        fields=${keyFields(clientKey)}
      />
      <div class="row">
        <${FormButtons} form=${form} label=${clientKey ? t('save') : t('keys.add')} onCancel=${onClose} />
      </div>
    </form>
  <//>`;
}
