// The address: `#/tasks/<id>?state=failed`. Filters are part of it, so that a copied link shows the same rows.
import { signal } from './dom.js';
import { hasUnsaved } from './unsaved.js';

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

// ---- leaving: the browser has moved already when it says so, hence each entry of its history knows its place ----

let place = history.state?.place ?? 0;
let returning = false;
let askFirst = async () => true;
history.replaceState({ place }, '');

/** `ask` resolves to whether what was typed may be lost. */
export const askBeforeLeaving = (ask) => {
  askFirst = ask;
};
export const mayLeave = async () => !hasUnsaved() || askFirst();

async function holdPage(steps) {
  returning = true;
  history.go(-steps);
  if (!(await askFirst())) return;
  place += steps;
  history.go(steps);
}

addEventListener('hashchange', () => {
  const next = history.state?.place ?? place + 1;
  if (history.state?.place === undefined) history.replaceState({ place: next }, '');
  if (returning) {
    returning = false;
    return;
  }
  if (next !== place && hasUnsaved()) {
    holdPage(next - place);
    return;
  }
  place = next;
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
  if (!replace) place += 1;
  history[replace ? 'replaceState' : 'pushState']({ place }, '', address);
  route.value = readLocation();
}

/** Open or close the drawer of one row, keeping the filters. */
export function openRow(id) {
  const { page, query } = route.value;
  location.hash = pageLink(id ? `${page}/${encodeURIComponent(id)}` : page, query);
}
