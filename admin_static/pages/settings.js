// Settings: what the operator can change at run time, health, and the environment (read-only).
import { html, useEffect, useRef, useState } from '../lib/dom.js';
import { loadSession, post, put, may } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { errorText, Said, wordsFor } from '../lib/server_words.js';
import { parseJson } from '../lib/form_values.js';
import { formatDuration } from '../lib/format.js';
import { route, pageLink } from '../lib/router.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { StateBadge, PageHeader, RelativeTime } from '../lib/ui/elements.js';
import { DataTable } from '../lib/ui/table.js';
import { useInView } from '../lib/ui/tabs.js';
import { runWithToast, showToast } from '../lib/ui/dialogs.js';
import { FormField } from '../lib/ui/form.js';
import { useUnsaved } from '../lib/unsaved.js';
import { SchemaForm } from '../lib/ui/schema_form.js';
import { BackupSettings } from './settings_backup.js';
import { AdminList, OwnSessions } from './settings_admins.js';

const TESTED = ['delivery', 'notices', 'backup'];

const TestSteps = ({ result }) =>
  html`<section class="stack" id="test-steps">
    <p class=${result.ok ? 'fine' : 'trouble'}>${t(result.ok ? 'settings.test_good' : 'settings.test_bad')}</p>
    <ol class="timeline">
      ${result.steps.map(
        (step, n) =>
          html`<li key=${n} class=${step.ok ? 'good' : 'bad'}>
            <code>${step.step}</code>
            <span class="soft">
              ${step.ok ? html`<${Said} text=${step.message} />` : wordsFor(t('bulk.bad'), step.message)}
            </span>
            <span class="quiet small">${step.milliseconds != null && formatDuration(step.milliseconds / 1000)}</span>
          </li>`,
      )}
    </ol>
  </section>`;

