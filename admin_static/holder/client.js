// Calls of the client API with the key that its holder typed. The key stays in this tab.
import { signal, useEffect, useState } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { foreignAnswer, saveFile } from '../lib/api.js';

const ROOT = new URL('../', document.baseURI.replace(/#.*/, ''));
const STORED = 'filmgate.key';

/** The key; empty before one is given. */
export const secret = signal(sessionStorage.getItem(STORED) ?? '');

export function setSecret(text) {
  secret.value = text;
  if (text) sessionStorage.setItem(STORED, text);
  else sessionStorage.removeItem(STORED);
}

/** A link of the server, on this origin: the policy of the page allows no other. */
export const localLink = (link) => {
  const { pathname, search } = new URL(link, ROOT);
  const path = pathname.slice(pathname.indexOf('/files/'));
  return ROOT.pathname + path.slice(1) + search;
};

/** The response to a call. Throws an Error with `status` and `code`. */
export async function callApi(path, { query = {}, method = 'GET', body, key = secret.value } = {}) {
  const address = new URL(`v1/${path}`, ROOT);
  for (const [name, value] of Object.entries(query)) if (value) address.searchParams.set(name, value);
  const headers = { authorization: `Bearer ${key}` };
  if (body) headers['content-type'] = 'application/json';
  let response;
  try {
    response = await fetch(address, { method, headers, body: body && JSON.stringify(body), credentials: 'omit' });
  } catch {
    throw new Error(t('offline'));
  }
  if (response.ok) return response;
  const { error = {} } = await response.json().catch(() => ({}));
  const { message = await foreignAnswer(response.status), code, param } = error;
  throw Object.assign(new Error(message), { status: response.status, code, param });
}

export const callJson = async (path, options) => (await callApi(path, options)).json();

export async function saveAnswer(path, query, name) {
  await saveFile(await (await callApi(path, { query })).blob(), name);
}

/** The state of a GET: { data, error, reload }; old data stays until new arrives. */
export function useCall(path, query = {}) {
  const [state, setState] = useState({ data: null, error: null });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let left = false;
    callJson(path, { query }).then(
      (data) => !left && setState({ data, error: null }),
      (error) => !left && setState((old) => ({ ...old, error })),
    );
    return () => {
      left = true;
    };
  }, [path, JSON.stringify(query), turn, secret.value]);
  return { ...state, reload: () => setTurn((old) => old + 1) };
}

/** A picture behind the key as a data URL, as the policy of the page takes pictures from this origin and no blobs. */
export async function pictureUrl(path, query) {
  const blob = await (await callApi(path, { query })).blob();
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
