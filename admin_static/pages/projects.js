// Projects: limits over several keys, payments into them, and who spends.
import { html, useState } from '../lib/dom.js';
import { canWrite, may, patch, post, remove } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { pageLink, route, setFilters } from '../lib/router.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { currency, formatMoney, formatNumber } from '../lib/format.js';
import { numberOrNull } from '../lib/form_values.js';
import { CopyButton, EmptyState, PageHeader, RelativeTime, SegmentedControl, StateBadge } from '../lib/ui/elements.js';
import { DataTable } from '../lib/ui/table.js';
import { ActionMenu, Dialog, askConfirmation, runWithToast, showToast } from '../lib/ui/dialogs.js';
import { FormButtons, FormFields, useForm } from '../lib/ui/form.js';

const BUDGETS = ['total', 'daily', 'monthly'];
const amountOrNull = (text) => (text === '' || text == null ? null : String(text));

function budgetFields() {
  return BUDGETS.map((name) => ({
    name: `budget_${name}`,
    label: t(`key.${name}`, { currency: currency.value }),
    hint: name === 'total' ? t('projects.total_hint') : undefined,
    kind: 'money',
    min: 0,
    placeholder: t('no_limit'),
  }));
}

function limitFields(project) {
  const limits = ['rpm', 'tasks_limit'].map((name) => ({
    name,
    label: t(`key.${name}`),
    kind: 'number',
    min: 1,
    placeholder: t('no_limit'),
  }));
  return [
    !project && { name: 'name', label: t('key.name'), required: true, hint: t('projects.name_hint') },
    ...budgetFields(),
    ...limits,
    { name: 'note', label: t('projects.note'), wide: true },
  ];
}

function requestBody(values, project) {
  const budgets = Object.fromEntries(BUDGETS.map((name) => [`budget_${name}`, amountOrNull(values[`budget_${name}`])]));
  if (!may('operate')) return budgets;
  return {
    ...budgets,
    ...(project ? {} : { name: values.name.trim() }),
    rpm: numberOrNull(values.rpm),
    tasks_limit: numberOrNull(values.tasks_limit),
    note: values.note ?? '',
  };
}

function ProjectForm({ project, onClose, onDone }) {
  const form = useForm({ name: '', note: '', ...project });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      const body = requestBody(values, project);
      if (project) await patch(`projects/${project.id}`, body);
      else await post('projects', body);
      showToast(t('projects.saved', { name: project?.name ?? values.name }));
      onDone();
    });
  };
  return html`<${Dialog} title=${project ? project.name : t('projects.add')} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <${FormFields}
        form=${form}
        prefix="project"
        fields=${may('operate') ? limitFields(project) : budgetFields()}
      />
      <div class="row">
        <${FormButtons} form=${form} label=${t('save')} onCancel=${onClose} />
      </div>
    </form>
  <//>`;
}

function CreditForm({ project, onClose, onDone }) {
  const form = useForm({ amount: '', reference: '', note: '' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async ({ amount, reference, note }) => {
      const paid = await post(`projects/${project.id}/credit`, { amount: String(amount), reference, note });
      showToast(t(paid.repeated ? 'projects.paid_before' : 'projects.paid', { amount: formatMoney(paid.amount) }));
      onDone();
    });
  };
  return html`<${Dialog} title=${`${t('projects.pay')}: ${project.name}`} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <${FormFields}
        form=${form}
        prefix="credit"
        fields=${[
          {
            name: 'amount',
            label: t('projects.amount', { currency: currency.value }),
            kind: 'money',
            required: true,
            hint: t('projects.amount_hint'),
          },
          {
            name: 'reference',
            label: t('projects.reference'),
            required: true,
            hint: t('projects.reference_hint'),
          },
          { name: 'note', label: t('projects.note'), wide: true },
        ]}
      />
      <div class="row">
        <${FormButtons} form=${form} label=${t('projects.pay')} onCancel=${onClose} />
      </div>
    </form>
    <${CreditList} project=${project} />
  <//>`;
}

function CreditList({ project }) {
  const list = useGet(`projects/${project.id}/credits`, {});
  const rows = (list.data?.data ?? []).map((each) => ({ ...each, id: each.reference }));
  if (!list.data) return html`<${LoadingNotice} ...${list} />`;
  if (rows.length === 0) return null;
  return html`<${DataTable}
    label=${t('projects.credits')}
    rows=${rows}
    columns=${[
      { key: 'reference', label: t('projects.reference'), lead: true, cell: (each) => each.reference },
      { key: 'amount', label: t('projects.paid_in'), number: true, cell: (each) => formatMoney(each.amount) },
      { key: 'at', label: t('projects.when'), cell: (each) => html`<${RelativeTime} at=${each.at} />` },
      { key: 'by', label: t('projects.by'), cell: (each) => each.by },
    ]}
  />`;
}

const SecretDialog = ({ secret, onClose }) =>
  html`<${Dialog} title=${t('projects.secret')} onClose=${onClose}>
    <div class="stack">
      <p class="soft">${t('projects.secret_note')}</p>
      <${CopyButton} text=${secret} />
    </div>
  <//>`;

