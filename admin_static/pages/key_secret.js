// The dialogs about the secret of a key: shown once, and rotated.
import { html, useState } from '../lib/dom.js';
import { post, clientApi } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { CodeBlock } from '../lib/ui/elements.js';
import { Dialog } from '../lib/ui/dialogs.js';
import { FormFields, FormButtons, useForm } from '../lib/ui/form.js';

const pythonClient = (secret) =>
  `from openai import OpenAI\n\nclient = OpenAI(base_url="${clientApi()}", api_key="${secret}")`;

/** Shows a new key; it is not readable later, so it stays until it was copied or the operator says so. */
export function NewSecret({ newKey, onClose }) {
  const [copied, setCopied] = useState(false);
  const onCopy = () => setCopied(true);
  return html`<${Dialog}
    title=${t('key.once')}
    onClose=${onClose}
    keep=${copied ? null : t('dialog.not_copied')}
    foot=${html`<button type="button" class="button main" onClick=${onClose}>
      ${t('key.saved_it')}
    </button>`}
  >
    <p class="soft">${t('key.once_note')}</p>
    <div id="new-secret">
      <${CodeBlock} text=${newKey.secret} label=${t('key.once')} onCopy=${onCopy} />
    </div>
    <${CodeBlock} text=${pythonClient(newKey.secret)} label="Python" onCopy=${onCopy} />
  <//>`;
}

export function RotateKey({ clientKey, onClose, onDone }) {
  const form = useForm({ overlap_seconds: '86400' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) =>
      onDone(await post(`keys/${clientKey.id}/rotate`, { overlap_seconds: Number(values.overlap_seconds) })),
    );
  };
  return html`<${Dialog} size="small" title=${t('key.rotate')} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <${FormFields}
        form=${form}
        prefix="rotate"
        fields=${[
          {
            name: 'overlap_seconds',
            label: t('key.overlap'),
            kind: 'select',
            wide: true,
            hint: t('key.overlap_hint'),
            options: [
              ['0', t('key.overlap_none')],
              ['3600', t('span.hour')],
              ['86400', t('span.day')],
              ['604800', t('span.week')],
            ],
          },
        ]}
      />
      <div class="row">
        <${FormButtons} form=${form} label=${t('key.rotate')} onCancel=${onClose} />
      </div>
    </form>
  <//>`;
}
