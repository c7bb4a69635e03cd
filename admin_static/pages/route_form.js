// The form of a route: an alias, or candidates in order.
import { FITS, LENGTH_FITS, numberOrNull } from '../lib/form_values.js';
import { html, useState } from '../lib/dom.js';
import { put } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { useGet } from '../lib/api_hooks.js';
import { SegmentedControl } from '../lib/ui/elements.js';
import { Icon } from '../lib/ui/icons.js';
import { Dialog, showToast } from '../lib/ui/dialogs.js';
import { FormFields, FormButtons, useForm } from '../lib/ui/form.js';

const VERDICTS = ['failed', 'moderated', 'retired'];
const SELECTORS = ['account', 'provider', 'tag', 'any'];
const selectorOf = (candidate) => SELECTORS.find((name) => candidate[name]) ?? 'account';

export function candidateText(candidate) {
  const selector = selectorOf(candidate);
  const who =
    selector === 'any'
      ? t('route.any')
      : selector === 'account'
        ? candidate.account
        : `${t(`route.${selector}`)} ${candidate[selector]}`;
  return [
    who,
    candidate.model && `→ ${candidate.model}`,
    candidate.weight != null && Number(candidate.weight) !== 1 && `× ${candidate.weight}`,
  ]
    .filter(Boolean)
    .join(' ');
}

function CandidateEditor({ candidate, n, accounts, change, onRemove, onMoveUp }) {
  const selector = selectorOf(candidate);
  const pick = (name) => {
    const next = { ...candidate };
    for (const each of SELECTORS) delete next[each];
    change({ ...next, [name]: name === 'any' ? true : '' });
  };
  const set = (name, value) => change({ ...candidate, [name]: value });
  return html`<div class="panel stack tight" data-candidate=${n}>
    <div class="row">
      <strong>${n + 1}.</strong>
      <select
        class="grow"
        aria-label=${t('route.who')}
        value=${selector}
        onChange=${(event) => pick(event.target.value)}
      >
        ${SELECTORS.map(
          (name) =>
            html`<option key=${name} value=${name}>
              ${t(`route.${name}`)}
            </option>`,
        )}
      </select>
      <button type="button" class="button plain small" disabled=${n === 0} onClick=${onMoveUp}>
        ${t('route.up')}
      </button>
      <button type="button" class="button plain small icon-only" aria-label=${t('remove')} onClick=${onRemove}>
        <${Icon} name="close" />
      </button>
    </div>
    <div class="form">
      ${
        selector === 'account'
          ? html`<select
            required
            aria-label=${t('task.account')}
            value=${candidate.account ?? ''}
            onChange=${(event) => set('account', event.target.value)}
          >
            <option value="">${t('route.choose')}</option>
            ${accounts.map(
              (each) =>
                html`<option key=${each.id} value=${each.name}>
                  ${each.name}
                </option>`,
            )}
          </select>`
          : selector !== 'any' &&
            html`<input
              required
              aria-label=${t(`route.${selector}`)}
              placeholder=${t(`route.${selector}`)}
              value=${candidate[selector] ?? ''}
              onInput=${(event) => set(selector, event.target.value)}
            />`
      }
      <input
        aria-label=${t('models.upstream')}
        placeholder=${t('route.model_hint')}
        value=${candidate.model ?? ''}
        onInput=${(event) => set('model', event.target.value || null)}
      />
      <label class="row small">
        <span class="nowrap">${t('account.weight')}</span>
        <input
          class="grow"
          type="number"
          min="0"
          step="any"
          value=${candidate.weight ?? 1}
          onInput=${(event) => set('weight', Number(event.target.value))}
        />
      </label>
      <label class="check small">
        <input
          type="checkbox"
          checked=${candidate.order != null}
          onChange=${(event) => set('order', event.target.checked ? Math.max(0, n - 1) : undefined)}
        />
        <span>${t('route.shares')}</span>
      </label>
      ${['lengths', 'sizes'].map(
        (name) =>
          html`<label key=${name} class="row small">
            <span class="nowrap">${t(`account.${name}`)}</span>
            <select
              class="grow"
              value=${candidate[name] ?? ''}
              onChange=${(event) => set(name, event.target.value || null)}
            >
              <option value="">${t('route.as_account')}</option>
              ${(name === 'lengths' ? LENGTH_FITS : FITS).map(
                (fit) =>
                  html`<option key=${fit} value=${fit}>
                    ${t(`fit.${fit}`)}
                  </option>`,
              )}
            </select>
          </label>`,
      )}
      <label class="row small">
        <span class="nowrap">${t('route.prefer')}</span>
        <select
          class="grow"
          value=${candidate.prefer ?? ''}
          onChange=${(event) => set('prefer', event.target.value || null)}
        >
          <option value="">${t('route.prefer_none')}</option>
          ${['cheapest', 'fastest', 'most_reliable'].map(
            (word) =>
              html`<option key=${word} value=${word}>
                ${t(`prefer.${word}`)}
              </option>`,
          )}
        </select>
      </label>
      <label class="check small">
        <input
          type="checkbox"
          checked=${Boolean(candidate.successor)}
          onChange=${(event) => set('successor', event.target.checked || undefined)}
        />
        <span>${t('route.successor')}</span>
      </label>
    </div>
  </div>`;
}

