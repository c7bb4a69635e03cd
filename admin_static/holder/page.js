// The page of a key's holder: who has the key sees its usage, limits, budgets and films, and no more.
import { html, render, useState } from '../lib/dom.js';
import { lang, nextTheme, theme } from '../lib/preferences.js';
import { t } from '../lib/i18n.js';
import { errorText } from '../lib/server_words.js';
import { currency, formatMoney } from '../lib/format.js';
import { CodeBlock, RelativeTime, UsageMeter } from '../lib/ui/elements.js';
import { Icon, BrandMark } from '../lib/ui/icons.js';
import { ConfirmationDialog, Dialog, ToastList, toastHost } from '../lib/ui/dialogs.js';
import { callJson, secret, setSecret, useCall } from './client.js';
import { FilmList } from './films.js';
import { ModelPrices } from './models.js';
import { UsageOverDates } from './usage.js';

const WRONG_KEY = [401, 403];
const OVERLAPS = [
  ['0', 'key.overlap_none'],
  ['3600', 'span.hour'],
  ['86400', 'span.day'],
];

const Head = () =>
  html`<header class="holder-head row apart">
    <span class="brand"><${BrandMark} /> Filmgate</span>
    <span class="row">
      <button
        type="button"
        class="button plain small"
        aria-label=${t('language')}
        onClick=${() => {
          lang.value = lang.value === 'en' ? 'zh' : 'en';
        }}
      >
        ${lang.value === 'en' ? '中文' : 'EN'}
      </button>
      <button
        type="button"
        class="button plain small icon-only"
        aria-label=${t(`theme.${theme.value}`)}
        onClick=${nextTheme}
      >
        <${Icon} name=${{ auto: 'half', light: 'sun', dark: 'moon' }[theme.value]} />
      </button>
      ${
        secret.value &&
        html`<button type="button" class="button small" onClick=${() => setSecret('')}>${t('my.leave')}</button>`
      }
    </span>
  </header>`;

function KeyEntry() {
  const [typed, setTyped] = useState('');
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await callJson('key', { key: typed.trim() });
      setSecret(typed.trim());
    } catch (failure) {
      setError(failure.status === 401 ? t('my.wrong_key') : errorText(failure));
      setBusy(false);
    }
  };
  return html`<form class="stack holder-entry" onSubmit=${submit}>
    <h1>${t('my.title')}</h1>
    <label for="holder-key">${t('my.key')}</label>
    <input
      id="holder-key"
      type="password"
      autocomplete="off"
      spellcheck=${false}
      required
      value=${typed}
      onInput=${(event) => setTyped(event.target.value)}
    />
    <p class="soft small">${t('my.key_note')}</p>
    ${error && html`<p class="trouble" role="alert">${error}</p>`}
    <button type="submit" class="button main" disabled=${busy || !typed.trim()}>${t('my.open')}</button>
  </form>`;
}

function RotateSecret({ onClose, onDone }) {
  const [overlap, setOverlap] = useState('3600');
  const [error, setError] = useState('');
  const submit = async (event) => {
    event.preventDefault();
    try {
      const made = await callJson('key/rotate', { method: 'POST', body: { overlap_seconds: Number(overlap) } });
      setSecret(made.secret);
      onDone(made.secret);
    } catch (failure) {
      setError(errorText(failure));
    }
  };
  return html`<${Dialog} size="small" title=${t('key.rotate')} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <label for="holder-overlap">${t('key.overlap')}</label>
      <select id="holder-overlap" value=${overlap} onChange=${(event) => setOverlap(event.target.value)}>
        ${OVERLAPS.map(([seconds, text]) => html`<option key=${seconds} value=${seconds}>${t(text)}</option>`)}
      </select>
      ${error && html`<p class="trouble" role="alert">${error}</p>`}
      <button type="submit" class="button main">${t('key.rotate')}</button>
    </form>
  <//>`;
}

