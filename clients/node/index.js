// client.videos as openai-node has it, for Filmgate gateways. Needs fetch and nothing else; index.d.ts has the types.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8_000;
/** In milliseconds. A gateway that asks for a longer silence gets no repetition. */
const LONGEST_ASKED_PAUSE = 60_000;
const POLL_PAUSE = 1_000;
const NOT_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

export class APIError extends Error {
  constructor(status, body, message, headers) {
    const fields = body && typeof body === 'object' ? body : {};
    super(message ?? fields.message ?? `HTTP ${status}`);
    this.name = new.target.name;
    this.status = status;
    this.error = body;
    this.headers = headers;
    this.code = fields.code ?? null;
    this.param = fields.param ?? null;
    this.type = fields.type;
    this.requestID = headers?.get('x-request-id') ?? null;
  }
}
export class APIConnectionError extends APIError {
  constructor({ message, cause } = {}) {
    super(undefined, undefined, message ?? 'The gateway does not answer.');
    this.cause = cause;
  }
}
export class APIConnectionTimeoutError extends APIConnectionError {}
export class APIUserAbortError extends APIError {
  constructor() {
    super(undefined, undefined, 'The call was aborted.');
  }
}
export class BadRequestError extends APIError {}
export class AuthenticationError extends APIError {}
export class PermissionDeniedError extends APIError {}
export class NotFoundError extends APIError {}
export class ConflictError extends APIError {}
export class UnprocessableEntityError extends APIError {}
export class RateLimitError extends APIError {}
export class InternalServerError extends APIError {}

const ERRORS = {
  400: BadRequestError,
  401: AuthenticationError,
  403: PermissionDeniedError,
  404: NotFoundError,
  409: ConflictError,
  422: UnprocessableEntityError,
  429: RateLimitError,
};

async function statusError(response) {
  const text = await response.text().catch(() => '');
  let body = text;
  try {
    const answer = JSON.parse(text);
    body = answer?.error ?? answer;
  } catch {
    // A page of a proxy: its text is the message.
  }
  const message = typeof body === 'string' && body ? body.slice(0, 2000) : undefined;
  const kind = ERRORS[response.status] ?? (response.status >= 500 ? InternalServerError : APIError);
  return new kind(response.status, body, message, response.headers);
}

/** A file of bytes, a Blob, a Response, or a stream. */
export async function toFile(value, name = 'upload', { type = '' } = {}) {
  return new File([await readContent(value)], name, { type });
}

async function readContent(value) {
  if (value instanceof Blob || value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return value;
  if (typeof Response !== 'undefined' && value instanceof Response) return value.blob();
  const parts = [];
  for await (const part of value) parts.push(part);
  return new Blob(parts);
}

async function asFile(value) {
  if (value instanceof Blob) return value;
  const named = value instanceof ArrayBuffer || ArrayBuffer.isView(value) || value?.[Symbol.asyncIterator];
  const isResponse = typeof Response !== 'undefined' && value instanceof Response;
  if (!named && !isResponse) return null;
  const path = typeof value.path === 'string' ? value.path : value.url || 'upload';
  return toFile(value, path.split(/[\\/]/).pop() || 'upload');
}

/** A form where there is a file, else JSON. */
async function encodeBody(fields) {
  const form = new FormData();
  let hasFile = false;
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === null) continue;
    const items = Array.isArray(value) ? value : [value];
    const files = (await Promise.all(items.map(asFile))).filter(Boolean);
    for (const file of files) form.append(name, file, file.name ?? 'upload');
    if (!files.length) form.append(name, typeof value === 'string' ? value : JSON.stringify(value));
    hasFile ||= files.length > 0;
  }
  return hasFile ? { body: form } : { body: JSON.stringify(fields), type: 'application/json' };
}

function mayRepeat(response, repeatable) {
  const said = response.headers.get('x-should-retry');
  if (said === 'true' || said === 'false') return said === 'true';
  const { status } = response;
  return status === 429 || (repeatable && (status === 408 || status >= 500));
}

