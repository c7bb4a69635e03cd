// What is done with several accounts at once: the bar of actions, the form that edits them, the test of each.
import { html, useEffect, useRef, useState } from '../lib/dom.js';
import { post, postLines } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { errorText, testText } from '../lib/server_words.js';
import { formatDuration } from '../lib/format.js';
import { numberOrNull, splitWords } from '../lib/form_values.js';
import { BulkActions, DataTable } from '../lib/ui/table.js';
import { Dialog, runWithToast, showToast } from '../lib/ui/dialogs.js';
import { FormFields, FormButtons, useForm } from '../lib/ui/form.js';
import { parseModels } from './account_form.js';

const ACTIONS = ['test', 'edit', 'clear', 'enable', 'disable', 'drain', 'delete'];

/** `total`: how many accounts match the filters; more than are shown can be selected only by saying so. */
export const BulkBar = ({ picked, whole, total, pickAll, run, clear }) =>
  html`<${BulkActions} picked=${picked} onClear=${clear}>
    ${
      !whole &&
      total > picked.size &&
      html`<button type="button" class="button small" onClick=${pickAll}>
        ${t('accounts.pick_all', { n: total })}
      </button>`
    }
    ${ACTIONS.map(
      (action) =>
        html`<button type="button" class="button small" key=${action} onClick=${() => run(action)}>
          ${t(action === 'edit' ? 'account.edit' : `account.do.${action}`)}
        </button>`,
    )}
  <//>`;

const lines = (text) => text.split(/[\n,]+/).map((name) => name.trim());

/** The fields that were filled in, as `edit` of the API. */
function editOf(values) {
  const change = {};
  for (const name of ['slots', 'weight', 'tier']) if (values[name] !== '') change[name] = numberOrNull(values[name]);
  if (values.no_proxy) change.proxy = null;
  else if (values.proxy) change.proxy = values.proxy;
  return {
    change,
    add_tags: splitWords(values.add_tags),
    remove_tags: splitWords(values.remove_tags),
    add_models: parseModels(values.add_models),
    remove_models: lines(values.remove_models).filter(Boolean),
  };
}

const editFields = (tags) => [
  { name: 'slots', label: t('account.slots'), kind: 'number', min: 0 },
  { name: 'weight', label: t('account.weight'), kind: 'number', min: 0, step: 'any' },
  { name: 'tier', label: t('account.tier'), kind: 'number' },
  { name: 'proxy', label: t('account.proxy'), kind: 'secret', placeholder: 'http://user:password@host:3128' },
  { name: 'no_proxy', label: t('account.no_proxy'), kind: 'check', wide: true },
  { name: 'add_tags', label: t('bulk.add_tags'), suggestions: tags },
  { name: 'remove_tags', label: t('bulk.remove_tags'), suggestions: tags },
  { name: 'add_models', label: t('bulk.add_models'), kind: 'code', rows: 3, hint: t('account.models_hint') },
  { name: 'remove_models', label: t('bulk.remove_models'), kind: 'code', rows: 3, hint: t('bulk.remove_models_hint') },
];

export function BulkEditDialog({ ids, tags, onClose, onDone }) {
  const empty = { slots: '', weight: '', tier: '', proxy: '', no_proxy: false };
  const form = useForm({ ...empty, add_tags: '', remove_tags: '', add_models: '', remove_models: '' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      const answer = await post('accounts/bulk', { ids, action: 'edit', edit: editOf(values) });
      onDone(answer.data);
    });
  };
  return html`<${Dialog} title=${t('bulk.edit', { n: ids.length })} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <p class="soft">${t('bulk.edit_note')}</p>
      <${FormFields} form=${form} fields=${editFields(tags)} prefix="bulk" />
      <div class="row">
        <${FormButtons} form=${form} label=${t('save')} onCancel=${onClose} />
      </div>
    </form>
  <//>`;
}

const resultColumns = () => [
  { key: 'name', label: t('account.name'), lead: true, cell: (row) => row.name },
  {
    key: 'ok',
    label: t('import.result'),
    cell: (row) =>
      row.ok === undefined
        ? html`<span class="badge hollow">${t('bulk.waiting')}</span>`
        : row.verdict === 'reachable'
          ? html`<span class="badge warn">${t('bulk.unproven')}</span>`
          : html`<span class=${`badge ${row.ok ? 'good' : 'bad'}`}>${t(row.ok ? 'bulk.good' : 'bulk.bad')}</span>`,
  },
  {
    key: 'time',
    label: t('bulk.time'),
    number: true,
    cell: (row) => (row.milliseconds ? formatDuration(row.milliseconds / 1000) : ''),
  },
  {
    key: 'message',
    label: t('import.message'),
    wide: true,
    cell: (row) => html`<span class="small">${row.verdict === undefined ? errorText(row) : testText(row)}</span>`,
  },
];

/** The failures of an action, with the reason of each. */
export const ResultDialog = ({ title, rows, onClose, children }) =>
  html`<${Dialog}
    size="large"
    title=${title}
    onClose=${onClose}
    foot=${html`
      ${children}
      <button type="button" class="button" onClick=${onClose}>${t('close')}</button>
    `}
  >
    <${DataTable} label=${title} columns=${resultColumns()} rows=${rows} />
  <//>`;

/** Test accounts, several at the same time, and show each result as it comes; failed ones first. */
export function TestDialog({ accounts, onClose, onChange }) {
  const [results, setResults] = useState(new Map());
  const [over, setOver] = useState(false);
  const stop = useRef(new AbortController());
  useEffect(() => {
    const read = async () => {
      for await (const row of postLines(
        'accounts/test',
        { ids: accounts.map(({ id }) => id) },
        { signal: stop.current.signal },
      ))
        setResults((old) => new Map(old).set(row.id, row));
    };
    read()
      .catch((error) => error.name !== 'AbortError' && showToast(errorText(error), 'bad'))
      .finally(() => setOver(true));
    return () => stop.current.abort();
  }, []);
  const rank = (row) => (row.ok === false ? 0 : row.ok === undefined ? 1 : 2);
  const rows = accounts
    .map((account) => ({ ...account, ...results.get(account.id) }))
    .sort((a, b) => rank(a) - rank(b));
  const bad = rows.filter((row) => row.ok === false);
  const disable = async () => {
    const ids = bad.map(({ id }) => id);
    const answer = await runWithToast(() => post('accounts/bulk', { ids, action: 'disable' }));
    if (!answer) return;
    showToast(t('accounts.bulk_done', { good: answer.data.filter((row) => row.ok).length, all: ids.length }));
    onChange();
    onClose();
  };
  return html`<${ResultDialog}
    title=${t('bulk.testing', { done: results.size, all: accounts.length, bad: bad.length })}
    rows=${rows}
    onClose=${onClose}
  >
    <progress class="grow" max=${accounts.length} value=${results.size} aria-label=${t('account.do.test')}></progress>
    ${
      bad.length > 0 &&
      html`<button type="button" class="button main" id="disable-failed" disabled=${!over} onClick=${disable}>
        ${t('bulk.disable_failed', { n: bad.length })}
      </button>`
    }
  <//>`;
}
