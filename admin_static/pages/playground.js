// Playground: a form with what the model accepts, the price before sending, and the result beside it.
import { html, signal, useEffect, useMemo, useRef, useState } from '../lib/dom.js';
import { post, canWrite } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { route, setFilters, pageLink } from '../lib/router.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { formatMoney } from '../lib/format.js';
import { EmptyState, PageHeader } from '../lib/ui/elements.js';
import { FormField } from '../lib/ui/form.js';
import { runWithToast } from '../lib/ui/dialogs.js';
import { CharacterPicker, PictureInputs, ShotList } from './playground_inputs.js';
import { TaskResult, CodeSnippets } from './playground_result.js';

const STYLES = ['thanksgiving', 'comic', 'news', 'selfie', 'nostalgic', 'anime'];
const LENGTHS = ['4', '8', '12'];
// Suggested where the model has no list of its own.
const SIZES = ['1280x720', '720x1280', '1920x1080', '1080x1920', '1024x1024'];
const EMPTY = {
  prompt: '',
  seconds: '',
  size: '',
  style: '',
  seed: '',
  negative_prompt: '',
  private: false,
  extra: '',
  pictures: { first_frame: [], last_frame: [], reference_image: [] },
  shots: [],
  characters: [],
};

// They stay while another page is looked at.
const draft = signal(EMPTY);
const made = signal([]);

function offeredLengths(range) {
  if (!range) return [];
  const common = [4, 5, 6, 8, 10, 12, 15, 20, 25].filter((length) => length >= range.min && length <= range.max);
  return [...new Set([Math.ceil(range.min), ...common, Math.floor(range.max)])].sort((a, b) => a - b);
}

/** The request body; empty fields are left out. */
function requestBody(form, model) {
  const body = { model, prompt: form.prompt };
  for (const name of ['seconds', 'size', 'style', 'negative_prompt'])
    if (form[name]) body[name] = name === 'seconds' ? Number(form[name]) : form[name];
  if (form.seed !== '') body.seed = Number(form.seed);
  if (form.private) body.private = true;
  if (form.shots.length)
    body.shots = form.shots.map((shot) => ({ seconds: Number(shot.seconds), prompt: shot.prompt }));
  if (form.characters.length) body.characters = form.characters;
  if (form.extra.trim()) body.extra = JSON.parse(form.extra);
  return body;
}

function withFiles(body, pictures) {
  const files = Object.entries(pictures).flatMap(([role, list]) => list.map((picture) => [role, picture]));
  if (files.length === 0) return body;
  const parts = new FormData();
  for (const [name, value] of Object.entries(body))
    parts.append(name, typeof value === 'object' ? JSON.stringify(value) : String(value));
  for (const [role, picture] of files) parts.append(role, picture.file, picture.file.name);
  return parts;
}

/** Whether there is a prompt, or one for every shot. */
const isComplete = (form) =>
  form.shots.length ? form.shots.every((shot) => shot.prompt.trim() && Number(shot.seconds) > 0) : form.prompt.trim();

/** The price of the form, requested 250 ms after the last change. Viewers may not request it. */
function usePrice(form, model) {
  const [quote, setQuote] = useState(null);
  const quoteKey = JSON.stringify([model, form.seconds, form.size, form.shots.map((shot) => shot.seconds)]);
  useEffect(() => {
    if (!model || !canWrite()) return undefined;
    let outdated = false;
    const timer = setTimeout(async () => {
      const loaded = await post(
        'playground/quote',
        requestBody(
          {
            ...form,
            extra: '',
            characters: [],
            prompt: '…',
            shots: form.shots.map((shot) => ({ ...shot, prompt: '…' })),
          },
          model,
        ),
      ).catch((error) => ({ error }));
      if (!outdated) setQuote(loaded);
    }, 250);
    return () => {
      outdated = true;
      clearTimeout(timer);
    };
  }, [quoteKey]);
  return quote;
}

function PlaygroundFields({ form, set, model, other, models }) {
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
      <${FormField}
        prefix="play"
        field=${{
          name: 'other',
          label: t('playground.beside'),
          kind: 'select',
          options: [['', t('playground.alone')], ...names],
        }}
        value=${other}
        onChange=${(value) => setFilters({ beside: value })}
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
                ...offeredLengths(can.seconds).map((n) => [String(n), `${n} s`]),
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
          options: [['', '–'], ...STYLES.map((style) => [style])],
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
  if (quote.error) return html`<span class="bad">${quote.error.message}</span>`;
  return quote.price == null
    ? html`<span class="quiet">
      ${t('playground.unpriced')} (${name})
    </span>`
    : html`<span>
      <strong>${formatMoney(quote.price)}</strong> <span class="quiet">${quote.text}</span>
    </span>`;
}

export function Page() {
  const { query } = route.value;
  const loaded = useGet('playground/models');
  const form = draft.value;
  const created = made.value;
  const [busy, setBusy] = useState(false);
  const models = loaded.data?.data ?? [];
  const findModel = (name) => models.find((entry) => entry.name === name);
  const model = findModel(query.model) ?? findModel('sora-2') ?? models[0];
  const other = findModel(query.beside)?.name ?? '';
  const quote = usePrice(form, model?.name);
  const beside = usePrice(form, other);
  const stage = useRef();
  useEffect(() => {
    if (created.length) stage.current?.scrollIntoView({ block: 'nearest' });
  }, [created]);
  const request = useMemo(() => {
    try {
      return { ...requestBody(form, model?.name ?? ''), first_frame: form.pictures.first_frame[0]?.file.name };
    } catch {
      return { model: model?.name ?? '', prompt: form.prompt };
    }
  }, [form, model]);
  const set = (name, value) => {
    draft.value = { ...draft.value, [name]: value };
  };
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    const names = [model.name, ...(other ? [other] : [])];
    const done = await runWithToast(
      () => Promise.all(names.map((name) => post('playground', withFiles(requestBody(form, name), form.pictures)))),
      t('playground.sent'),
    );
    if (done) made.value = done;
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
    <${PageHeader} title=${t('page.playground')} />
    <div class="work">
      <form class="stack" onSubmit=${submit}>
        <${PlaygroundFields} form=${form} set=${set} model=${model} other=${other} models=${models} />
        <div class="row apart">
          <span id="price" class="stack tight">
            ${canWrite() && html`<${PriceQuote} quote=${quote} name=${model.name} />`}
            ${canWrite() && other && html`<${PriceQuote} quote=${beside} name=${other} />`}
          </span>
          <button type="submit" class="button main" disabled=${busy || !canWrite() || !isComplete(form)}>
            ${t('playground.create')}
          </button>
        </div>
      </form>
      <div class="stage stack" ref=${stage}>
        ${
          created.length === 0
            ? html`<div class="film">
              <div class="waiting">${t('playground.waiting')}</div>
            </div>`
            : html`<div class="stages">
              ${created.map((task) => html`<${TaskResult} key=${task.id} created=${task} />`)}
            </div>`
        }
        <${CodeSnippets} request=${request} />
      </div>
    </div>
  `;
}
