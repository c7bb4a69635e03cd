// Sign-in: by name and password, or the first password by the setup link.
import { html } from '../lib/dom.js';
import { request, session } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { useSecondStep } from '../lib/second_step.js';
import { route } from '../lib/router.js';
import { BrandMark } from '../lib/ui/icons.js';
import { FormFields, useForm } from '../lib/ui/form.js';

function SignInForm() {
  const form = useForm({ name: 'admin', password: '', code: '' });
  const step = useSecondStep(form, 'field');
  const submit = (event) => {
    event.preventDefault();
    form.submit((values) => step.signIn(values));
  };
  return html`<form onSubmit=${submit}>
    <h1>${t('sign_in.sign_in')}</h1>
    <${FormFields}
      form=${form}
      fields=${[
        {
          name: 'name',
          label: t('sign_in.name'),
          required: true,
          wide: true,
          autocomplete: 'username',
          when: () => !step.asked,
        },
        {
          name: 'password',
          label: t('sign_in.password'),
          kind: 'password',
          required: true,
          wide: true,
          autocomplete: 'current-password',
          when: () => !step.asked,
        },
        step.field,
      ]}
    />
    <button type="submit" class="button main" disabled=${form.busy}>
      ${t('sign_in.sign_in')}
    </button>
    ${
      step.asked &&
      html`<button type="button" class="button" onClick=${step.back}>
        ${t('factor.back')}
      </button>`
    }
    <p class="soft small">
      ${t(step.asked ? 'factor.lost' : 'sign_in.forgotten')}${' '}
      <code>filmgate admin ${step.asked ? 'reset-totp' : 'reset-password'} ${form.values.name || 'admin'}</code>
    </p>
  </form>`;
}

function SetupForm({ token }) {
  const form = useForm({ name: 'admin', password: '', again: '' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async ({ name, password, again }) => {
      if (password !== again) throw Object.assign(new Error(t('sign_in.differ')), { param: 'again' });
      session.value = await request('POST', 'setup', { body: { token, name, password } });
      location.hash = '#/overview';
    });
  };
  return html`<form onSubmit=${submit}>
    <div class="stack tight">
      <h1>${t('sign_in.welcome')}</h1>
      <p class="soft">${t('sign_in.welcome_note')}</p>
    </div>
    <${FormFields}
      form=${form}
      fields=${[
        { name: 'name', label: t('sign_in.name'), required: true, wide: true, autocomplete: 'username' },
        {
          name: 'password',
          label: t('sign_in.password'),
          kind: 'password',
          required: true,
          wide: true,
          hint: t('sign_in.password_hint'),
        },
        { name: 'again', label: t('sign_in.again'), kind: 'password', required: true, wide: true },
      ]}
    />
    <button type="submit" class="button main" disabled=${form.busy}>
      ${t('sign_in.begin')}
    </button>
  </form>`;
}

const SetupLinkNotice = () =>
  html`<div class="stack tight">
    <h1>${t('sign_in.welcome')}</h1>
    <p class="soft">${t('sign_in.needs_link')}</p>
  </div>`;

export function SignInPage({ PreferenceButtons }) {
  document.title = 'Filmgate';
  const { page, query } = route.value;
  const token = page === 'setup' ? query.token : '';
  return html`<div class="sign-in" role="main">
    <div class="sign-in-box">
      <span class="brand">
        <${BrandMark} />
        Filmgate
      </span>
      ${
        token
          ? html`<${SetupForm} token=${token} />`
          : session.value.state === 'setup'
            ? html`<${SetupLinkNotice} />`
            : html`<${SignInForm} />`
      }
      <div class="feet">
        <${PreferenceButtons} />
      </div>
    </div>
  </div>`;
}