/** Milliseconds from the first of these headers that holds a number. */
function readPause(headers, units, fallback) {
  for (const [name, unit] of Object.entries(units)) {
    const text = headers.get(name) ?? '';
    if (/^\d{1,9}$/.test(text)) return Number(text) * unit;
  }
  return fallback;
}

function pathOf(id, { folder = '', rest = '' } = {}) {
  if (!id) throw new Error('the id must not be empty');
  return `/videos${folder}/${encodeURIComponent(id)}${rest}`;
}

function environment(name) {
  return globalThis.process?.env?.[name] || undefined;
}

export class Filmgate {
  /** Without arguments: FILMGATE_BASE_URL and FILMGATE_API_KEY, or OPENAI_BASE_URL and OPENAI_API_KEY. */
  constructor({ baseURL, apiKey, maxRetries = 2, timeout = 600_000, defaultHeaders = {}, fetch } = {}) {
    const address = baseURL ?? environment('FILMGATE_BASE_URL') ?? environment('OPENAI_BASE_URL');
    this.apiKey = apiKey ?? environment('FILMGATE_API_KEY') ?? environment('OPENAI_API_KEY');
    if (!this.apiKey) throw new Error('apiKey is missing: give it, or set FILMGATE_API_KEY or OPENAI_API_KEY');
    this.baseURL = (address ?? 'http://127.0.0.1:8000/v1').replace(/\/+$/, '');
    this.maxRetries = maxRetries;
    this.timeout = timeout;
    this.defaultHeaders = defaultHeaders;
    this.fetch = fetch ?? ((...given) => globalThis.fetch(...given));
    this.videos = new Videos(this);
  }

  /** The answer, whose body is not read yet. `once`: the gateway reads the idempotency key, so a repetition is safe. */
  async send(method, path, options = {}, { body, once = true, read = (response) => response } = {}) {
    const request = await this.#prepare(method, path, options, body);
    const repeatable = method !== 'POST' || once;
    const retries = options.maxRetries ?? this.maxRetries;
    for (let tried = 0; ; tried += 1) {
      let pause = Math.min(FIRST_PAUSE * 2 ** tried, LONGEST_PAUSE) * (0.75 + Math.random() / 4);
      try {
        const response = await this.fetch(request.url, { ...request.init, signal: this.#signal(options) });
        if (response.ok) return await read(response);
        pause = readPause(response.headers, { 'retry-after-ms': 1, 'retry-after': 1000 }, pause);
        const isFinal = tried >= retries || pause > LONGEST_ASKED_PAUSE || !mayRepeat(response, repeatable);
        if (isFinal) throw await statusError(response);
        await response.body?.cancel();
      } catch (error) {
        if (error instanceof APIError) throw error;
        if (options.signal?.aborted) throw new APIUserAbortError();
        const unsent = NOT_SENT.has(error.cause?.code);
        if (tried >= retries || !(repeatable || unsent)) throw connectionError(error);
      }
      await wait(pause, options.signal);
    }
  }

  async #prepare(method, path, options, fields) {
    const url = new URL(this.baseURL + path);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined && value !== null) url.searchParams.set(name, String(value));
    }
    const headers = new Headers({ authorization: `Bearer ${this.apiKey}`, ...this.defaultHeaders });
    if (method !== 'POST') return { url, init: { method, headers: merged(headers, options.headers) } };
    // A repetition after a lost answer gets the video that the first one bought.
    headers.set('idempotency-key', options.idempotencyKey ?? crypto.randomUUID());
    const { body, type } = await encodeBody({ ...fields });
    if (type) headers.set('content-type', type);
    return { url, init: { method, headers: merged(headers, options.headers), body } };
  }

  #signal(options) {
    const limits = [AbortSignal.timeout(options.timeout ?? this.timeout)];
    return AbortSignal.any(options.signal ? [...limits, options.signal] : limits);
  }
}

function merged(headers, given = {}) {
  for (const [name, value] of Object.entries(given)) headers.set(name, value);
  return headers;
}

