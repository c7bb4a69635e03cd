// Playground: a form with what the model accepts, the price before sending, and the result beside it.
import { html, signal, useEffect, useMemo, useRef, useState } from '../lib/dom.js';
import { canWrite } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { errorText } from '../lib/server_words.js';
import { route, setFilters, pageLink } from '../lib/router.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { formatMoney, formatSeconds } from '../lib/format.js';
import { EmptyState, PageHeader } from '../lib/ui/elements.js';
import { FormField } from '../lib/ui/form.js';
import { runWithToast } from '../lib/ui/dialogs.js';
import { draft } from '../lib/playground_draft.js';
import { isComplete, quote as quotePrice, requestBody, send, usePrice } from '../lib/playground_request.js';
import { CharacterPicker, PictureInputs, ShotList } from './playground_inputs.js';
import { TaskResult, CodeSnippets } from './playground_result.js';
import { CompareForm } from './compare_form.js';
import { DraftsDialog } from './drafts.js';

const LENGTHS = ['4', '8', '12'];
// Suggested where the model has no list of its own.
const SIZES = ['1280x720', '720x1280', '1920x1080', '1080x1920', '1024x1024'];
const made = signal(null); // stays while another page is looked at

function offeredLengths(range) {
  if (!range) return [];
  const common = [4, 5, 6, 8, 10, 12, 15, 20, 25].filter((length) => length >= range.min && length <= range.max);
  return [...new Set([Math.ceil(range.min), ...common, Math.floor(range.max)])].sort((a, b) => a - b);
}

function PlaygroundFields({ form, set, model, models, styles }) {
  const can = model?.capabilities;
  const inputs = can?.inputs ?? ['first_frame'];
  const renderField = (field) =>
    html`<${FormField}
      prefix="play"
      field=${field}
      value=${form[field.name]}
      onChange=${(value) => set(field.name, value)}
    />`;
  const names = models.map((each) => [each.name]);
  return html`
    <div class="form">
      <${FormField}
        prefix="play"
        field=${{ name: 'model', label: t('playground.model'), kind: 'select', options: names }}
        value=${model.name}
        onChange=${(value) => setFilters({ model: value })}
      />
      ${renderField({
        name: 'prompt',
        label: t(form.shots.length ? 'playground.before_shots' : 'task.prompt'),
        kind: 'textarea',
        rows: form.shots.length ? 2 : 4,
        wide: true,
        placeholder: t('playground.prompt_hint'),
      })}
      ${
        model.kind === 'video' &&
        form.shots.length === 0 &&
        (can?.seconds
          ? renderField({
              name: 'seconds',
              label: t('playground.seconds'),
              kind: 'select',
              options: [
                ['', t('playground.by_model')],
                ...offeredLengths(can.seconds).map((n) => [String(n), formatSeconds(n)]),
              ],
            })
          : renderField({
              name: 'seconds',
              label: t('playground.seconds'),
              kind: 'number',
              min: 1,
              step: 1,
              suggestions: LENGTHS,
              placeholder: t('playground.by_model'),
            }))
      }
      ${
        can?.sizes?.length
          ? renderField({
              name: 'size',
              label: t('playground.size'),
              kind: 'select',
              options: [['', t('playground.by_model')], ...can.sizes.map((size) => [size, size.replace('x', ' × ')])],
            })
          : renderField({ name: 'size', label: t('playground.size'), suggestions: SIZES, placeholder: '1280x720' })
      }
    </div>
    <${PictureInputs} inputs=${inputs} value=${form.pictures} onChange=${(value) => set('pictures', value)} />
    ${
      model.kind === 'video' &&
      html`<${ShotList} value=${form.shots} native=${can?.native_shots} onChange=${(value) => set('shots', value)} />`
    }
    <${CharacterPicker} value=${form.characters} onChange=${(value) => set('characters', value)} />
    <details>
      <summary>${t('more')}</summary>
      <div class="form">
        ${renderField({
          name: 'style',
          label: t('playground.style'),
          kind: 'select',
          options: [['', '–'], ...styles.map((style) => [style, valueLabel('style', style)])],
        })}
        ${renderField({ name: 'seed', label: t('playground.seed'), kind: 'number' })}
        ${renderField({ name: 'negative_prompt', label: t('playground.negative'), wide: true })}
        ${renderField({
          name: 'extra',
          label: t('playground.extra'),
          kind: 'code',
          rows: 2,
          wide: true,
          hint: t('playground.extra_hint'),
          placeholder: '{"camera": "dolly"}',
        })}
        ${renderField({ name: 'private', label: t('playground.private'), kind: 'check', wide: true })}
      </div>
    </details>
  `;
}

