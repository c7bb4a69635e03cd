// Signing in again, in a layer over the page: what was typed there stays.
import { html, useEffect } from '../dom.js';
import { loadSession, session, sessionEnded } from '../api.js';
import { t } from '../i18n.js';
import { useSecondStep } from '../second_step.js';
import { startListening, reconnects } from '../event_stream.js';
import { Dialog } from './dialogs.js';
import { FormFields, useForm } from './form.js';

function SignInAgain() {
  const { name } = session.value.admin;
  const form = useForm({ password: '', code: '' });
  const step = useSecondStep(form, 'again');
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      if (!(await step.signIn({ name, ...values }))) return;
      sessionEnded.value = false;
      startListening();
      reconnects.value += 1;
    });
  };
  return html`<${Dialog} size="small" title=${t('session.ended')} onClose=${() => {}} locked=${true}>
    <form class="stack" id="sign-in-again" onSubmit=${submit}>
      <p class="soft">${t('session.ended_note', { name })}</p>
      <${FormFields}
        form=${form}
        prefix="again"
        fields=${[
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
      <div class="row">
        <button type="button" class="button" onClick=${() => location.reload()}>
          ${t('session.other')}
        </button>
        <button type="submit" class="button main" disabled=${form.busy}>
          ${t('sign_in.sign_in')}
        </button>
      </div>
    </form>
  <//>`;
}

/** The provider opens in another tab, so that this page stays; when one comes back, the session is looked at. */
function ProviderAgain() {
  const { admin, provider } = session.value;
  useEffect(() => {
    const look = async () => {
      if (document.visibilityState !== 'visible') return;
      const found = await loadSession();
      if (found.state !== 'signed_in') return;
      if (found.admin.id !== admin.id) location.reload();
      startListening();
      reconnects.value += 1;
    };
    addEventListener('focus', look);
    document.addEventListener('visibilitychange', look);
    return () => {
      removeEventListener('focus', look);
      document.removeEventListener('visibilitychange', look);
    };
  }, []);
  return html`<${Dialog} size="small" title=${t('session.ended')} onClose=${() => {}} locked=${true}>
    <p class="soft">${t('oidc.again_note', { name: admin.name })}</p>
    <div class="row">
      <button type="button" class="button" onClick=${() => location.reload()}>
        ${t('session.other')}
      </button>
      <a class="button main" href=${provider.start} target="_blank" rel="noopener">
        ${t('oidc.sign_in', { name: provider.name })}
      </a>
    </div>
  <//>`;
}

export const SessionLayer = () => {
  if (!sessionEnded.value) return null;
  const { admin, provider } = session.value;
  return html`<${admin.from_provider && provider ? ProviderAgain : SignInAgain} />`;
};
