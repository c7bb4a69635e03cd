// Sign-in: by name and password, or the first password by the setup link.
import { html, classNames, useState } from '../lib/dom.js';
import { request, session } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { useSecondStep } from '../lib/second_step.js';
import { route } from '../lib/router.js';
import { BrandMark } from '../lib/ui/icons.js';
import { FormFields, useForm } from '../lib/ui/form.js';

const KNOWN_PROBLEMS = ['oidc_no_role', 'oidc_unreachable', 'oidc_outdated', 'rate_limit_exceeded'];

/** The button that leads to the provider, and what went wrong there. */
function ProviderSignIn({ main }) {
  const { provider } = session.value;
  const { problem } = route.value.query;
  if (!provider) return null;
  return html`
    ${
      problem &&
      html`<p class="trouble" role="alert" id="oidc-problem">
        ${t(`oidc.problem.${KNOWN_PROBLEMS.includes(problem) ? problem : 'oidc_refused'}`, { name: provider.name })}
      </p>`
    }
    <a class=${classNames('button', main && 'main')} id="oidc" href=${provider.start}>
      ${t('oidc.sign_in', { name: provider.name })}
    </a>
  `;
}

/** Where passwords are off, their form is for emergencies: it comes when one asks for it. */
function ProviderOnly() {
  const [emergency, setEmergency] = useState(false);
  if (emergency) return html`<${SignInForm} />`;
  return html`<div class="stack">
    <h1>${t('sign_in.sign_in')}</h1>
    <${ProviderSignIn} main=${true} />
    <p class="soft small">
      ${t('oidc.emergency')} <code>filmgate admin reset-password NAME</code>
    </p>
    <button type="button" class="button plain small" onClick=${() => setEmergency(true)}>
      ${t('oidc.by_password')}
    </button>
  </div>`;
}

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
    ${!step.asked && session.value.password_sign_in && html`<${ProviderSignIn} />`}
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
    <${ProviderSignIn} />
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
            : html`<${session.value.password_sign_in ? SignInForm : ProviderOnly} />`
      }
      <div class="preferences">
        <${PreferenceButtons} />
      </div>
    </div>
  </div>`;
}
