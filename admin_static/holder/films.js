// The films of the key, newest first: picture, state, and the film itself.
import { html, useEffect, useState } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { errorText } from '../lib/server_words.js';
import { formatSeconds } from '../lib/format.js';
import { StateBadge, RelativeTime } from '../lib/ui/elements.js';
import { Icon } from '../lib/ui/icons.js';
import { callJson, localLink, pictureUrl } from './client.js';

const PAGE = 12;
const REFRESH_SECONDS = 10;
const TONES = { queued: 'hollow', submitted: 'hollow', in_progress: 'live', completed: 'good', failed: 'bad' };

function Picture({ film }) {
  const [source, setSource] = useState('');
  useEffect(() => {
    let left = false;
    if (film.status === 'completed' && film.url)
      pictureUrl(`videos/${film.id}/content`, { variant: 'thumbnail' }).then(
        (url) => !left && setSource(url),
        () => {}, // a film that can't be decoded has no picture
      );
    return () => {
      left = true;
    };
  }, [film.id, film.status]);
  return html`<span class="holder-picture">
    ${source ? html`<img src=${source} alt="" />` : html`<${Icon} name="tasks" />`}
  </span>`;
}

function Film({ film }) {
  const [plays, setPlays] = useState(false);
  const link = film.status === 'completed' && film.url ? localLink(film.url) : null;
  return html`<li>
    ${
      plays
        ? html`<video controls autoplay playsinline src=${link}></video>`
        : html`<button
          type="button"
          class="holder-open"
          disabled=${!link}
          aria-label=${`${t('my.play')}: ${film.prompt ?? film.id}`}
          onClick=${() => setPlays(true)}
        >
          <${Picture} film=${film} />
        </button>`
    }
    <div class="row apart">
      <${StateBadge} value=${film.status} group="my.state" tone=${TONES[film.status]} />
      <span class="quiet small"><${RelativeTime} at=${film.created_at} /></span>
    </div>
    <p class="holder-prompt small" title=${film.prompt}>${film.prompt}</p>
    <p class="quiet small">${film.model} · ${formatSeconds(Number(film.seconds))}</p>
    ${film.status === 'failed' && film.error && html`<p class="small bad">${errorText(film.error)}</p>`}
    ${link && html`<a class="button small" href=${link} download=${`${film.id}.mp4`}>${t('my.download')}</a>`}
  </li>`;
}

export function FilmList() {
  const [films, setFilms] = useState(null);
  const [more, setMore] = useState(false);
  const [error, setError] = useState(null);
  const load = async (after) => {
    try {
      const limit = after ? PAGE : Math.min(Math.max(PAGE, films?.length ?? 0), 100);
      const answer = await callJson('videos', { query: { limit: String(limit), after } });
      const data = answer.data ?? [];
      setFilms((old) => (after ? [...old, ...data] : data));
      setMore(answer.has_more);
      setError(null);
    } catch (failure) {
      setError(failure);
    }
  };
  useEffect(() => {
    load();
  }, []);
  const open = films?.some((film) => !['completed', 'failed'].includes(film.status));
  useEffect(() => {
    if (!open) return undefined;
    const timer = setInterval(() => load(), REFRESH_SECONDS * 1000);
    return () => clearInterval(timer);
  }, [open, films?.length]);
  return html`<section>
    <h2>${t('my.films')}</h2>
    ${error && html`<p class="trouble">${errorText(error)}</p>`}
    ${films?.length === 0 && html`<p class="soft">${t('my.no_films')}</p>`}
    <ul class="holder-films">
      ${films?.map((film) => html`<${Film} key=${film.id} film=${film} />`)}
    </ul>
    ${
      more &&
      html`<button type="button" class="button" onClick=${() => load(films.at(-1).id)}>
        ${t('older')}
      </button>`
    }
  </section>`;
}
