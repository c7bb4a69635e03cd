// Settings: the panel's admins, open sessions, and one's own password.
import { html, useState } from '../lib/dom.js';
import { patch, post, remove, session, may } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { RelativeTime } from '../lib/ui/elements.js';
import { DataTable } from '../lib/ui/table.js';
import { Dialog, ActionMenu, askConfirmation, runWithToast, showToast } from '../lib/ui/dialogs.js';
import { FormFields, FormButtons, useForm } from '../lib/ui/form.js';
import { SecondFactor } from './second_factor.js';

const ROLES = ['viewer', 'finance', 'operator', 'owner'];

const roleCell = (entry) =>
  html`
    ${valueLabel('admins', entry.role)} ${entry.from_provider && html`<span class="tag">${t('oidc.tag')}</span>`}
  `;

function AdminForm({ onClose, onDone }) {
  const form = useForm({ name: '', role: 'viewer', password: '' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      await post('admins', values);
      showToast(t('admins.added', { name: values.name }));
      onDone();
    });
  };
  return html`<${Dialog} size="small" title=${t('admins.add')} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <${FormFields}
        form=${form}
        prefix="admin"
        fields=${[
          { name: 'name', label: t('sign_in.name'), required: true, wide: true },
          {
            name: 'role',
            label: t('admins.role'),
            kind: 'select',
            wide: true,
            options: ROLES.map((role) => [role, t(`admins.${role}`)]),
          },
          {
            name: 'password',
            label: t('sign_in.password'),
            kind: 'password',
            required: true,
            wide: true,
            hint: t('sign_in.password_hint'),
          },
        ]}
      />
      <div class="row">
        <${FormButtons} form=${form} label=${t('admins.add')} onCancel=${onClose} />
      </div>
    </form>
  <//>`;
}

export function AdminList() {
  const loaded = useGet('admins');
  const [shown, show] = useState(false);
  const changeRole = (entry, value) =>
    runWithToast(() => patch(`admins/${entry.id}`, { role: value }), t('admins.changed', { name: entry.name })).then(
      loaded.reload,
    );
  const removeAdmin = async (entry) => {
    if (
      await askConfirmation({
        title: t('admins.remove', { name: entry.name }),
        text: t('admins.remove_note'),
        action: t('remove'),
      })
    )
      await runWithToast(() => remove(`admins/${entry.id}`), t('admins.removed', { name: entry.name })).then(
        loaded.reload,
      );
  };
  const turnFactorOff = async (entry) => {
    const { name } = entry;
    const question = {
      title: t('factor.off_title', { name }),
      text: t('factor.off_note'),
      action: t('factor.turn_off'),
    };
    if (!(await askConfirmation(question))) return;
    await runWithToast(() => remove(`admins/${entry.id}/second-factor`), t('factor.is_off'));
    loaded.reload();
  };
  const columns = [
    { key: 'name', label: t('sign_in.name'), lead: true, cell: (entry) => html`<strong>${entry.name}</strong>` },
    { key: 'role', label: t('admins.role'), cell: roleCell },
    {
      key: 'factor',
      label: t('factor.title'),
      cell: (entry) => (entry.second_factor ? t('yes') : html`<span class="quiet">${t('no')}</span>`),
    },
    { key: 'at', label: t('account.created'), cell: (entry) => html`<${RelativeTime} at=${entry.created_at} />` },
    {
      key: 'acts',
      label: '',
      acts: true,
      cell: (entry) =>
        may('security') &&
        html`<${ActionMenu}
          label=${`${t('actions')}: ${entry.name}`}
          items=${[
            ...ROLES.filter((role) => role !== entry.role && !entry.from_provider).map((role) => [
              t('admins.make', { role: t(`admins.${role}`) }),
              () => changeRole(entry, role),
            ]),
            entry.second_factor && [t('factor.turn_off'), () => turnFactorOff(entry)],
            null,
            [t('remove'), () => removeAdmin(entry), 'bad'],
          ]}
        />`,
    },
  ];
  return html`<section class="stack">
    <div class="row apart">
      <h2>${t('settings.people')}</h2>
      ${
        may('security') &&
        html`<button type="button" class="button" onClick=${() => show(true)}>
          ${t('admins.add')}
        </button>`
      }
    </div>
    <p class="soft">${t('admins.note')}</p>
    ${
      loaded.data
        ? html`<${DataTable} label=${t('settings.people')} columns=${columns} rows=${loaded.data.data} />`
        : html`<${LoadingNotice} ...${loaded} />`
    }
    ${
      shown &&
      html`<${AdminForm}
        onClose=${() => show(false)}
        onDone=${() => {
          show(false);
          loaded.reload();
        }}
      />`
    }
  </section>`;
}

function OwnPassword({ reload }) {
  const form = useForm({ current: '', new: '' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      session.value = await post('session/password', values);
      showToast(t('own.changed'));
      form.setValues({ current: '', new: '' });
      reload();
    });
  };
  return html`<section class="stack">
      <h2>${t('own.password')}</h2>
      <form class="stack" onSubmit=${submit}>
        <${FormFields}
          form=${form}
          prefix="mine"
          fields=${[
            {
              name: 'current',
              label: t('own_password'),
              kind: 'password',
              required: true,
              autocomplete: 'current-password',
            },
            {
              name: 'new',
              label: t('own.new'),
              kind: 'password',
              required: true,
              hint: t('sign_in.password_hint'),
            },
          ]}
        />
        <div>
          <button type="submit" class="button main" disabled=${form.busy}>
            ${t('own.change')}
          </button>
        </div>
      </form>
    </section>`;
}

export function OwnSessions() {
  const loaded = useGet('sessions');
  const endSession = (entry) => runWithToast(() => remove(`sessions/${entry.id}`), t('own.ended')).then(loaded.reload);
  const columns = [
    {
      key: 'who',
      label: t('sign_in.name'),
      lead: true,
      cell: (entry) =>
        html`
          <strong>${entry.admin_name}</strong> ${entry.current && html`<span class="tag">${t('own.this')}</span>`}
        `,
    },
    {
      key: 'from',
      label: t('own.from'),
      wide: true,
      cell: (entry) =>
        html`<span class="soft small">
          ${entry.address} · <code>${entry.agent}</code>
        </span>`,
    },
    { key: 'seen', label: t('own.seen'), cell: (entry) => html`<${RelativeTime} at=${entry.seen_at} />` },
    {
      key: 'acts',
      label: '',
      acts: true,
      cell: (entry) =>
        !entry.current &&
        html`<button type="button" class="button small" onClick=${() => endSession(entry)}>
          ${t('own.end')}
        </button>`,
    },
  ];
  return html`
    ${!session.value.admin.from_provider && html`<${OwnPassword} reload=${loaded.reload} />`}
    <${SecondFactor} />
    <section class="stack">
      <h2>${t('own.sessions')}</h2>
      ${
        loaded.data
          ? html`<${DataTable} label=${t('own.sessions')} columns=${columns} rows=${loaded.data.data} />`
          : html`<${LoadingNotice} ...${loaded} />`
      }
    </section>
  `;
}
