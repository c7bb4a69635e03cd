// Lines over time on a canvas; the library is loaded by the first page that needs it.
import { html, useEffect, useRef } from '../dom.js';
import { dark, lang } from '../preferences.js';
import { absolute, day, hour } from '../format.js';

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** `times` in seconds; `series`: [{ label, values, tone, fill?, show(value) }]. */
export function Chart({ times, series, height = 190, label, unit = String }) {
  const box = useRef();
  const isDark = dark.value;
  const language = lang.value;
  useEffect(() => {
    let chart;
    let gone = false;
    const fit = new ResizeObserver(([entry]) => chart?.setSize({ width: Math.floor(entry.contentRect.width), height }));
    import('../../vendor/uplot.js').then(({ default: Plot }) => {
      if (gone) return;
      const axis = { stroke: colour('ink-3'), grid: { stroke: colour('line'), width: 1 }, ticks: { show: false }, font: '11px Hanken, sans-serif' };
      const days = times.at(-1) - times[0] > 2 * 86400;
      const midnight = (at) => new Date(at * 1000).getHours() === 0;
      const moments = (_, ticks) => ticks.map((at) => (days || midnight(at) ? day(at) : hour(at)));
      const options = {
        width: Math.max(box.current.clientWidth, 200), height,
        cursor: { y: false, points: { size: 6 } }, legend: { live: true },
        axes: [{ ...axis, size: 30, space: 64, values: moments }, { ...axis, size: 52, values: (_, ticks) => ticks.map(unit) }],
        scales: { y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.15 : 1] } },
        series: [{ label: '', value: (_, at) => (at == null ? '' : days ? day(at) : absolute(at)) },
          ...series.map((one) => ({
            label: one.label, stroke: colour(one.tone), width: 1.6, points: { show: false }, spanGaps: true,
            fill: one.fill && `color-mix(in srgb, ${colour(one.tone)} 14%, transparent)`,
            value: (_, value) => (value == null ? '–' : (one.show ?? unit)(value)),
          }))],
      };
      chart = new Plot(options, [times, ...series.map((one) => one.values)], box.current);
      fit.observe(box.current);
    });
    return () => { gone = true; fit.disconnect(); chart?.destroy(); };
  }, [times, series, isDark, language, height]);
  return html`<div class="chart" ref=${box} role="img" aria-label=${label}></div>`;
}