function connectionError(cause) {
  const message = `The gateway does not answer: ${cause.cause?.code ?? cause.message}`;
  const kind = cause.name === 'TimeoutError' ? APIConnectionTimeoutError : APIConnectionError;
  return new kind({ message, cause });
}

function wait(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(new APIUserAbortError());
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, milliseconds);
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}

async function readJson(response) {
  const answer = await response.json();
  Object.defineProperty(answer, '_request_id', { value: response.headers.get('x-request-id') });
  return answer;
}

class Videos {
  #client;

  constructor(client) {
    this.#client = client;
  }

  #get(path, options) {
    return this.#client.send('GET', path, options, { read: readJson });
  }

  #post(path, body, options, once = true) {
    return this.#client.send('POST', path, options, { body, once, read: readJson });
  }

  /** What `create` would make and cost as things stand now. Nothing is made or reserved. */
  quote(body, options) {
    return this.#post('/videos/quote', body, options);
  }

  create(body, options) {
    return this.#post('/videos', body, options);
  }

  async createAndPoll(body, options) {
    const video = await this.create(body, options);
    return this.poll(video.id, options);
  }

  /** Waits for the end, at the pace that the gateway names. The video may have failed: see `status` and `error`. */
  async poll(id, options = {}) {
    const headers = { 'x-stainless-poll-helper': 'true', ...options.headers };
    const read = async (response) => [await readJson(response), response.headers];
    for (;;) {
      const [video, named] = await this.#client.send('GET', pathOf(id), { ...options, headers }, { read });
      if (video.status !== 'queued' && video.status !== 'in_progress') return video;
      const pause = readPause(named, { 'openai-poll-after-ms': 1 }, POLL_PAUSE);
      await wait(options.pollIntervalMs ?? (pause || POLL_PAUSE), options.signal);
    }
  }

  retrieve(id, options) {
    return this.#get(pathOf(id), options);
  }

  /** `await` it for one page, or `for await` over the videos of all. */
  list(query = {}, options = {}) {
    const load = async (after) => {
      const asked = { ...query, ...(after && { after }), ...options.query };
      const page = await this.#get('/videos', { ...options, query: asked });
      const following = page.has_more && page.data.length ? page.data.at(-1).id : undefined;
      return Object.defineProperties(page, {
        hasNextPage: { value: () => following !== undefined },
        getNextPage: { value: () => load(following) },
        [Symbol.asyncIterator]: { value: () => videosOf(page) },
      });
    };
    const first = load();
    first.catch(() => {}); // whoever awaits it is told
    return {
      then: (...callbacks) => first.then(...callbacks),
      catch: (callback) => first.catch(callback),
      finally: (callback) => first.finally(callback),
      async *[Symbol.asyncIterator]() {
        yield* videosOf(await first);
      },
    };
  }

  /** Removes a video; one that is being made is cancelled. */
  delete(id, options) {
    return this.#client.send('DELETE', pathOf(id), options, { read: readJson });
  }

  remix(id, body, options) {
    return this.#post(pathOf(id, { rest: '/remix' }), body, options);
  }

  edit(body, options) {
    return this.#post('/videos/edits', body, options);
  }

  extend(body, options) {
    return this.#post('/videos/extensions', body, options);
  }

  createCharacter(body, options) {
    return this.#post('/videos/characters', body, options, false);
  }

  getCharacter(id, options) {
    return this.#get(pathOf(id, { folder: '/characters' }), options);
  }

  /** A `Response`: its `body` is a stream, `arrayBuffer()` and `blob()` read it whole. */
  downloadContent(id, { variant } = {}, options = {}) {
    const query = { variant, ...options.query };
    return this.#client.send('GET', pathOf(id, { rest: '/content' }), { ...options, query });
  }

  /** A `Response` with the signed receipt of a video that has ended: keep its bytes, or read it with `json()`. */
  receipt(id, options = {}) {
    return this.#client.send('GET', pathOf(id, { rest: '/receipt' }), options);
  }
}

async function* videosOf(page) {
  for (let next = page; ; next = await next.getNextPage()) {
    yield* next.data;
    if (!next.hasNextPage()) return;
  }
}

export default Filmgate;
