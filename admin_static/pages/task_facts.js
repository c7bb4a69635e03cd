// Read-only parts of the task drawer: media, facts, timeline, inputs.
import { html } from '../lib/dom.js';
import { gatewayLink } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { wordsFor } from '../lib/server_words.js';
import { pageLink } from '../lib/router.js';
import {
  formatAbsolute,
  formatBytes,
  formatClock,
  formatDuration,
  formatMoney,
  formatNumber,
  formatSeconds,
} from '../lib/format.js';
import { StateBadge, CopyButton, RelativeTime } from '../lib/ui/elements.js';
import { MediaPlayer } from '../lib/ui/media_player.js';
import { accountNames, describeEvent, waitingText } from '../lib/task_timeline.js';
import { hasEnded } from '../lib/live_task.js';

export function TaskMedia({ task, muted }) {
  const file = task.files?.[0];
  const words = task.error
    ? wordsFor(valueLabel('error', task.error.code), task.error.message)
    : task.expired
      ? t('task.expired')
      : task.deleted
        ? t('task.deleted')
        : waitingText(task);
  return html`<${MediaPlayer}
    src=${gatewayLink(file?.link)}
    poster=${gatewayLink(task.thumbnail)}
    kind=${(file?.content_type ?? 'video').split('/')[0]}
    progress=${hasEnded(task) ? null : task.progress}
    words=${words}
    muted=${muted}
  />`;
}

export function TaskFacts({ task }) {
  const file = task.files?.[0];
  const reservation = task.ledger.find((row) => row.kind === 'reserve');
  return html`<dl class="facts">
    <dt>${t('task.state')}</dt>
    <dd>
      <${StateBadge} value=${task.state} />
      ${
        task.error &&
        html`
          ${' '}
          <span class="bad">${valueLabel('error', task.error.code)}</span>
        `
      }
    </dd>
    <dt>${t('task.model')}</dt>
    <dd>
      ${task.model}
      ${
        task.upstream_model &&
        task.upstream_model !== task.model &&
        html`
          ${' '}
          <span class="quiet">→ ${task.upstream_model}</span>
        `
      }
    </dd>
    <dt>${t('task.account')}</dt>
    <dd>${task.account ? html`<a href=${pageLink(`accounts/${task.account.id}`)}>${task.account.name}</a>` : '–'}</dd>
    <dt>${t('task.key')}</dt>
    <dd>
      ${
        task.dialect === 'panel'
          ? task.key.name
          : html`<a href=${pageLink(`keys/${task.key.id}`)}>${task.key.name ?? task.key.id}</a>`
      }${' '}
      <span class="quiet">${valueLabel('dialect', task.dialect)}</span>
    </dd>
    <dt>${t('task.cost')}</dt>
    <dd id="task-cost">
      ${formatMoney(task.cost)}
      ${
        task.cost == null &&
        reservation &&
        html`
          ${' '}
          <span class=${task.money === 'held' ? 'warn' : 'quiet'}>
            ${t(task.money === 'held' ? 'task.held' : 'task.reserved', { amount: formatMoney(reservation.amount) })}
          </span>
        `
      }
    </dd>
    <dt>${t('task.created')}</dt>
    <dd>
      <${RelativeTime} at=${task.created_at} />${' '}
      <span class="quiet">
        ${t('task.took')}: ${formatDuration(task.seconds)}
      </span>
    </dd>
    ${
      file &&
      html`
        <dt>${t('task.file')}</dt>
        <dd>
          ${[
            file.width && `${file.width} × ${file.height}`,
            file.seconds && formatSeconds(file.seconds),
            file.fps && `${formatNumber(file.fps)} fps`,
            file.codec,
            file.sound === false && t('task.silent'),
            formatBytes(file.bytes),
          ]
            .filter(Boolean)
            .join(' · ')}
          ${
            file.playable_link &&
            file.playable_link !== file.link &&
            html`${' '}<a href=${file.playable_link} download>${t('task.playable')}</a>`
          }
          ${
            task.expires_at &&
            html`
              ${' '}
              <span class="quiet" title=${formatAbsolute(task.expires_at)}>
                ${t('task.expires')} <${RelativeTime} at=${task.expires_at} />
              </span>
            `
          }
        </dd>
      `
    }
    ${
      file?.sha256 &&
      html`
        <dt>${t('task.labels')}</dt>
        <dd id="task-labels">
          ${file.labels.length ? file.labels.map((layer) => t(`field.${layer}`)).join(' · ') : '–'}
          ${
            file.vendor_marks.length > 0 &&
            html`${' '}<span class="quiet">${t('task.vendor_marks', { marks: file.vendor_marks.join(', ') })}</span>`
          }
          <br />
          <${CopyButton} text=${file.sha256} shown=${`SHA-256 ${file.sha256.slice(0, 12)}…`} />
        </dd>
      `
    }
    <dt>${t('id')}</dt>
    <dd>
      <${CopyButton} text=${task.id} />
    </dd>
    ${
      task.operation &&
      html`
        <dt>${t('task.operation')}</dt>
        <dd>
          <${CopyButton} text=${task.operation.id} />
        </dd>
      `
    }
  </dl>`;
}

