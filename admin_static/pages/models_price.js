// What a model costs: in words, and the form that sets it.
import { html } from '../lib/dom.js';
import { put } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { money } from '../lib/format.js';
import { Dialog, toast } from '../lib/ui/layers.js';
import { Fields, FormButtons, useForm } from '../lib/ui/form.js';

const lines = (rates) => Object.entries(rates ?? {}).map(([name, rate]) => (name === '*' ? rate : `${name} = ${rate}`)).join('\n');

/** "720p = 0.10" a line; a number alone is for all the rest. */
function ratesOf(text) {
  const pairs = text.split('\n').map((line) => line.split('=').map((part) => part.trim())).filter(([first]) => first);
  return Object.fromEntries(pairs.map(([name, rate]) => (rate === undefined ? ['*', name] : [name, rate])));
}

const rates = (found) => {
  const { '*': rest, ...named } = Object.fromEntries(Object.entries(found ?? {}).filter(([, rate]) => Number(rate) > 0));
  const others = Object.entries(named).map(([name, rate]) => `${name} ${money(rate)}`).join(', ');
  return rest && others ? `${money(rest)} (${others})` : rest ? money(rest) : others;
};

export function priceWords(price) {
  const parts = [];
  if (Number(price.per_call) > 0) parts.push(t('price.call', { amount: money(price.per_call) }));
  if (rates(price.per_second)) parts.push(t('price.second', { amount: rates(price.per_second) }));
  if (rates(price.per_image)) parts.push(t('price.image', { amount: rates(price.per_image) }));
  if (rates(price.per_unit)) parts.push(t('price.unit', { amount: rates(price.per_unit) }));
  if (Number(price.per_million_input) > 0 || Number(price.per_million_output) > 0) parts.push(t('price.tokens', { input: money(price.per_million_input), output: money(price.per_million_output) }));
  return parts.join(' · ') || t('price.free');
}

export function PriceForm({ model, document, onClose, onDone }) {
  const form = useForm({
    model, per_call: document?.per_call ?? '', per_second: lines(document?.per_second), per_image: lines(document?.per_image), per_unit: lines(document?.per_unit),
    per_million_input: document?.per_million_input ?? '', per_million_output: document?.per_million_output ?? '',
  });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      const found = {};
      for (const name of ['per_call', 'per_million_input', 'per_million_output']) if (values[name] !== '') found[name] = String(values[name]);
      for (const name of ['per_second', 'per_image', 'per_unit']) if (values[name].trim()) found[name] = ratesOf(values[name]);
      await put(`prices/${encodeURIComponent(values.model.trim())}`, { document: found });
      toast(t('models.saved', { name: values.model }));
      onDone();
    });
  };
  return html`<${Dialog} title=${t('models.set_price')} onClose=${onClose}><form class="stack" onSubmit=${submit}>
    <p class="soft">${t('price.note')}</p>
    <${Fields} form=${form} prefix="price" fields=${[
      { name: 'model', label: t('task.model'), required: true, wide: true, disabled: Boolean(model && document), placeholder: 'sora-2', hint: t('models.family_hint') },
      { name: 'per_second', label: t('price.per_second'), kind: 'code', rows: 3, placeholder: '0.10\n1080p = 0.30', hint: t('price.rates_hint') },
      { name: 'per_image', label: t('price.per_image'), kind: 'code', rows: 3, placeholder: '0.04' },
      { name: 'per_call', label: t('price.per_call'), kind: 'number', min: 0, step: 'any' },
      { name: 'per_unit', label: t('price.per_unit'), kind: 'code', rows: 1, placeholder: 'credits = 0.01', hint: t('price.unit_hint') },
      { name: 'per_million_input', label: t('price.per_input'), kind: 'number', min: 0, step: 'any' },
      { name: 'per_million_output', label: t('price.per_output'), kind: 'number', min: 0, step: 'any' },
    ]} /><div class="row"><${FormButtons} form=${form} label=${t('save')} onCancel=${onClose} /></div></form><//>`;
}
