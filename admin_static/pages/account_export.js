// The dialog that exports accounts as a file.
import { html } from '../lib/dom.js';
import { post, may, downloadFile, saveFile } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { Dialog, showToast } from '../lib/ui/dialogs.js';
import { FormFields, FormButtons, useForm } from '../lib/ui/form.js';

/** `filters`: those of the list, which `total` accounts match. */
export function ExportDialog({ filters, total, onClose }) {
  const form = useForm({ format: 'json', secrets: false, password: '' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async ({ format, secrets, password }) => {
      if (secrets) {
        const response = await post('accounts/export', { format, secrets, password }, { raw: true, query: filters });
        await saveFile(await response.blob(), `accounts.${format}`);
      } else await downloadFile('accounts/export', { format, ...filters }, `accounts.${format}`);
      showToast(t('exported'));
      onClose();
    });
  };
  return html`<${Dialog} size="small" title=${t('accounts.export')} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <p class="soft">${t('accounts.export_what', { n: total })}</p>
      <${FormFields}
        form=${form}
        prefix="export"
        fields=${[
          {
            name: 'format',
            label: t('format'),
            kind: 'select',
            wide: true,
            options: [
              ['json', 'JSON'],
              ['csv', 'CSV'],
            ],
          },
          may('security') && {
            name: 'secrets',
            label: t('accounts.with_secrets'),
            hint: t('accounts.with_secrets_hint'),
            kind: 'check',
            wide: true,
          },
          {
            name: 'password',
            label: t('own_password'),
            kind: 'password',
            autocomplete: 'current-password',
            wide: true,
            when: (values) => values.secrets,
          },
        ]}
      />
      <div class="row">
        <${FormButtons} form=${form} label=${t('export')} onCancel=${onClose} />
      </div>
    </form>
  <//>`;
}
