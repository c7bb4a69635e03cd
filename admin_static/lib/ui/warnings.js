// Two lines above every page: the gateway does not answer, and a model that people want has nobody.
import { html, useEffect } from '../dom.js';
import { listText, t } from '../i18n.js';
import { route, pageLink } from '../router.js';
import { formatHour } from '../format.js';
import { lostAt, reconnects, useServerEvent, usePolling } from '../event_stream.js';
import { loadReadiness, missingModels, blockedParts } from '../readiness.js';

function OutageLine() {
  const missing = missingModels();
  // The front page says it itself, with what mends it.
  if (missing.length === 0 || route.value.page === 'overview') return null;
  const [first] = missing;
  const waiting = missing.reduce((sum, row) => sum + row.waiting, 0);
  const parts = missing.length === 1 ? blockedParts(first.blocked) : [];
  const why = { tab: 'why', model: first.model, kind: first.kind };
  return html`<div class="warning outage row apart" role="alert" id="outage">
    <span>
      <strong>${t('outage.nobody', { models: listText(missing.map((row) => row.model)) })}</strong>
      ${' '}
      ${listText(parts)}${parts.length > 0 && waiting > 0 && ' · '}
      ${waiting > 0 && t('verdict.waiting', { n: waiting })}
    </span>
    <span class="row tight">
      <a class="button small" href=${pageLink('overview')}>${t('outage.mend')}</a>
      <a class="button small" href=${pageLink('models', why)}>${t('verdict.why')}</a>
    </span>
  </div>`;
}

export function Warnings() {
  useEffect(() => {
    loadReadiness();
  }, [reconnects.value]);
  useServerEvent('accounts', loadReadiness);
  usePolling(loadReadiness, 15, true);
  return html`
    ${
      lostAt.value &&
      html`<p class="warning caution" role="status" id="not-connected">
        ${t('not_connected', { at: formatHour(lostAt.value) })}
      </p>`
    }
    <${OutageLine} />
  `;
}
