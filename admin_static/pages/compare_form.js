// One prompt to two to four models or accounts: who makes it, and what all of them cost, before anything is sent.
import { html, useEffect, useState } from '../lib/dom.js';
import { post } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { goTo } from '../lib/router.js';
import { useGet } from '../lib/api_hooks.js';
import { formatMoney } from '../lib/format.js';
import { AccountChoice } from '../lib/ui/account_choice.js';
import { Dialog, runWithToast } from '../lib/ui/dialogs.js';
import { MOST_COMPARED } from './task_bulk.js';

/** A source that makes a task again: its request with another model, on another account. */
export const takesOf = (task) => ({
  model: task.model,
  kind: task.kind,
  quote: async (models) => (await post(`tasks/${task.id}/takes/quote`, { models })).data,
  send: ({ model, account }) => post(`tasks/${task.id}/takes`, { model, account: account || null }),
});

/** The price of each model of `takes`; null while it is asked for. */
function usePrices(source, takes) {
  const [prices, setPrices] = useState(null);
  const key = takes.map((take) => take.model).join('\n');
  useEffect(() => {
    let outdated = false;
    setPrices(null);
    runWithToast(() => source.quote(takes.map((take) => take.model))).then((found) => {
      if (!outdated && found) setPrices(found.map((each) => each.price));
    });
    return () => {
      outdated = true;
    };
  }, [key]);
  return prices;
}

function TakeRow({ n, take, models, kind, price, onChange, onRemove }) {
  return html`<fieldset class="take-row">
    <legend>${t('compare.take', { n: n + 1 })}</legend>
    <div class="field">
      <label for=${`take-${n}-model`}>${t('task.model')}</label>
      <select
        id=${`take-${n}-model`}
        value=${take.model}
        onChange=${(event) => onChange({ ...take, model: event.target.value, account: '' })}
      >
        ${models.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
      </select>
    </div>
    <div class="field">
      <label for=${`take-${n}-account`}>${t('task.account')}</label>
      <${AccountChoice}
        id=${`take-${n}-account`}
        model=${take.model}
        kind=${kind}
        value=${take.account}
        onChange=${(account) => onChange({ ...take, account })}
      />
    </div>
    <div class="row apart">
      <span class="take-price">${price == null ? t('playground.unpriced') : formatMoney(price)}</span>
      ${
        onRemove &&
        html`<button type="button" class="button small plain" onClick=${onRemove}>
          ${t('remove')}
        </button>`
      }
    </div>
  </fieldset>`;
}

/** `source`: { model, kind, quote(models), send(take) }; what it sends are ordinary tasks. */
export function CompareForm({ source, onClose }) {
  const loaded = useGet('playground/models');
  const [takes, setTakes] = useState([0, 1].map((id) => ({ id, model: source.model, account: '' })));
  const [busy, setBusy] = useState(false);
  const prices = usePrices(source, takes);
  const offered = (loaded.data?.data ?? []).filter((model) => model.kind === source.kind).map((model) => model.name);
  const models = offered.includes(source.model) ? offered : [source.model, ...offered];
  const change = (n, take) => setTakes((old) => old.map((each, at) => (at === n ? take : each)));
  const total = (prices ?? []).reduce((sum, price) => sum + Number(price ?? 0), 0);
  const unpriced = (prices ?? []).filter((price) => price == null).length;
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    const made = [];
    for (const take of takes) {
      const task = await runWithToast(() => source.send(take));
      if (task) made.push(task.id);
    }
    setBusy(false);
    if (made.length === 0) return;
    onClose();
    goTo('compare', { ids: made.join(',') });
  };
  return html`<${Dialog} title=${t('compare.title')} onClose=${onClose}>
    <form class="stack" id="compare-form" onSubmit=${submit}>
      <p class="soft">${t('compare.note')}</p>
      ${takes.map(
        (take, n) =>
          html`<${TakeRow}
            key=${take.id}
            n=${n}
            take=${take}
            models=${models}
            kind=${source.kind}
            price=${prices?.[n]}
            onChange=${(next) => change(n, next)}
            onRemove=${takes.length > 2 && (() => setTakes((old) => old.filter((_, at) => at !== n)))}
          />`,
      )}
      <div>
        <button
          type="button"
          class="button small"
          disabled=${takes.length >= MOST_COMPARED}
          onClick=${() => setTakes((old) => [...old, { id: old.at(-1).id + 1, model: source.model, account: '' }])}
        >
          ${t('compare.add')}
        </button>
      </div>
      <p id="compare-price" aria-live="polite">
        ${
          prices &&
          html`
            ${
              unpriced < takes.length &&
              html`<strong>${t('compare.total', { n: takes.length, amount: formatMoney(total) })}</strong>`
            }
            ${unpriced > 0 && ` ${t('compare.unpriced', { n: unpriced })}`}
          `
        }
      </p>
      <div class="row">
        <button type="button" class="button" onClick=${onClose}>${t('cancel')}</button>
        <button
          type="submit"
          class="button main"
          disabled=${busy || !prices || takes.some((take) => take.account === null)}
        >
          ${total > 0 ? t('compare.make_for', { amount: formatMoney(total) }) : t('compare.make')}
        </button>
      </div>
    </form>
  <//>`;
}
