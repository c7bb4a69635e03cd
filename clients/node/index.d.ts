// client.videos as openai-node has it, for Filmgate gateways.

export type Uploadable = Blob | ArrayBuffer | ArrayBufferView | Response | AsyncIterable<Uint8Array>;
/** A file, an address, a data URI or base64; `{ image_url }`, or `{ id }` of a finished video. */
export type Reference = Uploadable | string | { image_url: string } | { id: string };

export interface ClientOptions {
  baseURL?: string;
  apiKey?: string;
  maxRetries?: number;
  /** Milliseconds; 600000 by default. */
  timeout?: number;
  defaultHeaders?: Record<string, string>;
  fetch?: typeof globalThis.fetch;
}

export interface RequestOptions {
  headers?: Record<string, string>;
  query?: Record<string, unknown>;
  timeout?: number;
  maxRetries?: number;
  signal?: AbortSignal;
  idempotencyKey?: string;
}

export interface PollOptions extends RequestOptions {
  pollIntervalMs?: number;
}

export interface Video {
  id: string;
  object: 'video';
  model: string;
  status: 'queued' | 'in_progress' | 'completed' | 'failed';
  progress: number;
  created_at: number;
  completed_at: number | null;
  expires_at: number | null;
  prompt: string | null;
  seconds: string;
  size: string;
  remixed_from_video_id: string | null;
  error: { code: string; message: string } | null;
  /** A signed link to the finished file, which needs no key. */
  url?: string | null;
  /** What was asked and what is made, where the gateway fitted a length or a size. */
  fitted?: Record<string, unknown>;
  /** The prompt that is sent in place of yours, where the gateway's operator has it rewritten. */
  revised_prompt?: string;
  /** Which vendor's attempt it is, where the gateway went on elsewhere after one had failed. */
  attempt?: number;
  readonly _request_id?: string | null;
}

export interface VideoCreateParams {
  prompt: string;
  model?: string;
  seconds?: string | number;
  /** The most that it may cost, in US dollars. */
  max_cost?: string | number;
  size?: string;
  input_reference?: Reference | Reference[];
  [field: string]: unknown;
}

export interface VideoEditParams {
  prompt: string;
  video: Reference;
  [field: string]: unknown;
}

export interface VideoExtendParams extends VideoEditParams {
  seconds: string | number;
}

export interface VideoListParams {
  after?: string;
  limit?: number;
  order?: 'asc' | 'desc';
}

export interface Character {
  id: string;
  name: string;
  created_at: number;
}

/** Money in US dollars, as text. */
export interface VideoQuote {
  object: 'video.quote';
  model: string;
  upstream: string;
  /** Null where it is known only afterwards. */
  price: string | null;
  reserved: string;
  currency: 'USD';
  /** How long such videos take there; null where too few are known. */
  expected_seconds: number | null;
  seconds: string;
  size: string;
  fitted?: { [field: string]: unknown };
}

export interface VideoDeleted {
  id: string;
  object: 'video.deleted';
  deleted: boolean;
}

export interface VideoPage extends AsyncIterable<Video> {
  data: Video[];
  has_more: boolean;
  hasNextPage(): boolean;
  getNextPage(): Promise<VideoPage>;
}

export interface VideoPagePromise extends Promise<VideoPage>, AsyncIterable<Video> {}

export interface Videos {
  quote(body: VideoCreateParams, options?: RequestOptions): Promise<VideoQuote>;
  create(body: VideoCreateParams, options?: RequestOptions): Promise<Video>;
  createAndPoll(body: VideoCreateParams, options?: PollOptions): Promise<Video>;
  poll(id: string, options?: PollOptions): Promise<Video>;
  retrieve(id: string, options?: RequestOptions): Promise<Video>;
  list(query?: VideoListParams, options?: RequestOptions): VideoPagePromise;
  delete(id: string, options?: RequestOptions): Promise<VideoDeleted>;
  remix(id: string, body: { prompt: string; [field: string]: unknown }, options?: RequestOptions): Promise<Video>;
  edit(body: VideoEditParams, options?: RequestOptions): Promise<Video>;
  extend(body: VideoExtendParams, options?: RequestOptions): Promise<Video>;
  createCharacter(body: { name: string; video: Reference }, options?: RequestOptions): Promise<Character>;
  getCharacter(id: string, options?: RequestOptions): Promise<Character>;
  downloadContent(
    id: string,
    query?: { variant?: 'video' | 'thumbnail' | 'spritesheet' | 'storyboard' | 'compatible' | 'hls' },
    options?: RequestOptions,
  ): Promise<Response>;
  receipt(id: string, options?: RequestOptions): Promise<Response>;
}

export class Filmgate {
  constructor(options?: ClientOptions);
  readonly baseURL: string;
  readonly videos: Videos;
}
export default Filmgate;

export function toFile(value: Uploadable, name?: string, options?: { type?: string }): Promise<File>;

export class APIError extends Error {
  readonly status: number | undefined;
  readonly error: unknown;
  readonly headers: Headers | undefined;
  readonly code: string | null;
  readonly param: string | null;
  readonly type: string | undefined;
  readonly requestID: string | null;
}
export class APIConnectionError extends APIError {}
export class APIConnectionTimeoutError extends APIConnectionError {}
export class APIUserAbortError extends APIError {}
export class BadRequestError extends APIError {}
export class AuthenticationError extends APIError {}
export class PermissionDeniedError extends APIError {}
export class NotFoundError extends APIError {}
export class ConflictError extends APIError {}
export class UnprocessableEntityError extends APIError {}
export class RateLimitError extends APIError {}
export class InternalServerError extends APIError {}
