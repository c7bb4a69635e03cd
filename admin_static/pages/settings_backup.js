// Settings: save a backup, and restore one after a dry run.
import { html, useState } from '../lib/dom.js';
import { post, saveFile, may } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { Said } from '../lib/server_words.js';
import { StateBadge } from '../lib/ui/elements.js';
import { DataTable } from '../lib/ui/table.js';
import { askConfirmation, runWithToast, showToast } from '../lib/ui/dialogs.js';
import { FormFields, useForm } from '../lib/ui/form.js';
import { parseJson } from '../lib/form_values.js';

const NAME = 'filmgate-backup.json';
const TONES = { new: 'good', added: 'good', updated: 'good', changed: 'warn', error: 'bad' };
const changedNames = (result) =>
  (result?.rows ?? []).filter((row) => !['same', 'error'].includes(row.result)).map((row) => row.name);
const columns = () => [
  { key: 'thing', label: t('backup.thing'), cell: (row) => row.thing },
  { key: 'name', label: t('key.name'), lead: true, cell: (row) => row.name },
  {
    key: 'result',
    label: t('import.result'),
    cell: (row) => html`<${StateBadge} value=${row.result} group="import" tone=${TONES[row.result]} />`,
  },
  {
    key: 'message',
    label: t('import.message'),
    wide: true,
    cell: (row) => html`<span class="small"><${Said} text=${row.message} /></span>`,
  },
];

export function BackupSettings() {
  const form = useForm({ secrets: false, password: '', passphrase: '' });
  const [passphrase, setPassphrase] = useState('');
  const [file, setFile] = useState(null);
  const [result, setResult] = useState(null);
  const saveBackup = (event) => {
    event.preventDefault();
    form.submit(async ({ secrets, password, passphrase: exportPassphrase }) => {
      const body = secrets ? { secrets, password, passphrase: exportPassphrase } : {};
      await saveFile(await (await post('backup', body, { raw: true })).blob(), NAME);
      showToast(t('exported'));
    });
  };
  const restoreBackup = async (dryRun) => {
    const question = { title: t('backup.restore'), action: t('backup.restore'), names: changedNames(result) };
    if (!dryRun && !(await askConfirmation(question))) return;
    const work = async () =>
      post('restore', { backup: parseJson(await file.text()), passphrase }, { query: { dry_run: dryRun } });
    const done = await runWithToast(work, dryRun ? '' : t('backup.restored'));
    if (done) setResult(done);
  };
  return html`
    <section class="stack">
      <h2>${valueLabel('settings', 'backup')}</h2>
      <p class="soft">${t('backup.note')}</p>
      ${
        may('security') &&
        html`<form class="stack" onSubmit=${saveBackup}>
          <${FormFields}
            form=${form}
            prefix="backup"
            fields=${[
              {
                name: 'secrets',
                label: t('accounts.with_secrets'),
                hint: t('accounts.with_secrets_hint'),
                kind: 'check',
                wide: true,
              },
              {
                name: 'password',
                label: t('own_password'),
                kind: 'password',
                autocomplete: 'current-password',
                when: (values) => values.secrets,
              },
              {
                name: 'passphrase',
                label: t('backup.passphrase'),
                hint: t('backup.passphrase_hint'),
                kind: 'password',
                autocomplete: 'new-password',
                when: (values) => values.secrets,
              },
            ]}
          />
          <div>
            <button type="submit" class="button main" disabled=${form.busy}>
              ${t('backup.take')}
            </button>
          </div>
        </form>`
      }
    </section>
    ${
      may('security') &&
      html`<section class="stack">
        <h2>${t('backup.restore')}</h2>
        <p class="soft">${t('backup.restore_note')}</p>
        <div class="row">
          <input
            type="password"
            aria-label=${t('backup.passphrase')}
            placeholder=${t('backup.passphrase')}
            autocomplete="off"
            value=${passphrase}
            onInput=${(event) => setPassphrase(event.target.value)}
          />
          <input
            type="file"
            accept=".json"
            aria-label=${t('backup.file')}
            onChange=${(event) => {
              setFile(event.target.files[0]);
              setResult(null);
            }}
          />
          <button type="button" class="button" disabled=${!file} onClick=${() => restoreBackup(true)}>
            ${t('import.check')}
          </button>
          ${
            result?.dry_run &&
            html`<button type="button" class="button main" onClick=${() => restoreBackup(false)}>
              ${t('backup.restore')}
            </button>`
          }
        </div>
        ${
          result &&
          html`<${DataTable}
            label=${t('backup.restore')}
            columns=${columns()}
            rows=${result.rows.map((row, n) => ({ ...row, id: n }))}
          />`
        }
      </section>`
    }
  `;
}
