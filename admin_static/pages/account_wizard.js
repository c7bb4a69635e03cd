// Adding an account step by step: the vendor and its key, a test that lists its models, the names they serve, a film.
import { html, useState } from '../lib/dom.js';
import { get, post, put } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { providerNote, secretHint } from '../lib/provider_words.js';
import { Dialog, runWithToast, showToast } from '../lib/ui/dialogs.js';
import { FormFields, FormButtons, useForm } from '../lib/ui/form.js';
import { FirstFilm } from './first_film.js';

const MOST_SHOWN = 200;

const vendorName = ({ name, title }) => (title === name ? name : `${title} (${name})`);

function accountFields(values, providers) {
  const provider = providers.find((each) => each.name === values.provider);
  const needed = provider?.fields ?? [];
  const secret = needed.find((field) => field.name === 'secret');
  return [
    {
      name: 'provider',
      label: t('wizard.vendor'),
      kind: 'select',
      wide: true,
      options: [...providers]
        .sort((a, b) => vendorName(a).localeCompare(vendorName(b)))
        .map((each) => [each.name, vendorName(each)]),
      hint: providerNote(provider),
    },
    { name: 'name', label: t('account.name'), wide: true, required: true },
    {
      name: 'base_url',
      label: t('account.base_url'),
      wide: true,
      required: Boolean(provider?.needs_base_url),
      placeholder: provider?.default_base_url || 'https://…/v1',
    },
    {
      name: 'secret',
      label: t('account.secret'),
      kind: 'secret',
      wide: true,
      required: Boolean(secret?.required),
      hint: secretHint(provider),
    },
    ...needed
      .filter((field) => field.name.startsWith('options.'))
      .map((field) => ({ name: field.name, label: field.name.slice(8), required: field.required, wide: true })),
  ];
}

/** The account as the API takes it, without the models. */
function draftOf(values) {
  const { provider, name, base_url, secret } = values;
  const options = Object.fromEntries(
    Object.entries(values)
      .filter(([field, value]) => field.startsWith('options.') && value)
      .map(([field, value]) => [field.slice(8), value]),
  );
  return { provider, name: name.trim(), base_url: base_url.trim(), secret, options };
}

const priceText = (model) =>
  Object.entries(model.per_second)
    .map(([size, amount]) => (size === '*' ? `$${amount}` : `${size} $${amount}`))
    .join(', ');

/** `chosen`: our name by upstream name, for those that are ticked. */
function ModelChoice({ found, chosen, setChosen }) {
  const [text, setText] = useState('');
  const shown = found.models.filter((model) => model.name.toLowerCase().includes(text.toLowerCase()));
  const toggle = (name) => {
    const next = new Map(chosen);
    if (!next.delete(name)) next.set(name, name);
    setChosen(next);
  };
  const rename = (name, ours) => setChosen(new Map(chosen).set(name, ours));
  if (found.models.length === 0) return html`<p class="soft">${t('wizard.no_models')}</p>`;
  return html`
    <p class="soft">${t(found.listed ? 'wizard.listed' : 'wizard.known', { n: found.models.length })}</p>
    ${
      found.models.length > 12 &&
      html`<input
        type="search"
        aria-label=${t('wizard.find')}
        placeholder=${t('wizard.find')}
        value=${text}
        onInput=${(event) => setText(event.target.value)}
      />`
    }
    <datalist id="wizard-names">
      ${found.public.map((name) => html`<option key=${name} value=${name} />`)}
    </datalist>
    <div class="stack tight" id="wizard-models">
      ${shown.slice(0, MOST_SHOWN).map(
        (model) =>
          html`<div class="row" key=${model.name}>
            <label class="check grow">
              <input type="checkbox" checked=${chosen.has(model.name)} onChange=${() => toggle(model.name)} />
              <span>
                ${model.name}${' '}
                <span class="small quiet">
                  ${[
                    model.kind && valueLabel('kind', model.kind),
                    priceText(model),
                    model.retires && `† ${model.retires}`,
                  ]
                    .filter(Boolean)
                    .join(' · ')}
                </span>
              </span>
            </label>
            ${
              chosen.has(model.name) &&
              html`<input
                class="wizard-name"
                list="wizard-names"
                aria-label=${t('wizard.serves', { model: model.name })}
                value=${chosen.get(model.name)}
                onInput=${(event) => rename(model.name, event.target.value)}
              />`
            }
          </div>`,
      )}
      ${shown.length > MOST_SHOWN && html`<p class="quiet">${t('and_more', { n: shown.length - MOST_SHOWN })}</p>`}
    </div>
  `;
}

/** Set the vendor's list price for the chosen names that have no price of the operator's own. */
async function fillPrices(found, chosen) {
  const priced = new Set(
    (await get('prices')).data.filter((price) => price.source !== 'default').map(({ model }) => model),
  );
  for (const model of found.models) {
    const ours = chosen.get(model.name);
    if (ours && !priced.has(ours) && Object.keys(model.per_second).length)
      await put(`prices/${encodeURIComponent(ours)}`, { document: { per_second: model.per_second } });
  }
}

/** `onForm` opens the form with every field. */
export function AccountWizard({ providers, onClose, onDone, onForm }) {
  const form = useForm({ provider: 'openai_compatible', name: '', base_url: '', secret: '' });
  const [found, setFound] = useState(null);
  const [chosen, setChosen] = useState(new Map());
  const [prices, setPrices] = useState(true);
  const [saved, setSaved] = useState(null);
  const tryIt = (event) => {
    event.preventDefault();
    form.submit(async (values) => setFound(await post('accounts/try', draftOf(values))));
  };
  const save = async () => {
    const models = Object.fromEntries([...chosen].map(([theirs, ours]) => [ours.trim() || theirs, theirs]));
    const account = await runWithToast(() => post('accounts', { ...draftOf(form.values), models }));
    if (!account) return;
    if (prices) await runWithToast(() => fillPrices(found, chosen));
    showToast(t('wizard.added', { name: account.name }));
    setSaved(account);
    onDone(account);
  };
  const priced = found?.models.some((model) => chosen.has(model.name) && Object.keys(model.per_second).length);
  if (saved) return html`<${FirstFilm} key="film" account=${saved} onClose=${onClose} />`;
  return html`<${Dialog} title=${t('accounts.add')} onClose=${onClose}>
    <form class="stack" onSubmit=${tryIt}>
      <${FormFields} form=${form} fields=${accountFields(form.values, providers)} prefix="wizard" />
      <div class="row">
        <${FormButtons} form=${form} label=${t('wizard.try')} onCancel=${onClose} />
        <button type="button" class="text-button" onClick=${onForm}>${t('wizard.every_field')}</button>
      </div>
    </form>
    ${
      found &&
      html`<section class="stack" id="wizard-found">
        <p class=${found.check.ok ? 'fine' : 'trouble'}>
          ${valueLabel('verdict', found.check.verdict)} <span class="small" lang="en">${found.check.message}</span>
        </p>
        <${ModelChoice} found=${found} chosen=${chosen} setChosen=${setChosen} />
        ${
          priced &&
          html`<label class="check">
            <input type="checkbox" checked=${prices} onChange=${(event) => setPrices(event.target.checked)} />
            <span>${t('wizard.prices')}</span>
          </label>`
        }
        <div class="row">
          <button type="button" class=${found.check.ok ? 'button main' : 'button'} onClick=${save}>
            ${t(found.check.ok ? 'accounts.add' : 'wizard.add_anyway')}
          </button>
        </div>
      </section>`
    }
  <//>`;
}
