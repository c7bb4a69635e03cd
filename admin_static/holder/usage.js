// What the key has used, by day and model, and its statement.
import { html, useMemo, useState } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { errorText } from '../lib/server_words.js';
import { lang } from '../lib/preferences.js';
import { dayBack, zone } from '../lib/zone.js';
import { currency, formatMoney, formatNumber } from '../lib/format.js';
import { DataTable } from '../lib/ui/table.js';
import { DateSpan } from '../lib/ui/date_span.js';
import { StackedBars } from '../lib/ui/stacked_bars.js';
import { runWithToast } from '../lib/ui/dialogs.js';
import { saveAnswer, useCall } from './client.js';

const MOST_BANDS = 7;

const columns = () => [
  { key: 'model', label: t('task.model'), lead: true, cell: (row) => row.model },
  { key: 'films', label: t('usage.films'), number: true, cell: (row) => formatNumber(row.films) },
  { key: 'seconds', label: t('usage.film_seconds'), number: true, cell: (row) => formatNumber(row.film_seconds, 1) },
  { key: 'requests', label: t('usage.requests'), number: true, cell: (row) => formatNumber(row.requests) },
  {
    key: 'tokens',
    label: t('usage.tokens'),
    number: true,
    cell: (row) => `${formatNumber(row.input_tokens)} / ${formatNumber(row.output_tokens)}`,
  },
  { key: 'cost', label: t('task.cost'), number: true, cell: (row) => formatMoney(row.cost) },
];

function daysBetween({ from, to }) {
  const days = [];
  const day = new Date(`${from}T00:00:00Z`);
  while (days.length < 400 && day.toISOString().slice(0, 10) <= to) {
    days.push(day.toISOString().slice(0, 10));
    day.setUTCDate(day.getUTCDate() + 1);
  }
  return days;
}

/** A band for each of the dearest models, and one for all others. */
function bandsOf(lines, models, days) {
  const names = models.slice(0, MOST_BANDS).map((row) => row.model);
  const bandOf = (model) => (names.includes(model) ? model : t('usage.others'));
  const found = new Map();
  for (const line of lines) {
    const band = bandOf(line.model);
    if (!found.has(band)) found.set(band, Object.fromEntries(days.map((day) => [day, 0])));
    found.get(band)[line.day] += Number(line.cost);
  }
  return [...names, t('usage.others')]
    .filter((name) => found.has(name))
    .map((name) => ({ name, values: days.map((day) => found.get(name)[day]) }));
}

export function UsageOverDates() {
  const [span, setSpan] = useState({ from: dayBack(29), to: dayBack(0) });
  const byModel = useCall('usage', { ...span, zone, group_by: 'model' });
  const byDay = useCall('usage', { ...span, zone, group_by: 'day,model' });
  const models = useMemo(
    () => [...(byModel.data?.data ?? [])].sort((one, other) => Number(other.cost) - Number(one.cost)),
    [byModel.data],
  );
  const days = daysBetween(span);
  const lines = (byDay.data?.data ?? []).filter((line) => days.includes(line.day));
  const error = byModel.error ?? byDay.error;
  const save = (format) =>
    runWithToast(
      () =>
        saveAnswer(
          'usage/statement',
          { ...span, zone, format, lang: lang.value },
          `${t('statement.file')}-${span.from}-${span.to}.${format}`,
        ).then(() => true),
      t('exported'),
    );
  return html`<section>
    <h2>${t('my.usage')}</h2>
    <${DateSpan} span=${span} onChange=${setSpan} />
    ${error && html`<p class="trouble">${errorText(error)}</p>`}
    ${
      byModel.data &&
      byDay.data &&
      (models.length === 0
        ? html`<p class="soft">${t('my.no_usage')}</p>`
        : html`
          <${StackedBars}
            days=${days}
            bands=${bandsOf(lines, models, days)}
            show=${formatMoney}
            label=${t('usage.by_day')}
          />
          <${DataTable}
            label=${t('my.usage')}
            columns=${columns()}
            rows=${[...models, { ...byModel.data.total, model: t('usage.total') }]}
            id=${(row) => row.model}
          />
        `)
    }
    <p class="soft small">${t('usage.zone_note', { zone, currency: currency.value })}</p>
    <div class="row">
      <span>${t('statement.title')}:</span>
      <button type="button" class="button small" onClick=${() => save('pdf')}>PDF</button>
      <button type="button" class="button small" onClick=${() => save('csv')}>CSV</button>
    </div>
  </section>`;
}
