// The address: `#/tasks/<id>?state=failed`. Filters are part of it, so that a copied link shows the same rows.
import { signal } from './dom.js';

function readLocation() {
  const setup = location.hash.match(/^#setup=(.+)$/); // the setup link, valid once
  if (setup) return { page: 'setup', id: '', query: { token: setup[1] } };
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [page = '', ...idParts] = path.split('/').map(decodeURIComponent);
  return {
    page: page || 'overview',
    id: idParts.join('/'),
    query: Object.fromEntries(new URLSearchParams(query)),
  };
}

export const route = signal(readLocation());
addEventListener('hashchange', () => {
  route.value = readLocation();
});

/** The href of a page. Empty filters are left out. */
export function pageLink(path, query = {}) {
  const filled = Object.entries(query).filter(([, value]) => value !== '' && value != null && value !== false);
  const text = new URLSearchParams(filled).toString();
  return `#/${path}${text ? `?${text}` : ''}`;
}

export const goTo = (path, query) => {
  location.hash = pageLink(path, query);
};

/** Change some filters of this page. Back undoes it; with `replace`, as while one types, it joins the last step. */
export function setFilters(change, { replace = false } = {}) {
  const { page, id, query } = route.value;
  const address = pageLink(id ? `${page}/${encodeURIComponent(id)}` : page, { ...query, ...change });
  if (address === location.hash) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', address);
  route.value = readLocation();
}

/** Open or close the drawer of one row, keeping the filters. */
export function openRow(id) {
  const { page, query } = route.value;
  location.hash = pageLink(id ? `${page}/${encodeURIComponent(id)}` : page, query);
}