const columns = (menu) => [
  {
    key: 'name',
    label: t('key.name'),
    lead: true,
    cell: (project) => html`<strong>${project.name}</strong>`,
  },
  {
    key: 'state',
    label: t('key.state'),
    cell: (project) =>
      html`<${StateBadge}
        value=${project.enabled ? 'active' : 'disabled'}
        group="key_state"
        tone=${project.enabled ? 'good' : undefined}
      />`,
  },
  {
    key: 'keys',
    label: t('page.keys'),
    number: true,
    cell: (project) => html`<a href=${pageLink('keys', { q: project.name })}>${project.keys}</a>`,
  },
  {
    key: 'spent',
    label: t('key.spent'),
    number: true,
    cell: (project) =>
      html`${formatMoney(Number(project.spent.total) + Number(project.spent.reserved))}${
        project.budget.total && html` <span class="quiet">/ ${formatMoney(project.budget.total)}</span>`
      }`,
  },
  {
    key: 'credited',
    label: t('projects.paid_in'),
    number: true,
    cell: (project) => formatMoney(project.credited),
  },
  {
    key: 'acts',
    label: '',
    acts: true,
    cell: (project) =>
      may('money') && html`<${ActionMenu} items=${menu(project)} label=${`${t('actions')}: ${project.name}`} />`,
  },
];

function SpendTable() {
  const by = route.value.query.by ?? 'user';
  const list = useGet('spend', { by });
  const rows = (list.data?.data ?? []).map((each, n) => ({ ...each, id: String(n) }));
  return html`<section class="stack">
    <div class="row apart">
      <h2>${t('projects.spend')}</h2>
      <${SegmentedControl}
        label=${t('projects.spend')}
        value=${by}
        onPick=${(name) => setFilters({ by: name })}
        options=${['user', 'tag'].map((name) => [name, t(`projects.by_${name}`)])}
      />
    </div>
    <p class="soft">${t('projects.spend_note')}</p>
    ${
      !list.data
        ? html`<${LoadingNotice} ...${list} />`
        : html`<${DataTable}
          label=${t('projects.spend')}
          rows=${rows}
          columns=${[
            {
              key: 'name',
              label: t(`projects.by_${by}`),
              lead: true,
              cell: (each) => each.name ?? html`<span class="quiet">${t('projects.nobody')}</span>`,
            },
            {
              key: 'requests',
              label: t('projects.requests'),
              number: true,
              cell: (each) => formatNumber(each.requests),
            },
            { key: 'films', label: t('page.films'), number: true, cell: (each) => formatNumber(each.films) },
            { key: 'cost', label: t('key.spent'), number: true, cell: (each) => formatMoney(each.cost) },
          ]}
        />`
    }
  </section>`;
}

export function Page() {
  const list = useGet('projects', {});
  const [shown, show] = useState([]);
  const close = () => show([]);
  const done = () => {
    close();
    list.reload();
  };
  const actions = {
    secret: async (project) => {
      if (
        project.signs &&
        !(await askConfirmation({
          title: t('projects.secret'),
          text: t('projects.secret_replaces'),
          action: t('projects.secret'),
        }))
      )
        return;
      await runWithToast(async () => show(['secret', (await post(`projects/${project.id}/secret`)).secret]));
    },
    toggle: async (project) => {
      await runWithToast(() => patch(`projects/${project.id}`, { enabled: !project.enabled }));
      list.reload();
    },
    remove: async (project) => {
      await runWithToast(() => remove(`projects/${project.id}`), t('projects.deleted', { name: project.name }));
      list.reload();
    },
  };
  const menu = (project) => [
    [t(canWrite() ? 'key.edit' : 'key.edit_budget'), () => show(['edit', project])],
    [t('projects.pay'), () => show(['pay', project])],
    ...(canWrite()
      ? [
          [t('projects.secret'), () => actions.secret(project)],
          [t(project.enabled ? 'key.disable' : 'key.enable'), () => actions.toggle(project)],
          null,
          [t('delete'), () => actions.remove(project), 'bad'],
        ]
      : []),
  ];
  const rows = list.data?.data ?? [];
  const addButton =
    canWrite() &&
    html`<button type="button" class="button main" onClick=${() => show(['edit'])}>${t('projects.add')}</button>`;
  return html`
    <${PageHeader} title=${t('page.projects')}>${addButton}<//>
    ${
      !list.data
        ? html`<${LoadingNotice} ...${list} />`
        : rows.length === 0
          ? html`<${EmptyState} title=${t('projects.none')} actions=${addButton}>${t('projects.none_note')}<//>`
          : html`<${DataTable} label=${t('page.projects')} columns=${columns(menu)} rows=${rows} />`
    }
    ${may('money') && html`<${SpendTable} />`}
    ${shown[0] === 'edit' && html`<${ProjectForm} project=${shown[1]} onClose=${close} onDone=${done} />`}
    ${shown[0] === 'pay' && html`<${CreditForm} project=${shown[1]} onClose=${close} onDone=${done} />`}
    ${shown[0] === 'secret' && html`<${SecretDialog} secret=${shown[1]} onClose=${done} />`}
  `;
}
