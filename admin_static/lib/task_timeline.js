// The timeline of a task as text: what each event means, and its details.
import { html } from './dom.js';
import { listText, t, valueLabel } from './i18n.js';
import { Said } from './server_words.js';
import { formatDuration } from './format.js';
import { waitText } from './readiness.js';
import { SNIPPETS } from './snippets.js';

const CLIENT_FIELDS = [
  'seconds',
  'size',
  'aspect_ratio',
  'resolution',
  'style',
  'seed',
  'negative_prompt',
  'sound',
  'watermark',
  'private',
];
const TONES = {
  'completed': 'good',
  'failed': 'bad',
  'cancelled': 'warn',
  'running': 'live',
  'storing': 'live',
  'requeued': 'warn',
  'attempt.ended': 'warn',
  'retry.refused': 'warn',
};

// Details whose values are words of the server, and those that are its sentences.
const VALUE_GROUPS = { by: 'by', money: 'money', layers: 'field', stage: 'stage' };
const SENTENCES = new Set(['because', 'error']);

/** The value of a detail in words: lists with commas, of a document what each of its fields holds. */
function valueText(name, value) {
  if (SENTENCES.has(name)) return html`<${Said} text=${String(value)} />`;
  if (typeof value === 'boolean') return t(value ? 'yes' : 'no');
  if (Array.isArray(value))
    return value.map((each) => valueText(name, each)).flatMap((part, n) => (n ? [t('comma'), part] : [part]));
  if (typeof value !== 'object') return VALUE_GROUPS[name] ? valueLabel(VALUE_GROUPS[name], value) : String(value);
  return listText(Object.entries(value).map(([field, each]) => `${valueLabel('detail', field)} ${each ?? '–'}`));
}

/** Account names by id: `dispatched` carries the id, the `submitting` that follows it the name. */
export const accountNames = (timeline) =>
  Object.fromEntries(
    timeline
      .map((event, n) => [event, timeline.slice(n + 1).find((later) => later.event === 'submitting')])
      .filter(([event, sent]) => event.event === 'dispatched' && sent?.detail.account)
      .map(([event, sent]) => [event.detail.account, sent.detail.account]),
  );

/** One event as { tone, text, detail }; `accounts` are names by id. */
export function describeEvent(event, accounts) {
  const { account, code, message, dialect, ...details } = event.detail ?? {};
  const parts = [];
  if (account) parts.push(accounts[account] ?? account);
  if (dialect) parts.push(valueLabel('dialect', dialect));
  if (code) parts.push(valueLabel('error', code));
  if (message) parts.push(html`<${Said} text=${message} />`);
  for (const [name, value] of Object.entries(details)) {
    if (value !== null && value !== '' && value?.length !== 0)
      parts.push(html`${valueLabel('detail', name)}: ${valueText(name, value)}`);
  }
  const tone = TONES[event.event] ?? (event.detail?.ok === false ? 'warn' : '');
  const joined = parts.flatMap((part, n) => (n ? [' · ', part] : [part]));
  return { tone, text: valueLabel('event', event.event), detail: joined };
}

/** A stored request as a client sends it. Its inputs are files that lie beside the command. */
function sentRequest(request) {
  const sent = { kind: request.kind, model: request.model, prompt: request.prompt ?? '', extra: request.extra };
  for (const name of CLIENT_FIELDS) if (request[name] != null) sent[name] = request[name];
  sent.shots = request.shots;
  sent.remix_of = request.remix_of;
  const media = request.media ?? [];
  sent.characters = media.filter((item) => item.role === 'subject').map((item) => item.sha256);
  sent.files = {};
  const files = media.filter((item) => item.role !== 'subject' && !(request.remix_of && item.role === 'source_video'));
  for (const [n, item] of files.entries())
    (sent.files[item.role] ??= []).push(`${item.role}-${n + 1}.${item.content_type.split('/')[1]}`);
  return sent;
}

export const curlCommand = (request) => SNIPPETS.curl(sentRequest(request));

export const waitingText = (task) => (task.position ? queueWords(task) : valueLabel('state', task.state));

/** The place in the queue, and why no account takes the task yet. */
function queueWords(task) {
  const words = [t('task.position', { n: task.position })];
  words.push(waitText(task));
  if (task.estimated_wait_seconds !== null)
    words.push(t('task.wait_seconds', { time: formatDuration(task.estimated_wait_seconds) }));
  return words.join(' · ');
}
