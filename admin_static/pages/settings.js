// Settings: what the operator may change while it runs, and what the environment has fixed.
import { html, useEffect, useState } from '../lib/dom.js';
import { post, put, mayWrite } from '../lib/api.js';
import { t, word } from '../lib/i18n.js';
import { route, link } from '../lib/router.js';
import { useGet, Waiting } from '../lib/load.js';
import { Badge, Head, Time } from '../lib/ui/bits.js';
import { Table } from '../lib/ui/table.js';
import { attempt, toast } from '../lib/ui/layers.js';
import { Field } from '../lib/ui/form.js';
import { SchemaForm } from '../lib/ui/schema_form.js';
import { Backup } from './settings_backup.js';
import { People, Mine } from './settings_people.js';

const TESTED = ['delivery', 'notices', 'backup'];

const Steps = ({ found }) => html`<section class="stack" id="test-steps"><p class=${found.ok ? 'fine' : 'trouble'}>${t(found.ok ? 'settings.test_good' : 'settings.test_bad')}</p>
  <ol class="timeline">${found.steps.map((step, n) => html`<li key=${n} class=${step.ok ? 'good' : 'bad'}><span>${step.step}</span>
    <span class="soft">${step.message} ${step.link && html`<a href=${step.link} rel="noreferrer noopener" target="_blank">${t('settings.link')}</a>`}</span><span class="quiet small">${step.milliseconds != null && `${Math.round(step.milliseconds)} ms`}</span></li>`)}</ol></section>`;

function Document({ name }) {
  const found = useGet(`settings/${name}`);
  const [value, setValue] = useState(null);
  const [raw, setRaw] = useState('');
  const [error, setError] = useState(null);
  const [tested, setTested] = useState(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => { if (found.data) { setValue(found.data.value); setRaw(JSON.stringify(found.data.value, null, 2)); } }, [found.data]);
  if (!found.data || value == null) return html`<${Waiting} ...${found} />`;
  const { schema } = found.data;
  const changed = JSON.stringify(value) !== JSON.stringify(found.data.value) || (!schema?.properties && raw !== JSON.stringify(found.data.value, null, 2));
  const wanted = () => (schema?.properties ? value : JSON.parse(raw));
  const run = (work) => async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (failure) {
      setError(failure);
    }
    setBusy(false);
  };
  const save = run(async () => { found.set(await put(`settings/${name}`, { value: wanted() })); toast(t('settings.saved')); });
  const test = run(async () => setTested(await post(`settings/${name}/test`)));
  return html`<form class="stack" onSubmit=${save} key=${name}>
    <div><h2>${word('document', name)}</h2><p class="soft">${t(`document.${name}.note`) === `document.${name}.note` ? '' : t(`document.${name}.note`)}</p></div>
    ${error && html`<p class="trouble" role="alert">${error.param && html`<code>${error.param}</code> `}${error.message}</p>`}
    ${schema?.properties ? html`<${SchemaForm} schema=${schema} value=${value} onChange=${setValue} error=${error} />`
    : html`<${Field} prefix="setting" field=${{ name: 'value', label: 'JSON', kind: 'code', rows: 10, wide: true }} value=${raw} onChange=${setRaw} />`}
    ${mayWrite() && html`<div class="row"><button type="submit" class="button main" disabled=${busy}>${t('save')}</button>
      ${TESTED.includes(name) && html`<button type="button" class="button" disabled=${busy || changed} title=${changed ? t('settings.save_first') : ''} onClick=${test}>${t('account.do.test')}</button>`}
      <span class="quiet small">${found.data.default ? t('settings.default') : found.data.updated_at && html`${t('models.changed')} <${Time} at=${found.data.updated_at} />`}</span></div>`}
    ${tested && html`<${Steps} found=${tested} />`}</form>`;
}

const environmentColumns = () => [
  { key: 'name', label: t('settings.variable'), lead: true, cell: (one) => html`<span class="mono small">${one.name}</span>` },
  { key: 'value', label: t('settings.value'), wide: true, cell: (one) => (one.value === '' || one.value == null ? html`<span class="quiet">–</span>` : html`<span class="mono small">${String(one.value)}</span>`) },
  { key: 'set', label: t('settings.from'), cell: (one) => html`<${Badge} value=${one.set ? 'environment' : 'default'} group="settings" tone=${one.set ? 'live-still' : ''} />` },
];

const Environment = ({ data }) => html`<section class="stack"><h2>${t('settings.environment')}</h2><p class="soft">${t('settings.environment_note')}</p>
  <${Table} label=${t('settings.environment')} columns=${environmentColumns()} rows=${data.environment} id=${(one) => one.name} /></section>`;

function Health({ data }) {
  const { health } = data;
  const yes = (value) => t(value ? 'yes' : 'no');
  return html`<section class="stack"><h2>${t('settings.health')}</h2><dl class="facts">
    <dt>${t('settings.version')}</dt><dd>${health.version}</dd><dt>${t('settings.database')}</dt><dd>${health.database}</dd>
    <dt>${t('over.storage')}</dt><dd>${health.storage}</dd><dt>Redis</dt><dd>${yes(health.redis)}</dd><dt>${t('settings.worker')}</dt><dd>${yes(health.worker)}</dd>
    <dt>${t('settings.studio')}</dt><dd>${health.studio}</dd><dt>${t('settings.started')}</dt><dd><${Time} at=${health.started_at} /></dd>
    ${Object.entries(health.checks ?? {}).map(([name, found]) => html`<dt key=${name}>${name}</dt><dd><span class=${found === 'ok' ? 'badge good' : 'badge bad'}>${found}</span></dd>`)}</dl></section>`;
}

export function Page() {
  const { id } = route.value;
  const found = useGet('settings');
  if (!found.data) return html`<${Head} title=${t('page.settings')} /><${Waiting} ...${found} />`;
  const documents = found.data.documents.filter((name) => name !== 'backup');
  const parts = ['health', ...documents, 'people', 'mine', 'backup', 'environment'];
  const here = parts.includes(id) ? id : 'health';
  return html`<${Head} title=${t('page.settings')} />
    <div class="settings"><nav aria-label=${t('page.settings')}>${parts.map((name) => html`<a key=${name} href=${link(`settings/${name}`)} aria-current=${name === here ? 'page' : undefined}>${word(documents.includes(name) ? 'document' : 'settings', name)}</a>`)}</nav>
      <div class="stack">
        ${here === 'health' && html`<${Health} data=${found.data} />`}${documents.includes(here) && html`<${Document} key=${here} name=${here} />`}
        ${here === 'people' && html`<${People} />`}${here === 'mine' && html`<${Mine} />`}${here === 'backup' && html`<${Backup} />${found.data.documents.includes('backup') && html`<${Document} name="backup" />`}`}
        ${here === 'environment' && html`<${Environment} data=${found.data} />`}</div></div>`;
}