const retryFields = (retry) =>
  Object.fromEntries(VERDICTS.map((verdict) => [`retry.${verdict}`, retry?.[verdict] ?? '']));

/** How often a vendor's failure goes on elsewhere; null where nothing is said, which leaves it to who failed. */
function writtenRetry(values) {
  const given = VERDICTS.map((verdict) => [verdict, numberOrNull(values[`retry.${verdict}`])]);
  return given.some(([, times]) => times !== null) ? Object.fromEntries(given.map(([v, n]) => [v, n ?? 0])) : null;
}

/** A candidate as the API takes it: unset fields are left out. */
const withoutEmpty = (candidate) =>
  Object.fromEntries(
    Object.entries(candidate).filter(([name, value]) => value != null && value !== '' && name !== 'id'),
  );

export function RouteForm({ model, route, onClose, onDone }) {
  const accounts = useGet('accounts/names');
  const form = useForm({
    model,
    alias_of: route?.alias_of ?? '',
    note: route?.note ?? '',
    enabled: route?.enabled ?? true,
    ...retryFields(route?.retry),
  });
  const [routeKind, setRouteKind] = useState(route?.alias_of ? 'alias' : 'candidates');
  const [candidates, setCandidates] = useState(route?.candidates?.length ? route.candidates : [{ account: '' }]);
  const change = (n) => (value) => setCandidates(candidates.map((each, at) => (at === n ? value : each)));
  const moveUp = (n) => () =>
    setCandidates(candidates.map((each, at) => (at === n - 1 ? candidates[n] : at === n ? candidates[n - 1] : each)));
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      const target =
        routeKind === 'alias'
          ? { alias_of: values.alias_of.trim(), candidates: [] }
          : { alias_of: null, candidates: candidates.map(withoutEmpty), retry: writtenRetry(values) };
      await put(`routes/${encodeURIComponent(values.model.trim())}`, {
        ...target,
        enabled: values.enabled,
        note: values.note,
      });
      showToast(t('models.saved', { name: values.model }));
      onDone();
    });
  };
  return html`<${Dialog} title=${t('models.route')} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <${FormFields}
        form=${form}
        prefix="route"
        fields=${[
          {
            name: 'model',
            label: t('task.model'),
            required: true,
            wide: true,
            disabled: Boolean(route),
            placeholder: 'sora-2',
            hint: t('models.family_hint'),
          },
        ]}
      />
      <${SegmentedControl}
        label=${t('models.served_by')}
        value=${routeKind}
        onPick=${setRouteKind}
        options=${[
          ['candidates', t('route.candidates')],
          ['alias', t('route.alias')],
        ]}
      />
      ${
        routeKind === 'alias'
          ? html`<${FormFields}
            form=${{ ...form, error: null }}
            prefix="route"
            fields=${[{ name: 'alias_of', label: t('route.alias_of'), required: true, wide: true }]}
          />`
          : html`
            <p class="soft small">${t('route.order_note')}</p>
            ${candidates.map(
              (each, n) =>
                html`<${CandidateEditor}
                  key=${n}
                  n=${n}
                  candidate=${each}
                  accounts=${accounts.data?.data ?? []}
                  change=${change(n)}
                  onMoveUp=${moveUp(n)}
                  onRemove=${() => setCandidates(candidates.filter((_, at) => at !== n))}
                />`,
            )}
            <div>
              <button
                type="button"
                class="button small"
                onClick=${() => setCandidates([...candidates, { account: '' }])}
              >
                <${Icon} name="plus" />
                ${t('route.add')}
              </button>
            </div>
            <p class="soft small">${t('route.retry_note')}</p>
            <${FormFields}
              form=${{ ...form, error: null }}
              prefix="route"
              fields=${VERDICTS.map((verdict) => ({
                name: `retry.${verdict}`,
                label: t(`route.retry.${verdict}`),
                kind: 'number',
                min: 0,
                max: 5,
                step: 1,
              }))}
            />
          `
      }
      <${FormFields}
        form=${{ ...form, error: null }}
        prefix="route"
        fields=${[
          { name: 'note', label: t('note'), wide: true },
          { name: 'enabled', label: t('key_state.enabled'), kind: 'check' },
        ]}
      />
      <div class="row">
        <${FormButtons} form=${form} label=${t('save')} onCancel=${onClose} />
      </div>
    </form>
  <//>`;
}
