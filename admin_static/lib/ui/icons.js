// Icons as SVG paths on a 16 × 16 grid.
import { html } from '../dom.js';

const PATHS = {
  overview: 'M2 13V8m4 5V3m4 10V6m4 7v-3',
  accounts: 'M3 4h10v3H3zm0 5h10v3H3zM5 5.5h.01M5 10.5h.01',
  models: 'M3 4h4m2 0h4M7 4l2 0M3 8h10M3 12h6M12 10v4m-2-2h4',
  keys: 'M9.5 9.5a3.2 3.2 0 1 0-3-3L2.5 10.5v3h3v-2h2v-2z',
  tasks: 'M2.5 3.5h11v9h-11zM5 3.5v9M11 3.5v9M2.5 6.5H5m6 0h2.5M2.5 9.5H5m6 0h2.5',
  films: 'M2.5 3h5v4h-5zM8.5 3h5v4h-5zM2.5 9h5v4h-5zM8.5 9h5v4h-5z',
  playground: 'M4.5 3v10l8-5z',
  characters: 'M8 8a2.7 2.7 0 1 0 0-5.4A2.7 2.7 0 0 0 8 8zM3 13.6c.5-2.3 2.5-3.6 5-3.6s4.5 1.3 5 3.6',
  webhooks: 'M2.5 8h6m-2-3 3 3-3 3M10 3h3.5v10H10',
  logs: 'M4 2.5h8v11H4zM6 5.5h4M6 8h4M6 10.5h2.5',
  settings: 'M2.5 5h6m4 0h1M10.5 3.5v3M2.5 11h1m4 0h6M5.5 9.5v3',
  search: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zm3.3-1.2 3.2 3.2',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  close: 'm4 4 8 8m0-8-8 8',
  copy: 'M5.5 5.5h7v8h-7zM3.5 10.5v-8h7',
  check: 'm3 8.5 3.3 3.3L13 5',
  plus: 'M8 3v10M3 8h10',
  menu: 'M2.5 4.5h11M2.5 8h11M2.5 11.5h11',
  sun:
    'M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6zM8 1.5v1.3m0 10.4v1.3M1.5 8h1.3m10.4 0h1.3' +
    'M3.4 3.4l.9.9m7.4 7.4.9.9m0-9.2-.9.9m-7.4 7.4-.9.9',
  moon: 'M13.5 9.5A5.7 5.7 0 0 1 6.5 2.5a5.7 5.7 0 1 0 7 7z',
  half: 'M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11M8 2.5v11M10 4v8m2-6.5v5',
  out: 'M9.5 3H3v10h6.5M7 8h7m-2.5-2.5L14 8l-2.5 2.5',
  down: 'M8 2.5v8m-3-3 3 3 3-3M3 13.5h10',
  refresh: 'M13 8a5 5 0 1 1-1.5-3.5M13 2.5v3h-3',
  left: 'm10 3-5 5 5 5',
  right: 'm6 3 5 5-5 5',
};

export const Icon = ({ name }) =>
  html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
    <path d=${PATHS[name]} />
  </svg>`;

export const BrandMark = () =>
  html`<svg viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="7" fill="#12343b" />
    <path fill="#f4efe6" d="M6 6h3v4H6zM6 14h3v4H6zM6 22h3v4H6zM23 6h3v4h-3zM23 14h3v4h-3zM23 22h3v4h-3z" />
    <path fill="#f2a65a" d="M12 8h8v16h-8z" />
  </svg>`;
