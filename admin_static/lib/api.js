// Client of the admin API: JSON requests, downloads, the session, and ApiError.
import { signal } from './dom.js';
import { currency } from './format.js';

const BASE = new URL('api/', document.baseURI.replace(/#.*/, '')).pathname;
const ROOT = new URL('../', document.baseURI.replace(/#.*/, ''));

/** A link of the server, like `/files/…`, where the gateway lies below a path of its host. */
export const gatewayLink = (link) => (link?.startsWith('/') ? ROOT.pathname + link.slice(1) : link);
/** The address of the client API: that which the operator has set, else the one of this page. */
export const clientApi = () => new URL('v1', `${(session.value?.public_url ?? ROOT.href).replace(/\/*$/, '')}/`).href;

/** The session: { state: signed_in | signed_out | setup, csrf, admin, version }; null until it is loaded. */
export const session = signal(null);
/** The session has ended while a page was open: the page stays, and one signs in again above it. */
export const sessionEnded = signal(false);
/** Whether the signed-in admin has a right: money, operate, security (see app/admin/rights.py). */
export const may = (right) => Boolean(session.value?.admin?.rights.includes(right));
export const canWrite = () => may('operate');

export class ApiError extends Error {
  constructor(message, { status, code, param, reason } = {}) {
    super(message);
    Object.assign(this, { status, code, param, reason });
  }
}

/** The URL of a path of the API, for links, pictures and streams. */
export function apiUrl(path, query = {}) {
  const filled = Object.entries(query).filter(([, value]) => value !== '' && value != null);
  const text = new URLSearchParams(filled).toString();
  return `${BASE}${path}${text ? `?${text}` : ''}`;
}

/** What is said of an answer that is not the gateway's own, as of a proxy in front of it. */
export const foreignAnswer = async (status) => (await import('./i18n.js')).t('foreign_answer', { status });

async function responseError(response) {
  const body = await response.json().catch(() => ({}));
  const error = body.error ?? {};
  const failure = new ApiError(error.message ?? (await foreignAnswer(response.status)), {
    status: response.status,
    code: error.code,
    param: error.param,
    reason: error.reason,
  });
  if (response.status === 401 && session.value?.state === 'signed_in') await loadSession();
  return failure;
}

/** Send one request. `body`: an object for JSON, FormData, a Blob, or text with `type`. Throws ApiError. */
export async function request(method, path, { query, body, type, signal: stop, raw } = {}) {
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
    response = await fetch(apiUrl(path, query), {
      method,
      headers,
      body: content,
      signal: stop,
      credentials: 'same-origin',
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError((await import('./i18n.js')).t('offline'), { code: 'offline' });
  }
  if (!response.ok) throw await responseError(response);
  if (raw) return response;
  return response.status === 204 ? null : response.json();
}

export const get = (path, query, options) => request('GET', path, { query, ...options });
export const post = (path, body = {}, options) => request('POST', path, { body, ...options });
export const patch = (path, body) => request('PATCH', path, { body });
export const put = (path, body) => request('PUT', path, { body });
export const remove = (path, body) => request('DELETE', path, { body });

/** The objects of an answer that holds one JSON document a line, each as soon as it arrives. */
export async function* postLines(path, body, options) {
  const response = await request('POST', path, { body, raw: true, ...options });
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const lines = (rest + decoder.decode(part.value, { stream: true })).split('\n');
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

/** What the server says. `leave`: show the page for signing in, as after signing out. */
export async function loadSession({ leave = false } = {}) {
  const found = await get('session');
  const ended = session.value?.state === 'signed_in' && found.state !== 'signed_in' && !leave;
  sessionEnded.value = ended;
  if (!ended) session.value = found;
  if (found.currency) currency.value = found.currency;
  return found;
}

/** Save the response of a GET as a file. */
export async function downloadFile(path, query, name) {
  const response = await request('GET', path, { query, raw: true });
  await saveFile(await response.blob(), name);
}

export async function saveFile(blob, name) {
  const anchor = document.createElement('a');
  anchor.href = URL.createObjectURL(blob);
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 10000);
}
