// Before signing in: the first password by the one-time link, or name and password.
import { html } from '../lib/dom.js';
import { call, session } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { route } from '../lib/router.js';
import { Mark } from '../lib/ui/icons.js';
import { Fields, useForm } from '../lib/ui/form.js';

const enter = async (path, body) => { session.value = await call('POST', path, { body }); };

function SignIn() {
  const form = useForm({ name: 'admin', password: '' });
  const submit = (event) => { event.preventDefault(); form.submit((values) => enter('session', values)); };
  return html`<form onSubmit=${submit}>
    <h1>${t('door.sign_in')}</h1>
    <${Fields} form=${form} fields=${[
      { name: 'name', label: t('door.name'), required: true, wide: true, autocomplete: 'username' },
      { name: 'password', label: t('door.password'), kind: 'password', required: true, wide: true, autocomplete: 'current-password' },
    ]} />
    <button type="submit" class="button main" disabled=${form.busy}>${t('door.sign_in')}</button></form>`;
}

function SetUp({ token }) {
  const form = useForm({ name: 'admin', password: '', again: '' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async ({ name, password, again }) => {
      if (password !== again) throw Object.assign(new Error(t('door.differ')), { param: 'again' });
      await enter('setup', { token, name, password });
      location.hash = '#/overview';
    });
  };
  return html`<form onSubmit=${submit}>
    <div class="stack tight"><h1>${t('door.welcome')}</h1><p class="soft">${t('door.welcome_note')}</p></div>
    <${Fields} form=${form} fields=${[
      { name: 'name', label: t('door.name'), required: true, wide: true, autocomplete: 'username' },
      { name: 'password', label: t('door.password'), kind: 'password', required: true, wide: true, hint: t('door.password_hint') },
      { name: 'again', label: t('door.again'), kind: 'password', required: true, wide: true },
    ]} />
    <button type="submit" class="button main" disabled=${form.busy}>${t('door.begin')}</button></form>`;
}

const NeedsLink = () => html`<div class="stack tight"><h1>${t('door.welcome')}</h1><p class="soft">${t('door.needs_link')}</p></div>`;

export function Door({ Switches }) {
  document.title = 'Filmgate';
  const { page, query } = route.value;
  const token = page === 'setup' ? query.token : '';
  return html`<div class="door"><div class="door-box"><span class="brand"><${Mark} />Filmgate</span>
    ${token ? html`<${SetUp} token=${token} />` : session.value.state === 'setup' ? html`<${NeedsLink} />` : html`<${SignIn} />`}
    <footer><${Switches} /></footer></div></div>`;
}
