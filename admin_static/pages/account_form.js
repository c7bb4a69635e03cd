// The form of an account, with the fields that its provider needs.
import { html } from '../lib/dom.js';
import { patch, post } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { FITS, localDateTime, numberOrNull, parseJson, secondsFromLocal, splitWords } from '../lib/form_values.js';
import { providerNote, secretHint } from '../lib/provider_words.js';
import { Dialog, showToast } from '../lib/ui/dialogs.js';
import { FormFields, FormButtons, useForm } from '../lib/ui/form.js';

const modelLines = (models) =>
  Object.entries(models ?? {})
    .map(([ours, theirs]) => (ours === theirs ? ours : `${ours} = ${theirs}`))
    .join('\n');

/** Parse lines of "our name = upstream name"; a single name is used for both. */
export function parseModels(text) {
  const pairs = text
    .split(/[\n,]+/)
    .map((line) => line.split('=').map((part) => part.trim()))
    .filter(([ours]) => ours);
  return Object.fromEntries(pairs.map(([ours, theirs]) => [ours, theirs || ours]));
}

/** Lines of "kind = slots". */
const parseLimits = (text) =>
  Object.fromEntries(Object.entries(parseModels(text)).map(([kind, slots]) => [kind, Number(slots)]));

function formValues(account) {
  return {
    provider: account?.provider ?? 'openai_compatible',
    name: account?.name ?? '',
    base_url: account?.base_url ?? '',
    secret: '',
    models: modelLines(account?.models),
    slots: account?.slots ?? 1,
    rpm: account?.rpm ?? '',
    weight: account?.weight ?? 1,
    tier: account?.tier ?? 0,
    cost_factor: account?.cost_factor ?? 1,
    lengths: account?.lengths ?? 'exact',
    sizes: account?.sizes ?? 'exact',
    tags: (account?.tags ?? []).join(', '),
    plan: account?.plan ?? '',
    note: account?.note ?? '',
    proxy: '',
    no_proxy: false,
    kinds: (account?.kinds ?? []).join(', '),
    limits: modelLines(account?.limits),
    options: Object.keys(account?.options ?? {}).length ? JSON.stringify(account.options, null, 2) : '',
    quota_limit: account?.quota?.limit ?? '',
    quota_left: account?.quota?.left ?? '',
    quota_unit: account?.quota?.unit ?? 'count',
    quota_period: account?.quota?.period ?? 'none',
    expires_at: localDateTime(account?.expires_at),
  };
}

function requestBody(values, needed, old) {
  const options = values.options.trim() ? parseJson(values.options, 'options') : {};
  for (const field of needed) {
    const [place, name] = field.name.split('.');
    if (place === 'options' && values[field.name]) options[name] = values[field.name];
  }
  const body = {
    name: values.name.trim(),
    base_url: values.base_url.trim(),
    models: parseModels(values.models),
    slots: Number(values.slots || 1),
    rpm: numberOrNull(values.rpm),
    weight: Number(values.weight || 1),
    tier: Number(values.tier || 0),
    cost_factor: values.cost_factor === '' ? 1 : Number(values.cost_factor),
    lengths: values.lengths,
    sizes: values.sizes,
    tags: splitWords(values.tags),
    kinds: splitWords(values.kinds),
    limits: parseLimits(values.limits),
    plan: values.plan,
    note: values.note,
    options,
    expires_at: secondsFromLocal(values.expires_at),
    quota:
      values.quota_limit === ''
        ? null
        : {
            unit: values.quota_unit,
            limit: String(values.quota_limit),
            left: String(values.quota_left === '' ? values.quota_limit : values.quota_left),
            period: values.quota_period,
          },
  };
  if (values.no_proxy) body.proxy = null;
  else if (values.proxy) body.proxy = values.proxy;
  if (old) return body;
  if (values.secret) body.secret = values.secret;
  return { ...body, provider: values.provider };
}