function SettingsDocument({ name }) {
  const loaded = useGet(`settings/${name}`);
  const [value, setValue] = useState(null);
  const [raw, setRaw] = useState('');
  const [error, setError] = useState(null);
  const [tested, setTested] = useState(null);
  const [busy, setBusy] = useState(false);
  const stored = useRef('');
  useEffect(() => {
    if (!loaded.data) return;
    const text = JSON.stringify(loaded.data.value);
    // What is being edited stays when the same document is loaded again.
    if (text === stored.current) return;
    stored.current = text;
    setValue(loaded.data.value);
    setRaw(JSON.stringify(loaded.data.value, null, 2));
  }, [loaded.data]);
  const schema = loaded.data?.schema;
  const writable = may(name === 'backup' ? 'security' : 'operate');
  const changed =
    loaded.data &&
    value != null &&
    (JSON.stringify(value) !== JSON.stringify(loaded.data.value) ||
      (!schema?.properties && raw !== JSON.stringify(loaded.data.value, null, 2)));
  useUnsaved(Boolean(changed && writable));
  const editedValue = () => (schema?.properties ? value : parseJson(raw));
  if (!loaded.data || value == null) return html`<${LoadingNotice} ...${loaded} />`;
  const runBusy = (work) => async (event) => {
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
  const save = runBusy(async () => {
    const saved = await put(`settings/${name}`, { value: editedValue() });
    stored.current = '';
    loaded.set(saved);
    if (name === 'money') await loadSession();
    showToast(t('settings.saved'));
  });
  const test = runBusy(async () => setTested(await post(`settings/${name}/test`)));
  const testOne = async (receiver) => {
    const path = `settings/${name}/test?receiver=${encodeURIComponent(receiver)}`;
    const result = await runWithToast(() => post(path));
    if (!result) return;
    const [step] = result.steps;
    if (step.ok) showToast(t('settings.test_arrived', step));
    else showToast(html`${t('settings.test_refused', step)} <${Said} text=${step.message} />`, 'bad');
  };
  return html`<form class="stack" onSubmit=${save} key=${name}>
    <div>
      <h2>${valueLabel('document', name)}</h2>
      <p class="soft">
        ${t(`document.${name}.note`) === `document.${name}.note` ? '' : t(`document.${name}.note`)}
      </p>
    </div>
    ${
      error &&
      html`<p class="trouble" role="alert">
        ${errorText(error)}
      </p>`
    }
    ${
      schema?.properties
        ? html`<${SchemaForm} schema=${schema} value=${value} onChange=${setValue} error=${error}
          onTest=${name === 'notices' && writable && !changed ? testOne : null} />`
        : html`<${FormField}
          prefix="setting"
          field=${{ name: 'value', label: 'JSON', kind: 'code', rows: 10, wide: true }}
          value=${raw}
          onChange=${setRaw}
        />`
    }
    ${
      writable &&
      html`<div class="row">
        <button type="submit" class="button main" disabled=${busy}>
          ${t('save')}
        </button>
        ${
          TESTED.includes(name) &&
          html`<button
            type="button"
            class="button"
            disabled=${busy || changed}
            title=${changed ? t('settings.save_first') : ''}
            onClick=${test}
          >
            ${t('account.do.test')}
          </button>`
        }
        <span class="quiet small">
          ${
            loaded.data.default
              ? t('settings.default')
              : loaded.data.updated_at &&
                html`
                  ${t('models.changed')} <${RelativeTime} at=${loaded.data.updated_at} />
                `
          }
        </span>
      </div>`
    }
    ${tested && html`<${TestSteps} result=${tested} />`}
  </form>`;
}

const environmentColumns = () => [
  {
    key: 'name',
    label: t('settings.variable'),
    lead: true,
    cell: (entry) => html`<span class="mono small">${entry.name}</span>`,
  },
  {
    key: 'value',
    label: t('settings.value'),
    wide: true,
    cell: (entry) =>
      entry.value === '' || entry.value == null
        ? html`<span class="quiet">–</span>`
        : html`<span class="mono small">${String(entry.value)}</span>`,
  },
  {
    key: 'set',
    label: t('settings.from'),
    cell: (entry) =>
      html`<${StateBadge}
        value=${entry.set ? 'environment' : 'default'}
        group="settings"
        tone=${entry.set ? 'live-still' : ''}
      />`,
  },
];

const EnvironmentTable = ({ data }) =>
  html`<section class="stack">
    <h2>${t('settings.environment')}</h2>
    <p class="soft">${t('settings.environment_note')}</p>
    <${DataTable}
      label=${t('settings.environment')}
      columns=${environmentColumns()}
      rows=${data.environment}
      id=${(entry) => entry.name}
    />
  </section>`;

function HealthFacts({ data }) {
  const { health } = data;
  const yesOrNo = (value) => t(value ? 'yes' : 'no');
  return html`<section class="stack">
    <h2>${t('settings.health')}</h2>
    <dl class="facts">
      <dt>${t('settings.version')}</dt>
      <dd>${health.version}</dd>
      <dt>${t('settings.database')}</dt>
      <dd>${valueLabel('health', health.database)}</dd>
      <dt>${t('overview.storage')}</dt>
      <dd>${valueLabel('health', health.storage)}</dd>
      <dt>${t('settings.worker')}</dt>
      <dd>${yesOrNo(health.worker)}</dd>
      <dt>${t('settings.studio')}</dt>
      <dd>${valueLabel('health', health.studio)}</dd>
      <dt>${t('settings.started')}</dt>
      <dd>
        <${RelativeTime} at=${health.started_at} />
      </dd>
      ${Object.entries(health.checks ?? {}).map(
        ([name, loaded]) =>
          html`
            <dt key=${name}>${valueLabel('health', name)}</dt>
            <dd>
              <span class=${loaded === 'ok' ? 'badge good' : 'badge bad'}>
                ${loaded === 'ok' ? t('health.ok') : valueLabel('error', loaded)}
              </span>
            </dd>
          `,
      )}
    </dl>
  </section>`;
}

/** On a phone it is one row that scrolls: the chosen section is in view. */
function SettingsNav({ sections, documents, current }) {
  const list = useRef();
  useInView(list, '[aria-current=page]', current);
  return html`<nav aria-label=${t('page.settings')} ref=${list}>
        ${sections.map(
          (name) =>
            html`<a
              key=${name}
              href=${pageLink(`settings/${name}`)}
              aria-current=${name === current ? 'page' : undefined}
            >
              ${valueLabel(documents.includes(name) ? 'document' : 'settings', name)}
            </a>`,
        )}
      </nav>`;
}

export function Page() {
  const { id } = route.value;
  const loaded = useGet('settings');
  if (!loaded.data)
    return html`
      <${PageHeader} title=${t('page.settings')} />
      <${LoadingNotice} ...${loaded} />
    `;
  const documents = loaded.data.documents.filter((name) => name !== 'backup');
  const sections = ['health', ...documents, 'people', 'mine', 'backup', 'environment'];
  const current = sections.includes(id) ? id : 'health';
  return html`
    <${PageHeader} title=${t('page.settings')} />
    <div class="settings">
      <${SettingsNav} sections=${sections} documents=${documents} current=${current} />
      <div class="stack">
        ${current === 'health' && html`<${HealthFacts} data=${loaded.data} />`}
        ${documents.includes(current) && html`<${SettingsDocument} key=${current} name=${current} />`}
        ${current === 'people' && html`<${AdminList} />`}
        ${current === 'mine' && html`<${OwnSessions} />`}
        ${
          current === 'backup' &&
          html`
            <${BackupSettings} />
            ${loaded.data.documents.includes('backup') && html`<${SettingsDocument} name="backup" />`}
          `
        }
        ${current === 'environment' && html`<${EnvironmentTable} data=${loaded.data} />`}
      </div>
    </div>
  `;
}