function PriceQuote({ quote, name }) {
  if (!quote) return html`<span class="quiet">…</span>`;
  if (quote.error) return html`<span class="bad">${errorText(quote.error)}</span>`;
  return quote.price == null
    ? html`<span class="quiet">
      ${t('playground.unpriced')} (${name})
    </span>`
    : html`<span>
      <strong>${formatMoney(quote.price)}</strong> <span class="quiet">${quote.text}</span>
    </span>`;
}

/** The form as what is compared: each take is sent as the button below the form would send it. */
const comparedForm = (form, model) => ({
  model: model.name,
  kind: model.kind,
  quote: (models) => Promise.all(models.map((name) => quotePrice(form, name))),
  send: ({ model: name, account }) => send(form, name, account),
});

const pictureNames = (pictures) =>
  Object.fromEntries(
    Object.entries(pictures)
      .filter(([, list]) => list.length)
      .map(([role, list]) => [role, list.map((picture) => picture.file.name)]),
  );

export function Page() {
  const { query } = route.value;
  const loaded = useGet('playground/models');
  const form = draft.value;
  const created = made.value;
  const [busy, setBusy] = useState(false);
  const [shown, setShown] = useState('');
  const models = loaded.data?.data ?? [];
  const findModel = (name) => models.find((entry) => entry.name === name);
  const model = findModel(query.model) ?? findModel('sora-2') ?? models[0];
  const quote = usePrice(form, model?.name);
  const stage = useRef();
  useEffect(() => {
    if (created) stage.current?.scrollIntoView({ block: 'nearest' });
  }, [created]);
  const request = useMemo(() => {
    const name = model?.name ?? '';
    const more = { kind: model?.kind, files: pictureNames(form.pictures) };
    try {
      return { ...requestBody(form, name), ...more };
    } catch {
      return { ...requestBody({ ...form, extra: '' }, name), ...more }; // half-typed JSON
    }
  }, [form, model]);
  const set = (name, value) => {
    draft.value = { ...draft.value, [name]: value };
  };
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    made.value = (await runWithToast(() => send(form, model.name), t('playground.sent'))) || made.value;
    setBusy(false);
  };
  if (!loaded.data)
    return html`
      <${PageHeader} title=${t('page.playground')} />
      <${LoadingNotice} ...${loaded} />
    `;
  if (!model)
    return html`
      <${PageHeader} title=${t('page.playground')} />
      <${EmptyState}
        title=${t('playground.no_models')}
        actions=${html`<a class="button main" href=${pageLink('accounts', { add: '1' })}>
          ${t('accounts.add')}
        </a>`}
      >
        ${t('playground.no_models_note')}
      <//>
    `;
  return html`
    <${PageHeader} title=${t('page.playground')}>
      ${
        canWrite() &&
        html`<button type="button" class="button" onClick=${() => setShown('drafts')}>
          ${t('drafts.title')}
        </button>`
      }
    <//>
    <div class="work">
      <form class="stack" onSubmit=${submit}>
        <${PlaygroundFields} form=${form} set=${set} model=${model} models=${models} styles=${loaded.data.styles} />
        <div class="row apart">
          <span id="price">${canWrite() && html`<${PriceQuote} quote=${quote} name=${model.name} />`}</span>
          <span class="row">
            <button
              type="button"
              class="button"
              disabled=${!canWrite() || !isComplete(form)}
              onClick=${() => setShown('compare')}
            >
              ${t('compare.start')}
            </button>
            <button type="submit" class="button main" disabled=${busy || !canWrite() || !isComplete(form)}>
              ${t('playground.create')}
            </button>
          </span>
        </div>
      </form>
      <div class="stage stack" ref=${stage}>
        ${
          created
            ? html`<${TaskResult} key=${created.id} created=${created} />`
            : html`<div class="film">
              <div class="waiting">${t('playground.waiting')}</div>
            </div>`
        }
        <${CodeSnippets} request=${request} />
      </div>
    </div>
    ${shown === 'compare' && html`<${CompareForm} source=${comparedForm(form, model)} onClose=${() => setShown('')} />`}
    ${shown === 'drafts' && html`<${DraftsDialog} model=${model.name} onClose=${() => setShown('')} />`}
  `;
}
