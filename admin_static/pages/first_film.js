// The end of adding an account: a film made on that very account, after its price was told and confirmed.
import { html, useState } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { errorText } from '../lib/server_words.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { formatMoney } from '../lib/format.js';
import { Dialog, runWithToast } from '../lib/ui/dialogs.js';
import { FormField } from '../lib/ui/form.js';
import { EMPTY } from '../lib/playground_draft.js';
import { send, usePrice } from '../lib/playground_request.js';
import { TaskResult } from './playground_result.js';

/** What the button asks to confirm. */
function buttonText(quote) {
  if (!quote) return '…';
  return quote.price == null ? t('wizard.make_film') : t('wizard.make_film_for', { amount: formatMoney(quote.price) });
}

export function FirstFilm({ account, onClose }) {
  const loaded = useGet('playground/models');
  const names = Object.keys(account.models);
  const offered = (loaded.data?.data ?? []).filter((model) => names.length === 0 || names.includes(model.name));
  const [chosen, setChosen] = useState('');
  const [prompt, setPrompt] = useState(t('wizard.film_prompt'));
  const [task, setTask] = useState(null);
  const [busy, setBusy] = useState(false);
  const model = offered.find((each) => each.name === chosen) ?? offered[0];
  const shortest = model?.capabilities?.seconds ? String(Math.ceil(model.capabilities.seconds.min)) : '';
  const form = { ...EMPTY, prompt, seconds: model?.kind === 'video' ? shortest : '' };
  const quote = usePrice(form, model?.name);
  const make = async (event) => {
    event.preventDefault();
    setBusy(true);
    setTask((await runWithToast(() => send(form, model.name, account.id), t('playground.sent'))) || null);
    setBusy(false);
  };
  if (task)
    return html`<${Dialog} title=${account.name} onClose=${onClose}>
      <${TaskResult} created=${task} facts=${true} />
      <div class="row">
        <button type="button" class="button" onClick=${onClose}>${t('close')}</button>
      </div>
    <//>`;
  return html`<${Dialog} title=${account.name} onClose=${onClose}>
    <p>${t('wizard.film_note')}</p>
    ${!loaded.data && html`<${LoadingNotice} ...${loaded} />`}
    ${loaded.data && !model && html`<p class="soft">${t('wizard.no_film')}</p>`}
    <form class="stack" id="first-film" onSubmit=${make}>
      ${
        model &&
        html`
          <${FormField}
            prefix="first"
            field=${{
              name: 'model',
              label: t('task.model'),
              kind: 'select',
              options: offered.map((each) => [each.name]),
            }}
            value=${model.name}
            onChange=${setChosen}
          />
          <${FormField}
            prefix="first"
            field=${{ name: 'prompt', label: t('task.prompt'), kind: 'textarea', rows: 2, wide: true }}
            value=${prompt}
            onChange=${setPrompt}
          />
          ${quote?.error && html`<p class="trouble">${errorText(quote.error)}</p>`}
          ${
            quote &&
            !quote.error &&
            html`<p class="soft">
              ${[quote.text, quote.price == null && t('playground.unpriced')].filter(Boolean).join(' · ')}
            </p>`
          }
        `
      }
      <div class="row">
        <button type="button" class="button" onClick=${onClose}>${t('close')}</button>
        ${
          model &&
          html`<button type="submit" class="button main" disabled=${busy || !quote || quote.error || !prompt.trim()}>
            ${buttonText(quote)}
          </button>`
        }
      </div>
    </form>
  <//>`;
}
