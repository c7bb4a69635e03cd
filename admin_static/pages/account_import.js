// Import of many accounts: paste or drop a list, check what each row would do, then import it.
import { html, useState } from '../lib/dom.js';
import { post } from '../lib/api.js';
import { listText, t } from '../lib/i18n.js';
import { errorText } from '../lib/server_words.js';
import { StateBadge, SegmentedControl } from '../lib/ui/elements.js';
import { Dialog, runWithToast } from '../lib/ui/dialogs.js';
import { DataTable } from '../lib/ui/table.js';
import { FormFields, useForm } from '../lib/ui/form.js';

const TONES = { new: 'good', added: 'good', updated: 'good', exists: 'warn', error: 'bad' };
const EXAMPLES = {
  lines: 'sk-first-secret\nsecond,sk-second-secret\nthird----sk-third-secret',
  csv: 'name,provider,base_url,secret,models,slots\nfarm-1,openai_compatible,https://gpu.example.com/v1,sk-…,sora-2,4',
  json: JSON.stringify([
    {
      name: 'farm-1',
      provider: 'openai_compatible',
      base_url: 'https://gpu.example.com/v1',
      secret: 'sk-…',
      models: { 'sora-2': 'wan-2.2' },
    },
  ]),
};

const columns = () => [
  { key: 'row', label: '#', number: true, cell: (row) => row.row },
  {
    key: 'name',
    label: t('account.name'),
    lead: true,
    cell: (row) => row.name || html`<span class="quiet">–</span>`,
  },
  { key: 'provider', label: t('account.provider'), cell: (row) => row.provider },
  {
    key: 'secret',
    label: t('import.secret_end'),
    cell: (row) => row.secret_hint && html`<code>${row.secret_hint}</code>`,
  },
  {
    key: 'models',
    label: t('account.models'),
    cell: (row) => html`<span class="name clip small" title=${listText(row.models)}>${listText(row.models)}</span>`,
  },
  {
    key: 'result',
    label: t('import.result'),
    cell: (row) => html`<${StateBadge} value=${row.result} group="import" tone=${TONES[row.result]} />`,
  },
  {
    key: 'message',
    label: t('import.message'),
    wide: true,
    cell: (row) =>
      html`<span class="small">
        ${
          row.param &&
          html`
            <code>${row.param}</code>${' '}
          `
        }
        ${errorText(row, { atField: true })}
      </span>`,
  },
];

function ImportResult({ result }) {
  return html`
    <p id="import-summary" class=${result.errors ? 'caution' : 'fine'}>
      ${
        result.dry_run
          ? t('import.would', { new: result.new, exists: result.exists, errors: result.errors })
          : t('import.did', {
              new: result.rows.filter((row) => row.result === 'added').length,
              updated: result.rows.filter((row) => row.result === 'updated').length,
              errors: result.errors,
            })
      }
    </p>
    <${DataTable} label=${t('accounts.import')} columns=${columns()} rows=${result.rows} id=${(row) => row.row} />
  `;
}

export function ImportDialog({ providers, onClose, onDone }) {
  const form = useForm({ provider: 'openai_compatible', base_url: '', models: '' });
  const [text, setText] = useState('');
  const [format, setFormat] = useState('auto');
  const [conflict, setConflict] = useState('skip');
  const [result, setResult] = useState(null);
  const [draggedOver, setDraggedOver] = useState(false);
  const changeText = (value) => {
    setText(value);
    setResult(null);
  };
  const readFile = async (file) => {
    if (file) changeText(await file.text());
  };
  const readDropped = (event) => {
    event.preventDefault();
    setDraggedOver(false);
    readFile(event.dataTransfer.files[0]);
  };
  const sendImport = async (dryRun) => {
    const { provider, base_url, models } = form.values;
    const defaults = { provider };
    if (base_url) defaults.base_url = base_url;
    if (models.trim())
      defaults.models = Object.fromEntries(
        models
          .split(/[,\s]+/)
          .filter(Boolean)
          .map((name) => [name, name]),
      );
    const answer = await runWithToast(() =>
      post('accounts/import', { text, format, defaults, dry_run: dryRun, on_conflict: conflict }),
    );
    if (!answer) return;
    setResult(answer);
    if (!answer.dry_run) onDone();
  };
  const finished = result && !result.dry_run;
  return html`<${Dialog}
    size="large"
    title=${t('accounts.import')}
    onClose=${onClose}
    foot=${html`
      <button type="button" class="button" onClick=${onClose}>
        ${finished ? t('close') : t('cancel')}
      </button>
      ${
        !finished &&
        html`<button
          type="button"
          class=${result ? 'button' : 'button main'}
          disabled=${!text.trim()}
          onClick=${() => sendImport(true)}
        >
          ${t('import.check')}
        </button>`
      }
      ${
        result?.dry_run &&
        html`<button
          type="button"
          class="button main"
          disabled=${result.new + (conflict === 'update' ? result.exists : 0) === 0}
          onClick=${() => sendImport(false)}
        >
          ${t('import.do', { n: result.new + (conflict === 'update' ? result.exists : 0) })}
        </button>`
      }
    `}
  >
    ${
      !finished &&
      html`
        <p class="soft">${t('import.note')}</p>
        <div class="row apart">
          <${SegmentedControl}
            label=${t('format')}
            value=${format}
            onPick=${setFormat}
            options=${['auto', 'lines', 'csv', 'json'].map((name) => [name, t(`import.${name}`)])}
          />
          <label class="button small">
            ${t('import.file')}
            <input
              type="file"
              class="hidden-text"
              accept=".json,.csv,.txt"
              onChange=${(event) => readFile(event.target.files[0])}
            />
          </label>
        </div>
        <textarea
          class=${`code ${draggedOver ? 'drop over' : ''}`}
          id="import-text"
          rows="8"
          spellcheck=${false}
          aria-label=${t('import.text')}
          value=${text}
          placeholder=${EXAMPLES[format] ?? EXAMPLES.lines}
          onInput=${(event) => changeText(event.target.value)}
          onDragOver=${(event) => {
            event.preventDefault();
            setDraggedOver(true);
          }}
          onDragLeave=${() => setDraggedOver(false)}
          onDrop=${readDropped}
        ></textarea>
        <details>
          <summary>${t('import.defaults')}</summary>
          <div class="stack">
            <p class="soft small">${t('import.defaults_note')}</p>
            <${FormFields}
              form=${form}
              prefix="import"
              fields=${[
                {
                  name: 'provider',
                  label: t('account.provider'),
                  kind: 'select',
                  options: providers.map((provider) => [provider.name]),
                },
                { name: 'base_url', label: t('account.base_url'), placeholder: 'https://…/v1' },
                { name: 'models', label: t('account.models'), placeholder: 'sora-2, sora-2-pro' },
              ]}
            />
          </div>
        </details>
        <label class="check">
          <input
            type="checkbox"
            checked=${conflict === 'update'}
            onChange=${(event) => {
              setConflict(event.target.checked ? 'update' : 'skip');
              setResult(null);
            }}
          />
          <span>${t('import.update')}</span>
        </label>
      `
    }
    ${result && html`<${ImportResult} result=${result} />`}
  <//>`;
}
