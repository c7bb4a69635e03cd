// The timeline of a task as text: what each event means, and its details.
import { t, valueLabel } from './i18n.js';
import { waitText } from './readiness.js';

const TONES = {
  completed: 'good',
  failed: 'bad',
  cancelled: 'warn',
  running: 'live',
  storing: 'live',
  requeued: 'warn',
};

const asText = (value) => (typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value));

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
  if (message) parts.push(message);
  for (const [name, value] of Object.entries(details)) {
    if (value !== null && value !== '') parts.push(`${valueLabel('detail', name)}: ${asText(value)}`);
  }
  const tone = TONES[event.event] ?? (event.detail?.ok === false ? 'warn' : '');
  return { tone, text: valueLabel('event', event.event), detail: parts.join(' · ') };
}

/** The curl command that creates the same task. */
export function curlCommand(request) {
  const body = { model: request.model, prompt: request.prompt };
  if (request.seconds) body.seconds = String(request.seconds);
  if (request.size) body.size = request.size;
  const quoted = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  return [
    `curl ${location.origin}/v1/videos`,
    '-H "Authorization: Bearer $FILMGATE_API_KEY"',
    '-H "Content-Type: application/json"',
    `-d '${quoted}'`,
  ].join(' \\\n  ');
}

export const waitingText = (task) => (task.position ? queueWords(task) : valueLabel('state', task.state));

/** The place in the queue, and why no account takes the task yet. */
function queueWords(task) {
  const words = [t('task.position', { n: task.position })];
  words.push(waitText(task));
  if (task.estimated_wait_seconds !== null)
    words.push(t('task.wait_seconds', { n: Math.ceil(task.estimated_wait_seconds) }));
  return words.join(' · ');
}
