// Takes side by side: the tasks of the address, each with its film, time, price, model and account, as they come.
import { html, useRef } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { pageLink, route } from '../lib/router.js';
import { useGet } from '../lib/api_hooks.js';
import { EmptyState, PageHeader } from '../lib/ui/elements.js';
import { MOST_COMPARED } from './task_bulk.js';
import { TaskResult } from './playground_result.js';

export function Page() {
  const ids = (route.value.query.ids ?? '').split(',').filter(Boolean).slice(0, MOST_COMPARED);
  const takes = useRef();
  const found = useGet(ids.length ? 'tasks' : null, { ids: ids.join(',') });
  const prompts = [...new Set((found.data?.data ?? []).map((task) => task.prompt).filter(Boolean))];
  const playAll = () => {
    for (const video of takes.current.querySelectorAll('video')) {
      video.muted = true;
      video.currentTime = 0;
      video.play();
    }
  };
  return html`
    <${PageHeader} title=${t('page.compare')}>
      ${
        ids.length > 0 &&
        html`<button type="button" class="button" onClick=${playAll}>
          ${t('compare.play_all')}
        </button>`
      }
    <//>
    ${prompts.length === 1 && html`<p class="prompt">${prompts[0]}</p>`}
    ${
      ids.length === 0
        ? html`<${EmptyState}
          title=${t('compare.none')}
          actions=${html`<a class="button main" href=${pageLink('films')}>${t('page.films')}</a>`}
        >
          ${t('compare.none_note')}
        <//>`
        : html`<div class="takes" ref=${takes}>
          ${ids.map((id) => html`<${TaskResult} key=${id} created=${{ id }} facts=${true} />`)}
        </div>`
    }
  `;
}
