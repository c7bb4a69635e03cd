// Who may use the panel, where they are signed in, and one's own password.
import { html, useState } from '../lib/dom.js';
import { patch, post, remove, session, mayWrite } from '../lib/api.js';
import { t, word } from '../lib/i18n.js';
import { useGet, Waiting } from '../lib/load.js';
import { Time } from '../lib/ui/bits.js';
import { Table } from '../lib/ui/table.js';
import { Dialog, Menu, ask, attempt, toast } from '../lib/ui/layers.js';
import { Fields, FormButtons, useForm } from '../lib/ui/form.js';

function AdminForm({ onClose, onDone }) {
  const form = useForm({ name: '', role: 'viewer', password: '' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => { await post('admins', values); toast(t('people.added', { name: values.name })); onDone(); });
  };
  return html`<${Dialog} size="small" title=${t('people.add')} onClose=${onClose}><form class="stack" onSubmit=${submit}>
    <${Fields} form=${form} prefix="admin" fields=${[{ name: 'name', label: t('door.name'), required: true, wide: true },
      { name: 'role', label: t('people.role'), kind: 'select', wide: true, options: ['viewer', 'owner'].map((role) => [role, t(`people.${role}`)]) },
      { name: 'password', label: t('door.password'), kind: 'password', required: true, wide: true, hint: t('door.password_hint') }]} />
    <div class="row"><${FormButtons} form=${form} label=${t('people.add')} onCancel=${onClose} /></div></form><//>`;
}

export function People() {
  const found = useGet('admins');
  const [shown, show] = useState(false);
  const role = (one, value) => attempt(() => patch(`admins/${one.id}`, { role: value }), t('people.changed', { name: one.name })).then(found.reload);
  const drop = async (one) => {
    if (await ask({ title: t('people.remove', { name: one.name }), text: t('people.remove_note'), action: t('remove') })) await attempt(() => remove(`admins/${one.id}`), t('people.gone', { name: one.name })).then(found.reload);
  };
  const columns = [
    { key: 'name', label: t('door.name'), lead: true, cell: (one) => html`<strong>${one.name}</strong>` },
    { key: 'role', label: t('people.role'), cell: (one) => word('people', one.role) },
    { key: 'at', label: t('account.created'), cell: (one) => html`<${Time} at=${one.created_at} />` },
    { key: 'acts', label: '', acts: true, cell: (one) => mayWrite() && html`<${Menu} label=${`${t('actions')}: ${one.name}`} items=${[
      one.role === 'viewer' ? [t('people.make_owner'), () => role(one, 'owner')] : [t('people.make_viewer'), () => role(one, 'viewer')], null, [t('remove'), () => drop(one), 'bad']]} />` },
  ];
  return html`<section class="stack"><div class="row apart"><h2>${t('settings.people')}</h2>${mayWrite() && html`<button type="button" class="button" onClick=${() => show(true)}>${t('people.add')}</button>`}</div>
    <p class="soft">${t('people.note')}</p>${found.data ? html`<${Table} label=${t('settings.people')} columns=${columns} rows=${found.data.data} />` : html`<${Waiting} ...${found} />`}
    ${shown && html`<${AdminForm} onClose=${() => show(false)} onDone=${() => { show(false); found.reload(); }} />`}</section>`;
}

export function Mine() {
  const form = useForm({ current: '', new: '' });
  const found = useGet('sessions');
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      session.value = await post('session/password', values);
      toast(t('mine.changed'));
      form.setValues({ current: '', new: '' });
      found.reload();
    });
  };
  const end = (one) => attempt(() => remove(`sessions/${one.id}`), t('mine.ended')).then(found.reload);
  const columns = [
    { key: 'who', label: t('door.name'), lead: true, cell: (one) => html`<strong>${one.admin_name}</strong> ${one.current && html`<span class="tag">${t('mine.this')}</span>`}` },
    { key: 'from', label: t('mine.from'), wide: true, cell: (one) => html`<span class="soft small">${one.address} · ${one.agent}</span>` },
    { key: 'seen', label: t('mine.seen'), cell: (one) => html`<${Time} at=${one.seen_at} />` },
    { key: 'acts', label: '', acts: true, cell: (one) => !one.current && html`<button type="button" class="button small" onClick=${() => end(one)}>${t('mine.end')}</button>` },
  ];
  return html`<section class="stack"><h2>${t('mine.password')}</h2><form class="stack" onSubmit=${submit}>
      <${Fields} form=${form} prefix="mine" fields=${[{ name: 'current', label: t('own_password'), kind: 'password', required: true, autocomplete: 'current-password' }, { name: 'new', label: t('mine.new'), kind: 'password', required: true, hint: t('door.password_hint') }]} />
      <div><button type="submit" class="button main" disabled=${form.busy}>${t('mine.change')}</button></div></form></section>
    <section class="stack"><h2>${t('mine.sessions')}</h2>${found.data ? html`<${Table} label=${t('mine.sessions')} columns=${columns} rows=${found.data.data} />` : html`<${Waiting} ...${found} />`}</section>`;
}
