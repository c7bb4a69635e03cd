// Line charts over time on a canvas; uPlot is loaded by the first page that shows one.
import { html, useEffect, useRef } from '../dom.js';
import { dark, lang } from '../preferences.js';
import { formatAbsolute, formatDay, formatHour } from '../format.js';

const themeColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** `times` in seconds; `series`: [{ label, values, tone, fill?, show(value) }]. */
export function TimeChart({ times, series, height = 190, label, unit = String }) {
  const box = useRef();
  const isDark = dark.value;
  const language = lang.value;
  useEffect(() => {
    const element = box.current;
    // A page that is left between its drawing and this effect has no element any more.
    if (!element) return;
    let chart;
    let unmounted = false;
    const resizeObserver = new ResizeObserver(([entry]) =>
      chart?.setSize({ width: Math.floor(entry.contentRect.width), height }),
    );
    import('../../vendor/uplot.js').then(({ default: Plot }) => {
      if (unmounted) return;
      const axis = {
        stroke: themeColour('ink-3'),
        grid: { stroke: themeColour('line'), width: 1 },
        ticks: { show: false },
        font: '11px Hanken, sans-serif',
      };
      const days = times.at(-1) - times[0] > 2 * 86400;
      const isMidnight = (at) => new Date(at * 1000).getHours() === 0;
      const tickLabels = (_, ticks) => ticks.map((at) => (days || isMidnight(at) ? formatDay(at) : formatHour(at)));
      const options = {
        width: Math.max(element.clientWidth, 200),
        height,
        cursor: { y: false, points: { size: 6 } },
        legend: { live: true },
        axes: [
          { ...axis, size: 30, space: 64, values: tickLabels },
          { ...axis, size: 52, values: (_, ticks) => ticks.map(unit) },
        ],
        scales: { y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.15 : 1] } },
        series: [
          { label: '', value: (_, at) => (at == null ? '' : days ? formatDay(at) : formatAbsolute(at)) },
          ...series.map((line) => ({
            label: line.label,
            stroke: themeColour(line.tone),
            width: 1.6,
            points: { show: false },
            spanGaps: true,
            fill: line.fill && `color-mix(in srgb, ${themeColour(line.tone)} 14%, transparent)`,
            value: (_, value) => (value == null ? '–' : (line.show ?? unit)(value)),
          })),
        ],
      };
      chart = new Plot(options, [times, ...series.map((line) => line.values)], element);
      resizeObserver.observe(element);
    });
    return () => {
      unmounted = true;
      resizeObserver.disconnect();
      chart?.destroy();
    };
  }, [times, series, isDark, language, height]);
  return html`<div class="chart" ref=${box} role="img" aria-label=${label}></div>`;
}
