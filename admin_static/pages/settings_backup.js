// Backup of what the operator has set, and putting one back after a look at what it would do.
import { html, useState } from '../lib/dom.js';
import { post, save, mayWrite } from '../lib/api.js';
import { t, word } from '../lib/i18n.js';
import { Badge } from '../lib/ui/bits.js';
import { Table } from '../lib/ui/table.js';
import { attempt, toast } from '../lib/ui/layers.js';
import { Fields, useForm } from '../lib/ui/form.js';

const NAME = 'filmgate-backup.json';
const TONES = { new: 'good', added: 'good', updated: 'good', changed: 'warn', error: 'bad' };
const columns = () => [
  { key: 'thing', label: t('backup.thing'), cell: (row) => row.thing },
  { key: 'name', label: t('key.name'), lead: true, cell: (row) => row.name },
  { key: 'result', label: t('import.result'), cell: (row) => html`<${Badge} value=${row.result} group="import" tone=${TONES[row.result]} />` },
  { key: 'message', label: t('import.message'), wide: true, cell: (row) => html`<span class="small">${row.message}</span>` },
];

export function Backup() {
  const form = useForm({ secrets: false, password: '', passphrase: '' });
  const [passphrase, setPassphrase] = useState('');
  const [file, setFile] = useState(null);
  const [found, setFound] = useState(null);
  const take = (event) => {
    event.preventDefault();
    form.submit(async ({ secrets, password, passphrase: seal }) => {
      const body = secrets ? { secrets, password, passphrase: seal } : {};
      await save(await (await post('backup', body, { raw: true })).blob(), NAME);
      toast(t('exported'));
    });
  };
  const restore = async (dry) => {
    const work = async () => post('restore', { backup: JSON.parse(await file.text()), passphrase }, { query: { dry_run: dry } });
    const done = await attempt(work, dry ? '' : t('backup.restored'));
    if (done) setFound(done);
  };
  return html`<section class="stack"><h2>${word('settings', 'backup')}</h2><p class="soft">${t('backup.note')}</p>
    ${mayWrite() && html`<form class="stack" onSubmit=${take}><${Fields} form=${form} prefix="backup" fields=${[
      { name: 'secrets', label: t('accounts.with_secrets'), hint: t('accounts.with_secrets_hint'), kind: 'check', wide: true },
      { name: 'password', label: t('own_password'), kind: 'password', autocomplete: 'current-password', when: (values) => values.secrets },
      { name: 'passphrase', label: t('backup.passphrase'), hint: t('backup.passphrase_hint'), kind: 'password', autocomplete: 'new-password', when: (values) => values.secrets }]} />
      <div><button type="submit" class="button main" disabled=${form.busy}>${t('backup.take')}</button></div></form>`}</section>
    ${mayWrite() && html`<section class="stack"><h2>${t('backup.restore')}</h2><p class="soft">${t('backup.restore_note')}</p>
      <div class="row"><input type="password" aria-label=${t('backup.passphrase')} placeholder=${t('backup.passphrase')} autocomplete="off" value=${passphrase} onInput=${(event) => setPassphrase(event.target.value)} />
        <input type="file" accept=".json" aria-label=${t('backup.file')} onChange=${(event) => { setFile(event.target.files[0]); setFound(null); }} />
        <button type="button" class="button" disabled=${!file} onClick=${() => restore(true)}>${t('import.check')}</button>
        ${found?.dry_run && html`<button type="button" class="button main" onClick=${() => restore(false)}>${t('backup.restore')}</button>`}</div>
      ${found && html`<${Table} label=${t('backup.restore')} columns=${columns()} rows=${found.rows.map((row, n) => ({ ...row, id: n }))} />`}</section>`}`;
}
