// The admin API: JSON in, JSON out, and errors that say what the server said.
import { signal } from './dom.js';

const BASE = new URL('api/', document.baseURI.replace(/#.*/, '')).pathname;

/** Who is signed in: { state: signed_in | signed_out | setup, csrf, admin, version }; null while we ask. */
export const session = signal(null);
export const mayWrite = () => session.value?.admin?.role === 'owner';

export class ApiError extends Error {
  constructor(message, { status, code, param } = {}) {
    super(message);
    Object.assign(this, { status, code, param });
  }
}

/** The address of something under the API, for links, pictures and streams. */
export function address(path, query = {}) {
  const filled = Object.entries(query).filter(([, value]) => value !== '' && value != null);
  const text = new URLSearchParams(filled).toString();
  return `${BASE}${path}${text ? `?${text}` : ''}`;
}

async function failure(response) {
  const body = await response.json().catch(() => ({}));
  const error = body.error ?? {};
  const found = new ApiError(error.message ?? `${response.status} ${response.statusText}`,
    { status: response.status, code: error.code, param: error.param });
  if (response.status === 401 && session.value?.state === 'signed_in') await whoami();
  return found;
}

/** One request. `body`: an object for JSON, a FormData, or text with `type`. Raises ApiError. */
export async function call(method, path, { query, body, type, signal: stop, raw } = {}) {
  const headers = {};
  if (method !== 'GET' && session.value?.csrf) headers['x-csrf-token'] = session.value.csrf;
  let content = body;
  if (type) headers['content-type'] = type;
  else if (body && !(body instanceof FormData) && !(body instanceof Blob)) {
    headers['content-type'] = 'application/json';
    content = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(address(path, query), { method, headers, body: content, signal: stop, credentials: 'same-origin' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError((await import('./i18n.js')).t('offline'), { code: 'offline' });
  }
  if (!response.ok) throw await failure(response);
  if (raw) return response;
  return response.status === 204 ? null : response.json();
}

export const get = (path, query, options) => call('GET', path, { query, ...options });
export const post = (path, body = {}, options) => call('POST', path, { body, ...options });
export const patch = (path, body) => call('PATCH', path, { body });
export const put = (path, body) => call('PUT', path, { body });
export const remove = (path, body) => call('DELETE', path, { body });

export async function whoami() {
  session.value = await get('session');
  return session.value;
}

/** Save what an address answers as a file, without leaving the page. */
export async function download(path, query, name) {
  const response = await call('GET', path, { query, raw: true });
  await save(await response.blob(), name);
}

export async function save(blob, name) {
  const anchor = document.createElement('a');
  anchor.href = URL.createObjectURL(blob);
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 10000);
}
