// Signing in again, in a layer over the page: what was typed there stays.
import { html } from '../dom.js';
import { session, sessionEnded } from '../api.js';
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

export const SessionLayer = () => sessionEnded.value && html`<${SignInAgain} />`;
