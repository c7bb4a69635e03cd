// The second factor: turned on with a QR code, recovery codes, turned off; also as the page of an admin who needs one.
import { html, useState } from '../lib/dom.js';
import { loadSession, post, put, saveFile, session } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { CodeBlock, CopyButton } from '../lib/ui/elements.js';
import { Dialog, showToast } from '../lib/ui/dialogs.js';
import { FormFields, FormButtons, useForm } from '../lib/ui/form.js';

const passwordField = () => ({
  name: 'password',
  label: t('own_password'),
  kind: 'password',
  required: true,
  wide: true,
  autocomplete: 'current-password',
});

/** Asks for the password before a step; `send(password)` makes it. */
function PasswordDialog({ title, note, action, send, onClose }) {
  const form = useForm({ password: '' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(({ password }) => send(password));
  };
  return html`<${Dialog} size="small" title=${title} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <p class="soft">${note}</p>
      <${FormFields} form=${form} prefix="factor" fields=${[passwordField()]} />
      <div class="row">
        <${FormButtons} form=${form} label=${action} onCancel=${onClose} />
      </div>
    </form>
  <//>`;
}

const QrCode = ({ qr }) =>
  html`<svg class="qr" viewBox=${`0 0 ${qr.size} ${qr.size}`} role="img" aria-label=${t('factor.qr')}>
    <rect width=${qr.size} height=${qr.size} fill="#fff" />
    <path d=${qr.path} stroke="#000" shape-rendering="crispEdges" />
  </svg>`;

function ScanDialog({ offer, onClose, onDone }) {
  const form = useForm({ code: '' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async ({ code }) => {
      onDone((await put('session/second-factor', { ticket: offer.ticket, code })).codes);
    });
  };
  return html`<${Dialog} size="small" title=${t('factor.turn_on')} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <p class="soft">${t('factor.scan_note')}</p>
      <${QrCode} qr=${offer.qr} />
      <div class="small">
        <span class="soft">${t('factor.by_hand')}</span> <${CopyButton} text=${offer.secret} />
      </div>
      <${FormFields}
        form=${form}
        prefix="factor"
        fields=${[
          {
            name: 'code',
            label: t('factor.first_code'),
            required: true,
            wide: true,
            placeholder: '123456',
            autocomplete: 'one-time-code',
          },
        ]}
      />
      <div class="row">
        <${FormButtons} form=${form} label=${t('factor.turn_on')} onCancel=${onClose} />
      </div>
    </form>
  <//>`;
}

/** Shown once, so it stays until the codes were copied or saved, or the admin says so. */
function CodesDialog({ codes, onClose }) {
  const [kept, setKept] = useState(false);
  const text = codes.join('\n');
  const save = async () => {
    await saveFile(new Blob([`${text}\n`], { type: 'text/plain' }), 'filmgate-recovery-codes.txt');
    setKept(true);
  };
  return html`<${Dialog}
    size="small"
    title=${t('factor.codes')}
    onClose=${onClose}
    keep=${kept ? null : t('factor.codes_not_kept')}
    foot=${html`
      <button type="button" class="button" onClick=${save}>${t('factor.download')}</button>
      <button type="button" class="button main" onClick=${onClose}>${t('factor.codes_kept')}</button>
    `}
  >
    <p class="soft">${t('factor.codes_note')}</p>
    <div id="recovery-codes">
      <${CodeBlock} text=${text} label=${t('factor.codes')} onCopy=${() => setKept(true)} />
    </div>
  <//>`;
}

/** The dialogs one after the other: `step` is one of on, scan, codes, renew, off, or null. */
function FactorDialogs({ step, show, onChanged }) {
  const close = () => show(null);
  const finish = () => {
    close();
    onChanged();
  };
  if (step?.name === 'on')
    return html`<${PasswordDialog}
      title=${t('factor.turn_on')}
      note=${t('factor.password_note')}
      action=${t('factor.next')}
      send=${async (password) => show({ name: 'scan', offer: await post('session/second-factor', { password }) })}
      onClose=${close}
    />`;
  if (step?.name === 'scan')
    return html`<${ScanDialog}
      offer=${step.offer}
      onClose=${close}
      onDone=${(codes) => {
        showToast(t('factor.is_on'));
        show({ name: 'codes', codes });
      }}
    />`;
  if (step?.name === 'codes') return html`<${CodesDialog} codes=${step.codes} onClose=${finish} />`;
  if (step?.name === 'renew')
    return html`<${PasswordDialog}
      title=${t('factor.renew')}
      note=${t('factor.renew_note')}
      action=${t('factor.renew')}
      send=${async (password) =>
        show({ name: 'codes', codes: (await post('session/recovery-codes', { password })).codes })}
      onClose=${close}
    />`;
  if (step?.name === 'off')
    return html`<${PasswordDialog}
      title=${t('factor.turn_off')}
      note=${t('factor.off_note')}
      action=${t('factor.turn_off')}
      send=${async (password) => {
        await post('session/second-factor/disable', { password });
        showToast(t('factor.is_off'));
        finish();
      }}
      onClose=${close}
    />`;
  return null;
}

const ActionButton = ({ label, onClick, main }) =>
  html`<button type="button" class=${main ? 'button main' : 'button'} onClick=${onClick}>${label}</button>`;

/** The section in the settings. */
export function SecondFactor() {
  const loaded = useGet('session/second-factor');
  const [step, show] = useState(null);
  const onChanged = () => {
    loadSession();
    loaded.reload();
  };
  const begin = (name) => () => show({ name });
  if (session.value.admin.from_provider)
    return html`<section class="stack">
      <h2>${t('factor.title')}</h2>
      <p class="soft">${t('factor.of_provider')}</p>
    </section>`;
  return html`<section class="stack" id="second-factor">
    <h2>${t('factor.title')}</h2>
    ${
      !loaded.data
        ? html`<${LoadingNotice} ...${loaded} />`
        : loaded.data.on
          ? html`
            <p>
              <span class="badge good">${t('factor.on')}</span>${' '}
              <span class="soft">${t('factor.codes_left', { n: loaded.data.recovery_codes })}</span>
            </p>
            <div class="row">
              <${ActionButton} label=${t('factor.renew')} onClick=${begin('renew')} />
              <${ActionButton} label=${t('factor.replace')} onClick=${begin('on')} />
              <${ActionButton} label=${t('factor.turn_off')} onClick=${begin('off')} />
            </div>
          `
          : html`
            <p class="soft">${t('factor.note')}</p>
            <div>
              <${ActionButton} label=${t('factor.turn_on')} onClick=${begin('on')} main=${true} />
            </div>
          `
    }
    <${FactorDialogs} step=${step} show=${show} onChanged=${onChanged} />
  </section>`;
}

/** Instead of the panel, while this gateway requires a second factor and the admin has none. */
export function Page() {
  const [step, show] = useState(null);
  return html`<div class="stack" id="factor-gate">
    <h1>${t('factor.needed')}</h1>
    <p class="soft">${t('factor.needed_note')}</p>
    <${ActionButton} label=${t('factor.turn_on')} onClick=${() => show({ name: 'on' })} main=${true} />
    <${FactorDialogs} step=${step} show=${show} onChanged=${() => loadSession()} />
  </div>`;
}
