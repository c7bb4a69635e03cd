// Characters: faces and voices taken from a clip; prompts refer to them as @username.
import { html, useState } from '../lib/dom.js';
import { request, remove, canWrite, gatewayLink } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { route, pageLink } from '../lib/router.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { CopyButton, EmptyState, PageHeader, SegmentedControl, RelativeTime } from '../lib/ui/elements.js';
import { SearchField } from '../lib/ui/filters.js';
import { Dialog, ActionMenu, askConfirmation, runWithToast, showToast } from '../lib/ui/dialogs.js';
import { FormFields, FormButtons, useForm } from '../lib/ui/form.js';

function CharacterCard({ character, onDelete }) {
  const [plays, setPlays] = useState(false);
  return html`<article class="stack tight" data-id=${character.id}>
    <div class="still">
      ${
        plays && character.clip
          ? html`<video src=${gatewayLink(character.clip)} autoplay controls playsinline muted loop></video>`
          : html`<button
            type="button"
            class="play"
            aria-label=${`${t('characters.play')}: ${character.name}`}
            onClick=${() => setPlays(true)}
          >
            ${character.still && html`<img src=${gatewayLink(character.still)} alt="" />`}
          </button>`
      }
    </div>
    <div class="row apart">
      <strong class="clip">${character.name}</strong>
      ${
        canWrite() &&
        html`<${ActionMenu}
          label=${`${t('actions')}: ${character.name}`}
          items=${[
            [t('characters.play'), () => setPlays(true)],
            [
              t('characters.use'),
              () => {
                location.hash = pageLink('playground');
              },
            ],
            null,
            [t('delete'), () => onDelete(character), 'bad'],
          ]}
        />`
      }
    </div>
    <${CopyButton} text=${`@${character.username}`} />
    <span class="quiet small">
      <${RelativeTime} at=${character.created_at} />
    </span>
  </article>`;
}

function CharacterForm({ onClose, onDone }) {
  const [from, setFrom] = useState('video');
  const [file, setFile] = useState(null);
  const form = useForm({ name: '', url: '', from_task: '', timestamps: '1,3' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async ({ name, url, from_task, timestamps }) => {
      const parts = new FormData();
      if (name) parts.append('name', name);
      if (timestamps) parts.append('timestamps', timestamps);
      if (from === 'video') parts.append('video', file, file.name);
      else parts.append(from, from === 'url' ? url : from_task);
      const created = await request('POST', 'characters', { body: parts });
      showToast(t('characters.created', { name: created.username }));
      onDone();
    });
  };
  return html`<${Dialog} title=${t('characters.add')} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <p class="soft">${t('characters.add_note')}</p>
      <${SegmentedControl}
        label=${t('characters.from')}
        value=${from}
        onPick=${setFrom}
        options=${['video', 'url', 'from_task'].map((source) => [source, t(`characters.${source}`)])}
      />
      ${
        from === 'video' &&
        html`<div class="field">
          <label for="character-video">${t('characters.video')}</label>
          <input
            id="character-video"
            type="file"
            name="video"
            accept="video/*"
            required
            onChange=${(event) => setFile(event.target.files[0])}
          />
        </div>`
      }
      <${FormFields}
        form=${form}
        prefix="character"
        fields=${[
          from === 'url' && {
            name: 'url',
            label: t('characters.url'),
            required: true,
            wide: true,
            placeholder: 'https://…',
          },
          from === 'from_task' && {
            name: 'from_task',
            label: t('characters.from_task'),
            required: true,
            wide: true,
            placeholder: 'video_…',
          },
          { name: 'name', label: t('key.name') },
          { name: 'timestamps', label: t('characters.timestamps'), hint: t('characters.timestamps_hint') },
        ]}
      />
      <div class="row">
        <${FormButtons} form=${form} label=${t('characters.add')} onCancel=${onClose} />
      </div>
    </form>
  <//>`;
}

export function Page() {
  const { query } = route.value;
  const characters = useGet('characters', { q: query.q });
  const [shown, show] = useState(false);
  const rows = characters.data?.data ?? [];
  const deleteCharacter = async (character) => {
    if (
      !(await askConfirmation({
        title: t('characters.delete', { name: character.name }),
        text: t('characters.delete_note'),
        action: t('delete'),
      }))
    )
      return;
    await runWithToast(() => remove(`characters/${character.id}`), t('characters.deleted', { name: character.name }));
    characters.reload();
  };
  return html`
    <${PageHeader} title=${t('page.characters')}>
      ${
        canWrite() &&
        html`<button type="button" class="button main" onClick=${() => show(true)}>
          ${t('characters.add')}
        </button>`
      }
    <//>
    <div class="filters">
      <${SearchField} placeholder=${t('characters.search')} />
    </div>
    ${
      !characters.data
        ? html`<${LoadingNotice} ...${characters} />`
        : rows.length === 0
          ? html`<${EmptyState}
            title=${query.q ? t('nothing_matches') : t('characters.none')}
            actions=${
              canWrite() &&
              html`<button type="button" class="button main" onClick=${() => show(true)}>
                ${t('characters.add')}
              </button>`
            }
          >
            ${t('characters.none_note')}
          <//>`
          : html`<div class="card-list">
            ${rows.map(
              (character) =>
                html`<${CharacterCard} key=${character.id} character=${character} onDelete=${deleteCharacter} />`,
            )}
          </div>`
    }
    ${
      shown &&
      html`<${CharacterForm}
        onClose=${() => show(false)}
        onDone=${() => {
          show(false);
          characters.reload();
        }}
      />`
    }
  `;
}
