// Many accounts at once: paste or drop, look at what each row would do, then import.
import { html, useState } from '../lib/dom.js';
import { post } from '../lib/api.js';
import { t, word } from '../lib/i18n.js';
import { Badge, Segments } from '../lib/ui/bits.js';
import { Dialog, attempt } from '../lib/ui/layers.js';
import { Table } from '../lib/ui/table.js';
import { Fields, useForm } from '../lib/ui/form.js';

const TONES = { new: 'good', added: 'good', updated: 'good', exists: 'warn', error: 'bad' };
const EXAMPLES = {
  lines: 'sk-first-secret\nsecond,sk-second-secret',
  csv: 'name,provider,base_url,secret,models,slots\nfarm-1,openai_compatible,https://gpu.example.com/v1,sk-…,sora-2,4',
  json: '[{"name": "farm-1", "provider": "openai_compatible", "base_url": "https://gpu.example.com/v1", "secret": "sk-…", "models": {"sora-2": "wan-2.2"}}]',
};

const columns = () => [
  { key: 'row', label: '#', number: true, cell: (row) => row.row },
  { key: 'name', label: t('account.name'), lead: true, cell: (row) => row.name || html`<span class="quiet">–</span>` },
  { key: 'result', label: t('import.result'), cell: (row) => html`<${Badge} value=${row.result} group="import" tone=${TONES[row.result]} />` },
  { key: 'message', label: t('import.message'), wide: true, cell: (row) => html`<span class="small">${row.param && html`<code>${row.param}</code> `}${row.message}</span>` },
];

function Found({ found }) {
  return html`<p id="import-summary" class=${found.errors ? 'caution' : 'fine'}>${found.dry_run
    ? t('import.would', { new: found.new, exists: found.exists, errors: found.errors })
    : t('import.did', { new: found.rows.filter((row) => row.result === 'added').length, updated: found.rows.filter((row) => row.result === 'updated').length, errors: found.errors })}</p>
    <${Table} label=${t('accounts.import')} columns=${columns()} rows=${found.rows} id=${(row) => row.row} />`;
}

export function ImportDialog({ providers, onClose, onDone }) {
  const form = useForm({ provider: 'openai_compatible', base_url: '', models: '' });
  const [text, setText] = useState('');
  const [format, setFormat] = useState('auto');
  const [conflict, setConflict] = useState('skip');
  const [found, setFound] = useState(null);
  const [over, setOver] = useState(false);
  const change = (value) => { setText(value); setFound(null); };
  const read = async (file) => { if (file) change(await file.text()); };
  const drop = (event) => { event.preventDefault(); setOver(false); read(event.dataTransfer.files[0]); };
  const send = async (dry) => {
    const { provider, base_url, models } = form.values;
    const defaults = { provider };
    if (base_url) defaults.base_url = base_url;
    if (models.trim()) defaults.models = Object.fromEntries(models.split(/[,\s]+/).filter(Boolean).map((name) => [name, name]));
    const done = await attempt(() => post('accounts/import', { text, format, defaults, dry_run: dry, on_conflict: conflict }));
    if (!done) return;
    setFound(done);
    if (!done.dry_run) onDone();
  };
  const finished = found && !found.dry_run;
  return html`<${Dialog} size="large" title=${t('accounts.import')} onClose=${onClose} foot=${html`
      <button type="button" class="button" onClick=${onClose}>${finished ? t('close') : t('cancel')}</button>
      ${!finished && html`<button type="button" class=${found ? 'button' : 'button main'} disabled=${!text.trim()} onClick=${() => send(true)}>${t('import.check')}</button>`}
      ${found?.dry_run && html`<button type="button" class="button main" disabled=${found.new + (conflict === 'update' ? found.exists : 0) === 0} onClick=${() => send(false)}>${t('import.do', { n: found.new + (conflict === 'update' ? found.exists : 0) })}</button>`}`}>
    ${!finished && html`<p class="soft">${t('import.note')}</p>
      <div class="row apart"><${Segments} label=${t('format')} value=${format} onPick=${setFormat} options=${['auto', 'lines', 'csv', 'json'].map((one) => [one, t(`import.${one}`)])} />
        <label class="button small">${t('import.file')}<input type="file" class="hidden-text" accept=".json,.csv,.txt" onChange=${(event) => read(event.target.files[0])} /></label></div>
      <textarea class=${`code ${over ? 'drop over' : ''}`} id="import-text" rows="8" spellcheck=${false} aria-label=${t('import.text')} value=${text} placeholder=${EXAMPLES[format] ?? EXAMPLES.lines}
        onInput=${(event) => change(event.target.value)} onDragOver=${(event) => { event.preventDefault(); setOver(true); }} onDragLeave=${() => setOver(false)} onDrop=${drop}></textarea>
      <details><summary>${t('import.defaults')}</summary><div class="stack"><p class="soft small">${t('import.defaults_note')}</p>
        <${Fields} form=${form} prefix="import" fields=${[
          { name: 'provider', label: t('account.provider'), kind: 'select', options: providers.map((one) => [one.name]) },
          { name: 'base_url', label: t('account.base_url'), placeholder: 'https://…/v1' },
          { name: 'models', label: t('account.models'), placeholder: 'sora-2, sora-2-pro' },
        ]} /></div></details>
      <label class="check"><input type="checkbox" checked=${conflict === 'update'} onChange=${(event) => { setConflict(event.target.checked ? 'update' : 'skip'); setFound(null); }} /><span>${t('import.update')}</span></label>`}
    ${found && html`<${Found} found=${found} />`}<//>`;
}
