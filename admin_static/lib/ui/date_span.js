// A span of days in the address: `from` and `to`, with the usual ones at one click.
import { html } from '../dom.js';
import { t } from '../i18n.js';
import { daySpans } from '../zone.js';
import { SegmentedControl } from './elements.js';

const DEFAULT = 'days_30';

/** The first and the last day of a query; without any, those of the last thirty days. */
export function spanOf(query) {
  const [, from, to] = daySpans().find(([name]) => name === DEFAULT);
  return { from: query.from || from, to: query.to || to };
}

/** `span`: { from, to }; `onChange` is given both. */
export function DateSpan({ span, onChange }) {
  const spans = daySpans();
  const current = spans.find(([, from, to]) => from === span.from && to === span.to)?.[0];
  const pick = (name) => {
    const [, from, to] = spans.find(([each]) => each === name);
    onChange({ from, to });
  };
  const field = (name) =>
    html`<input
      type="date"
      class="day"
      aria-label=${t(`days.${name}`)}
      title=${t(`days.${name}`)}
      value=${span[name]}
      max=${name === 'from' ? span.to : undefined}
      min=${name === 'to' ? span.from : undefined}
      required
      onChange=${(event) => event.target.value && onChange({ ...span, [name]: event.target.value })}
    />`;
  return html`<div class="row day-span">
    <${SegmentedControl}
      label=${t('days.span')}
      value=${current}
      onPick=${pick}
      options=${spans.map(([name]) => [name, t(`days.${name}`)])}
    />
    <span class="row">${field('from')} – ${field('to')}</span>
  </div>`;
}