function mainFields(values, providers, old) {
  const provider = providers.find(({ name }) => name === values.provider);
  const needed = provider?.fields ?? [];
  const secret = needed.find((field) => field.name === 'secret');
  const base = needed.find((field) => field.name === 'base_url');
  return [
    {
      name: 'provider',
      label: t('account.provider'),
      kind: 'select',
      disabled: Boolean(old),
      options: providers.map(({ name, title }) => [name, title === name ? name : `${title} (${name})`]),
      hint: providerNote(provider),
    },
    { name: 'name', label: t('account.name'), required: true },
    {
      name: 'base_url',
      label: t('account.base_url'),
      wide: true,
      required: Boolean(provider?.needs_base_url ?? base?.required),
      placeholder: provider?.default_base_url || 'https://…/v1',
    },
    !old && {
      name: 'secret',
      label: t('account.secret'),
      kind: 'secret',
      wide: true,
      required: Boolean(secret?.required),
      hint: secretHint(provider),
    },
    ...needed
      .filter((field) => field.name.startsWith('options.') && !old)
      .map((field) => ({
        name: field.name,
        label: field.label ?? field.name.slice(8),
        required: field.required,
        hint: t('account.option_hint'),
        wide: true,
        kind: field.secret ? 'secret' : field.name === 'options.declaration' ? 'code' : 'text',
        rows: 12,
        placeholder: field.default ?? '',
      })),
    {
      name: 'models',
      label: t('account.models'),
      kind: 'code',
      rows: 3,
      wide: true,
      placeholder: 'sora-2\nsora-2-pro = upstream-name',
      hint: t('account.models_hint'),
    },
    { name: 'slots', label: t('account.slots'), kind: 'number', min: 1, hint: t('account.slots_hint') },
    { name: 'tags', label: t('account.tags'), hint: t('account.tags_hint') },
  ];
}

const moreFields = (account) => [
  { name: 'rpm', label: t('account.rpm_field'), kind: 'number', min: 1 },
  { name: 'plan', label: t('account.plan') },
  {
    name: 'weight',
    label: t('account.weight'),
    kind: 'number',
    min: 0,
    step: 'any',
    hint: t('account.weight_hint'),
  },
  { name: 'tier', label: t('account.tier'), kind: 'number', hint: t('account.tier_hint') },
  {
    name: 'cost_factor',
    label: t('account.cost_factor'),
    kind: 'number',
    min: 0,
    step: 'any',
    hint: t('account.cost_factor_hint'),
  },
  ...['lengths', 'sizes'].map((name) => ({
    name,
    label: t(`account.${name}`),
    kind: 'select',
    options: FITS.map((fit) => [fit, t(`fit.${fit}`)]),
    hint: t('account.fit_hint'),
  })),
  {
    name: 'quota_limit',
    label: t('account.quota_limit'),
    kind: 'number',
    min: 0,
    step: 'any',
    hint: t('account.quota_hint'),
  },
  { name: 'quota_left', label: t('account.quota_left'), kind: 'number', min: 0, step: 'any' },
  {
    name: 'quota_unit',
    label: t('account.quota_unit'),
    kind: 'select',
    options: [
      ['count', t('account.tasks')],
      ['usd', 'USD'],
    ],
  },
  {
    name: 'quota_period',
    label: t('account.quota_period'),
    kind: 'select',
    options: ['none', 'day', 'month'].map((period) => [period, t(`period.${period}`)]),
  },
  { name: 'expires_at', label: t('account.expires'), kind: 'date' },
  {
    name: 'proxy',
    label: t('account.proxy'),
    kind: 'secret',
    placeholder: 'http://user:password@host:3128',
    hint: account?.proxy_hint && t('account.proxy_set', { end: account.proxy_hint }),
  },
  Boolean(account?.proxy_hint) && { name: 'no_proxy', label: t('account.no_proxy'), kind: 'check', wide: true },
  { name: 'kinds', label: t('account.kinds'), hint: t('account.kinds_hint'), placeholder: 'video, image' },
  {
    name: 'limits',
    label: t('account.limits'),
    kind: 'code',
    rows: 2,
    placeholder: 'video = 3',
    hint: t('account.limits_hint'),
  },
  {
    name: 'options',
    label: t('account.options'),
    kind: 'code',
    rows: 3,
    wide: true,
    hint: t('account.options_hint'),
  },
  { name: 'note', label: t('note'), kind: 'textarea', wide: true, rows: 2 },
];

export function AccountForm({ account, providers, onClose, onDone }) {
  const form = useForm(formValues(account));
  const fields = mainFields(form.values, providers, account);
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      const needed = providers.find(({ name }) => name === values.provider)?.fields ?? [];
      const body = requestBody(values, needed, account);
      const saved = account ? await patch(`accounts/${account.id}`, body) : await post('accounts', body);
      showToast(t(account ? 'account.saved' : 'account.added', { name: saved.name }));
      onDone(saved);
    });
  };
  return html`<${Dialog} title=${account ? t('account.edit') : t('accounts.add')} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <${FormFields} form=${form} fields=${fields} prefix="account" />
      <details open=${Boolean(account)}>
        <summary>${t('more')}</summary>
        <div class="stack">
          <p></p>
          <${FormFields} form=${{ ...form, error: null }} fields=${moreFields(account)} prefix="account" />
        </div>
      </details>
      <div class="row">
        <${FormButtons} form=${form} label=${account ? t('save') : t('accounts.add')} onCancel=${onClose} />
      </div>
    </form>
  <//>`;
}
