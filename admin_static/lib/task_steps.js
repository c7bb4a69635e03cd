// A task's timeline in words: what each event means, and the detail worth showing beside it.
import { t, word } from './i18n.js';

const TONES = { completed: 'good', failed: 'bad', cancelled: 'warn', running: 'live', storing: 'live', requeued: 'warn' };

const told = (value) => (typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value));

/** Account names by id: who was dispatched to says its name with the step that follows. */
export const accountsOf = (timeline) => Object.fromEntries(timeline
  .map((event, n) => [event, timeline.slice(n + 1).find((later) => later.event === 'submitting')])
  .filter(([event, sent]) => event.event === 'dispatched' && sent?.detail.account)
  .map(([event, sent]) => [event.detail.account, sent.detail.account]));

/** { tone, text, detail } of one event; `accounts` are names by id. */
export function step(event, accounts) {
  const { account, code, message, dialect, ...rest } = event.detail ?? {};
  const parts = [];
  if (account) parts.push(accounts[account] ?? account);
  if (dialect) parts.push(word('dialect', dialect));
  if (code) parts.push(word('error', code));
  if (message) parts.push(message);
  for (const [name, value] of Object.entries(rest)) {
    if (value !== null && value !== '') parts.push(`${word('detail', name)}: ${told(value)}`);
  }
  const tone = TONES[event.event] ?? (event.detail?.ok === false ? 'warn' : '');
  return { tone, text: word('event', event.event), detail: parts.join(' · ') };
}

/** The call that makes the same task again, for a shell. */
export function curlOf(request) {
  const body = { model: request.model, prompt: request.prompt };
  if (request.seconds) body.seconds = String(request.seconds);
  if (request.size) body.size = request.size;
  const quoted = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  return `curl ${location.origin}/v1/videos \\\n  -H "Authorization: Bearer $FILMGATE_API_KEY" \\\n  -H "Content-Type: application/json" \\\n  -d '${quoted}'`;
}

export const waitingWords = (task) => (task.position ? t('task.position', { n: task.position }) : word('state', task.state));
