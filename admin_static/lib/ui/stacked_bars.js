// Stacked bars by day, drawn as SVG, with the same figures as a table under them.
import { html } from '../dom.js';
import { t } from '../i18n.js';
import { shortDay } from '../zone.js';

const HEIGHT = 100;
const STEP = 10;
const GAP = 1.6;

/** `bands`: [{ name, values }], each with a value for each of `days`; `show(value)` is its text. */
export function StackedBars({ days, bands, show, label }) {
  const totals = days.map((_, n) => bands.reduce((sum, band) => sum + band.values[n], 0));
  const top = Math.max(...totals, 0) || 1;
  const bar = (day, n) => {
    let reached = 0;
    return html`<g key=${day}>
      <title>${dayText(days, bands, show, n)}</title>
      <rect class="catch" x=${n * STEP} y="0" width=${STEP} height=${HEIGHT} />
      ${bands.map((band, place) => {
        const height = (band.values[n] / top) * HEIGHT;
        reached += height;
        return (
          height > 0 &&
          html`<rect
            key=${place}
            class=${`band-${place}`}
            x=${n * STEP + GAP / 2}
            y=${HEIGHT - reached}
            width=${STEP - GAP}
            height=${height}
          />`
        );
      })}
    </g>`;
  };
  const marks = [...new Set([0, Math.floor((days.length - 1) / 2), days.length - 1])];
  return html`<figure class="bars">
    <div class="bars-top quiet small">${show(top)}</div>
    <svg
      viewBox=${`0 0 ${days.length * STEP} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label=${label}
    >
      ${[0, 50].map((y) => html`<line key=${y} x1="0" x2=${days.length * STEP} y1=${y} y2=${y} />`)}
      ${days.map(bar)}
    </svg>
    <div class="bars-days quiet small">${marks.map((n) => html`<span key=${n}>${shortDay(days[n])}</span>`)}</div>
    <figcaption>
      ${bands.map(
        (band, place) =>
          html`<span key=${place} class="bars-name">
            <i class=${`band-${place}`}></i>
            ${band.name}
          </span>`,
      )}
    </figcaption>
    <${BarTable} days=${days} bands=${bands} totals=${totals} show=${show} label=${label} />
  </figure>`;
}

const dayText = (days, bands, show, n) =>
  [
    shortDay(days[n]),
    ...bands.filter((band) => band.values[n] > 0).map((band) => `${band.name}: ${show(band.values[n])}`),
  ].join('\n');

const BarTable = ({ days, bands, totals, show, label }) =>
  html`<details>
    <summary>${t('bars.table')}</summary>
    <div class="table-box">
      <table class="data" aria-label=${label}>
        <thead>
          <tr>
            <th scope="col">${t('usage.day')}</th>
            ${bands.map((band, place) => html`<th key=${place} scope="col" class="number">${band.name}</th>`)}
            <th scope="col" class="number">${t('usage.total')}</th>
          </tr>
        </thead>
        <tbody>
          ${days.map(
            (day, n) =>
              html`<tr key=${day}>
                <th scope="row">${day}</th>
                ${bands.map((band, place) => html`<td key=${place} class="number">${show(band.values[n])}</td>`)}
                <td class="number">${show(totals[n])}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </details>`;
