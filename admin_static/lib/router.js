// Where we are: `#/tasks/<id>?state=failed`. Filters live in the query, so a link shows what its sender saw.
import { signal } from './dom.js';

function read() {
  const setup = location.hash.match(/^#setup=(.+)$/); // the one-time link of the first start
  if (setup) return { page: 'setup', id: '', query: { token: setup[1] } };
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [page = '', ...rest] = path.split('/').map(decodeURIComponent);
  return { page: page || 'overview', id: rest.join('/'), query: Object.fromEntries(new URLSearchParams(query)) };
}

export const route = signal(read());
addEventListener('hashchange', () => { route.value = read(); });

/** The address of a page, for links. Empty filters are left out. */
export function link(path, query = {}) {
  const filled = Object.entries(query).filter(([, value]) => value !== '' && value != null && value !== false);
  const text = new URLSearchParams(filled).toString();
  return `#/${path}${text ? `?${text}` : ''}`;
}

export const go = (path, query) => { location.hash = link(path, query); };

/** Change some filters of this page without a new step in the history. */
export function filter(change) {
  const { page, id, query } = route.value;
  history.replaceState(null, '', link(id ? `${page}/${id}` : page, { ...query, ...change }));
  route.value = read();
}

/** Open or close the drawer of one row, keeping the filters. */
export function open(id) {
  const { page, query } = route.value;
  location.hash = link(id ? `${page}/${encodeURIComponent(id)}` : page, query);
}