function OnceShown({ text, onClose }) {
  const [copied, setCopied] = useState(false);
  return html`<${Dialog}
    title=${t('key.once')}
    onClose=${onClose}
    keep=${copied ? null : t('dialog.not_copied')}
    foot=${html`<button type="button" class="button main" onClick=${onClose}>${t('key.saved_it')}</button>`}
  >
    <p class="soft">${t('key.once_note')}</p>
    <div id="new-secret">
      <${CodeBlock} text=${text} label=${t('key.once')} onCopy=${() => setCopied(true)} />
    </div>
  <//>`;
}

const BudgetLine = ({ line }) => {
  const used = Number(line.spent) + Number(line.reserved);
  const share = Number(line.budget) ? used / Number(line.budget) : 1;
  return html`<div class="holder-budget">
    <span class="row apart">
      <span>${t(`my.budget.${line.period}`)}</span>
      <span class=${share >= 1 ? 'bad' : ''}>
        ${share >= 1 ? t('my.used_up') : t('my.left', { amount: formatMoney(line.left) })}${' '}
        <span class="quiet">/ ${formatMoney(line.budget)}</span>
      </span>
    </span>
    <${UsageMeter} share=${share} />
  </div>`;
};

function KeyFacts({ data, onRotate }) {
  const facts = [
    ['key.expires', data.expires_at ? html`<${RelativeTime} at=${data.expires_at} />` : t('never')],
    ['key.rpm', data.rpm ?? t('any')],
    ['key.tasks_limit', data.tasks_limit ?? t('any')],
    ['key.models', data.models.length ? data.models.join(', ') : t('any')],
    ['key.networks', data.networks.length ? data.networks.join(', ') : t('any')],
    data.old_secret_until && ['key.old_until', html`<${RelativeTime} at=${data.old_secret_until} />`],
  ].filter(Boolean);
  return html`<section>
    <div class="row apart">
      <h1>${data.name}</h1>
      ${data.may_rotate && html`<button type="button" class="button" onClick=${onRotate}>${t('key.rotate')}</button>`}
    </div>
    ${data.budgets.map((line) => html`<${BudgetLine} key=${line.period} line=${line} />`)}
    ${data.budgets.length > 0 && html`<p class="soft small">${t('my.utc_budgets')}</p>`}
    <dl class="facts">
      ${facts.map(
        ([name, value]) =>
          html`
            <dt key=${name}>${t(name)}</dt>
            <dd>${value}</dd>
          `,
      )}
    </dl>
  </section>`;
}

function KeyPage() {
  const loaded = useCall('key');
  if (loaded.data?.currency) currency.value = loaded.data.currency;
  const [shown, show] = useState('');
  const [made, setMade] = useState('');
  const { data, error } = loaded;
  if (error && WRONG_KEY.includes(error.status))
    return html`<p class="trouble" role="alert">${error.status === 401 ? t('my.wrong_key') : errorText(error)}</p>`;
  if (!data)
    return error
      ? html`<p class="trouble" role="alert">${errorText(error)}</p>`
      : html`<p class="quiet" aria-busy="true">${t('loading')}</p>`;
  return html`
    <${KeyFacts} data=${data} onRotate=${() => show('rotate')} />
    <${UsageOverDates} />
    <${ModelPrices} />
    <${FilmList} />
    ${
      shown === 'rotate' &&
      html`<${RotateSecret}
        onClose=${() => show('')}
        onDone=${(text) => {
          show('');
          setMade(text);
          loaded.reload();
        }}
      />`
    }
    ${made && html`<${OnceShown} text=${made} onClose=${() => setMade('')} />`}
  `;
}

const HolderApp = () => {
  document.title = `${t('my.title')} · Filmgate`;
  return html`
    <div class="holder">
      <${Head} />
      <main id="main">${secret.value ? html`<${KeyPage} />` : html`<${KeyEntry} />`}</main>
    </div>
    <${ConfirmationDialog} />
  `;
};

render(html`<${HolderApp} />`, document.getElementById('app'));
render(html`<${ToastList} />`, toastHost);
