// The attempts of a task that went on elsewhere: who had it, what its vendor said, what that cost.
import { html } from '../lib/dom.js';
import { t, valueLabel } from '../lib/i18n.js';
import { formatDuration, formatMoney } from '../lib/format.js';
import { Said } from '../lib/server_words.js';

const TONES = { completed: 'good', failed: 'bad', moderated: 'bad', retired: 'bad' };

export const TaskAttempts = ({ attempts }) =>
  attempts.length === 0
    ? null
    : html`<section data-attempts>
      <h3>${t('task.attempts')}</h3>
      <ol class="timeline">
        ${attempts.map(
          (each) =>
            html`<li key=${each.number} class=${TONES[each.verdict] ?? ''}>
              <time>${each.number}</time>
              <span>
                <strong>${valueLabel('verdict_of', each.verdict ?? 'open')}</strong>
                ${' '}
                <span class="soft small">
                  ${[each.account?.name ?? each.account?.id, each.provider, each.model].filter(Boolean).join(' · ')}
                </span>
                ${each.word && html`<br /><span class="soft small"><${Said} text=${each.word} /></span>`}
              </span>
              <span class="quiet small nowrap">
                ${each.cost == null ? '' : formatMoney(each.cost)}
                ${each.began_at && each.ended_at ? ` ${formatDuration(each.ended_at - each.began_at)}` : ''}
              </span>
            </li>`,
        )}
      </ol>
    </section>`;
