// Which models can be made now: one state for the front page and for the warning on every page, and its words.
import { signal } from './dom.js';
import { get } from './api.js';
import { listText, t } from './i18n.js';
import { formatMoment } from './format.js';

/** The rows of `/readiness`, those that nobody can make first; null until they are loaded. */
export const readiness = signal(null);
let loading = null;

/** Asks once, however many parts of the page want to know. What was shown stays while the gateway does not answer. */
export function loadReadiness() {
  loading ??= get('readiness')
    .then((loaded) => {
      readiness.value = loaded.data;
    })
    .catch(() => {})
    .finally(() => {
      loading = null;
    });
  return loading;
}

/** The models that people want and nobody can make. */
export const missingModels = () => (readiness.value ?? []).filter((row) => row.asked && row.ready === 0);

/** Like "3 quotas return at 08:00" for each thing that blocks accounts. */
export const blockedParts = (blocked) =>
  Object.entries(blocked).map(([code, { count, until }]) =>
    until ? t(`blocked.${code}.until`, { n: count, at: formatMoment(until) }) : t(`blocked.${code}`, { n: count }),
  );

/** Like "28 of 40 ready", "nobody: 3 quotas return at 08:00". */
export function verdictText(row) {
  const parts = blockedParts(row.blocked);
  if (row.accounts === 0) return t('verdict.no_account');
  if (row.ready === 0) return listText([t('verdict.nobody'), ...parts]);
  const ready = t('verdict.ready', { n: row.ready, all: row.accounts });
  return listText([row.full === row.ready ? t('verdict.full', { n: row.ready, all: row.accounts }) : ready, ...parts]);
}

/** Why a task waits: what blocks its accounts, or that none has a free slot. */
export function waitText({ wait }) {
  if (!wait) return t('wait.slot');
  const parts = blockedParts(wait);
  return parts.length ? t('wait.because', { reason: listText(parts) }) : t('verdict.no_account');
}