export function TaskTimeline({ task }) {
  const names = accountNames(task.timeline);
  const start = task.timeline[0]?.at;
  return html`<ol class="timeline">
    ${task.timeline.map((event, n) => {
      const { tone, text, detail } = describeEvent(event, names);
      return html`<li key=${n} class=${tone}>
        <time title=${formatAbsolute(event.at)}>${formatClock(event.at)}</time>
        <span>
          <strong>${text}</strong>
          ${
            detail &&
            html`
              <br />
              <span class="soft small">${detail}</span>
            `
          }
        </span>
        <span class="quiet small nowrap">+${formatDuration(event.at - start)}</span>
      </li>`;
    })}
    ${(task.webhooks ?? []).map(
      (delivery) =>
        html`<li key=${delivery.id} class=${delivery.state === 'delivered' ? 'good' : 'warn'}>
          <time></time>
          <span>
            <strong>${t('task.webhook')}</strong>
            <br />
            <a class="small" href=${pageLink(`webhooks/${delivery.id}`)}>
              ${delivery.event} → ${delivery.receiver}
            </a>
          </span>
          <${StateBadge} value=${delivery.state} group="delivery" />
        </li>`,
    )}
  </ol>`;
}

/** Of a film that is joined: each opens as a task of its own. */
export const TaskSegments = ({ segments }) =>
  segments.length === 0
    ? null
    : html`<section>
      <h3>${t('task.segments')}</h3>
      <ol>
        ${segments.map(
          (each) =>
            html`<li key=${each.id}>
              <a href=${pageLink(`tasks/${each.id}`)}>${each.prompt || each.id}</a>${' '}
              <${StateBadge} value=${each.state} />${' '}
              <span class="quiet">${each.cost != null && formatMoney(each.cost)}</span>
              ${
                each.error &&
                html`<br /><span class="bad small">
                    ${wordsFor(valueLabel('error', each.error.code), each.error.message)}
                  </span>`
              }
            </li>`,
        )}
      </ol>
    </section>`;

export const TaskInputs = ({ inputs }) =>
  inputs.length === 0
    ? null
    : html`<section>
      <h3>${t('task.inputs')}</h3>
      <div class="thumbs">
        ${inputs.map(
          (input, n) =>
            html`<figure key=${n} title=${valueLabel('role', input.role)}>
              ${
                input.link && input.content_type.startsWith('image/')
                  ? html`<img src=${gatewayLink(input.link)} alt=${valueLabel('role', input.role)} />`
                  : html`<span class="small">${valueLabel('role', input.role)}</span>`
              }
            </figure>`,
        )}
      </div>
    </section>`;
