// The form that sets the price of a model.
import { html } from '../lib/dom.js';
import { put } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { currency } from '../lib/format.js';
import { Dialog, showToast } from '../lib/ui/dialogs.js';
import { FormFields, FormButtons, useForm } from '../lib/ui/form.js';

const rateLines = (rateText) =>
  Object.entries(rateText ?? {})
    .map(([name, rate]) => (name === '*' ? rate : `${name} = ${rate}`))
    .join('\n');

/** Parse lines of "720p = 0.10"; a number alone is the price of every other size. */
function parseRates(text) {
  const pairs = text
    .split('\n')
    .map((line) => line.split('=').map((part) => part.trim()))
    .filter(([first]) => first);
  return Object.fromEntries(pairs.map(([name, rate]) => (rate === undefined ? ['*', name] : [name, rate])));
}

export function PriceForm({ model, document, onClose, onDone }) {
  const form = useForm({
    model,
    per_call: document?.per_call ?? '',
    per_second: rateLines(document?.per_second),
    per_image: rateLines(document?.per_image),
    per_unit: rateLines(document?.per_unit),
    per_million_input: document?.per_million_input ?? '',
    per_million_output: document?.per_million_output ?? '',
    most_output_tokens: document?.most_output_tokens ?? '',
  });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      const price = {};
      for (const name of ['per_call', 'per_million_input', 'per_million_output'])
        if (values[name] !== '') price[name] = String(values[name]);
      if (values.most_output_tokens !== '') price.most_output_tokens = Number(values.most_output_tokens);
      for (const name of ['per_second', 'per_image', 'per_unit'])
        if (values[name].trim()) price[name] = parseRates(values[name]);
      await put(`prices/${encodeURIComponent(values.model.trim())}`, { document: price });
      showToast(t('models.saved', { name: values.model }));
      onDone();
    });
  };
  return html`<${Dialog} title=${t('models.set_price')} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <p class="soft">${t('price.note', { currency: currency.value })}</p>
      <${FormFields}
        form=${form}
        prefix="price"
        fields=${[
          {
            name: 'model',
            label: t('task.model'),
            required: true,
            wide: true,
            disabled: Boolean(model && document),
            placeholder: 'sora-2',
            hint: t('models.family_hint'),
          },
          {
            name: 'per_second',
            label: t('price.per_second'),
            kind: 'code',
            rows: 3,
            placeholder: '0.10\n1080p = 0.30',
            hint: t('price.rates_hint'),
          },
          { name: 'per_image', label: t('price.per_image'), kind: 'code', rows: 3, placeholder: '0.04' },
          { name: 'per_call', label: t('price.per_call'), kind: 'number', min: 0, step: 'any' },
          {
            name: 'per_unit',
            label: t('price.per_unit'),
            kind: 'code',
            rows: 1,
            placeholder: 'credits = 0.01',
            hint: t('price.unit_hint'),
          },
          { name: 'per_million_input', label: t('price.per_input'), kind: 'number', min: 0, step: 'any' },
          { name: 'per_million_output', label: t('price.per_output'), kind: 'number', min: 0, step: 'any' },
          {
            name: 'most_output_tokens',
            label: t('price.most_output'),
            kind: 'number',
            min: 1,
            placeholder: '65536',
            hint: t('price.most_output_hint'),
          },
        ]}
      />
      <div class="row">
        <${FormButtons} form=${form} label=${t('save')} onCancel=${onClose} />
      </div>
    </form>
  <//>`;
}
