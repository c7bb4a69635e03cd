// The statement of a key: a month or any days, as PDF or CSV.
import { html, useState } from '../lib/dom.js';
import { downloadFile } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { currency } from '../lib/format.js';
import { lang } from '../lib/preferences.js';
import { monthBack, zone } from '../lib/zone.js';
import { Dialog, runWithToast } from '../lib/ui/dialogs.js';
import { DateSpan } from '../lib/ui/date_span.js';

/** `days`: { from, to } that are chosen at first; else this month. */
export function KeyStatement({ clientKey, days, onClose }) {
  const name = clientKey.name ?? clientKey.id;
  const [span, setSpan] = useState(() => {
    if (days) return days;
    const [from, to] = monthBack(0);
    return { from, to };
  });
  const [costs, setCosts] = useState(false);
  const save = (format) =>
    runWithToast(
      () =>
        downloadFile(
          `keys/${encodeURIComponent(clientKey.id)}/statement`,
          { ...span, zone, format, costs, lang: lang.value },
          `${t('statement.file')}-${name}-${span.from}-${span.to}.${format}`,
        ).then(() => true),
      t('exported'),
    );
  return html`<${Dialog} title=${`${t('statement.title')}: ${name}`} onClose=${onClose}>
    <div class="stack">
      <${DateSpan} span=${span} onChange=${setSpan} />
      <p class="soft small">${t('statement.note', { zone, currency: currency.value })}</p>
      <label class="check">
        <input type="checkbox" checked=${costs} onChange=${(event) => setCosts(event.target.checked)} />
        <span>${t('statement.costs')}</span>
      </label>
      <div class="row">
        <button type="button" class="button main" onClick=${() => save('pdf')}>PDF</button>
        <button type="button" class="button" onClick=${() => save('csv')}>CSV</button>
      </div>
    </div>
  <//>`;
}
