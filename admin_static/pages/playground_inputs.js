// Inputs of the playground's form: pictures, storyboard, characters.
import { html, useEffect, useState } from '../lib/dom.js';
import { t, valueLabel } from '../lib/i18n.js';
import { useGet } from '../lib/api_hooks.js';
import { pageLink } from '../lib/router.js';
import { Icon } from '../lib/ui/icons.js';

const ROLES = ['first_frame', 'last_frame', 'reference_image'];

/** A preview of a chosen file as a data: URL; the content security policy forbids blob: images. */
function PicturePreview({ picture }) {
  const [source, setSource] = useState('');
  useEffect(() => {
    const reader = new FileReader();
    reader.onload = () => setSource(reader.result);
    reader.readAsDataURL(picture.file);
  }, [picture]);
  return source && html`<img src=${source} alt=${picture.file.name} />`;
}

export function PictureInputs({ inputs, value, onChange }) {
  const [draggedOver, setDraggedOver] = useState('');
  const roles = ROLES.filter((role) => inputs.includes(role));
  if (roles.length === 0) return html`<p class="quiet small">${t('playground.no_pictures')}</p>`;
  const addFiles = (role, files) => {
    const chosen = [...files].filter((file) => file.type.startsWith('image/')).map((file) => ({ file }));
    if (chosen.length)
      onChange({
        ...value,
        [role]: role === 'reference_image' ? [...value[role], ...chosen] : chosen.slice(0, 1),
      });
  };
  const dropFiles = (role) => (event) => {
    event.preventDefault();
    setDraggedOver('');
    addFiles(role, event.dataTransfer.files);
  };
  return html`<div class="stack">
    <span class="label">${t('playground.pictures')}</span>
    <div class="row">
      ${roles.map(
        (role) =>
          html`<label
            key=${role}
            class=${draggedOver === role ? 'button small drop over' : 'button small'}
            onDrop=${dropFiles(role)}
            onDragOver=${(event) => {
              event.preventDefault();
              setDraggedOver(role);
            }}
            onDragLeave=${() => setDraggedOver('')}
          >
            <${Icon} name="plus" />
            ${valueLabel('role', role)}
            <input
              type="file"
              class="hidden-text"
              name=${role}
              accept="image/*"
              multiple=${role === 'reference_image'}
              onChange=${(event) => {
                addFiles(role, event.target.files);
                event.target.value = '';
              }}
            />
          </label>`,
      )}
    </div>
    <div class="thumbs">
      ${roles.flatMap((role) =>
        value[role].map(
          (picture, n) =>
            html`<figure key=${`${role}${n}`} title=${`${valueLabel('role', role)}: ${picture.file.name}`}>
              <${PicturePreview} picture=${picture} />
              <button
                type="button"
                aria-label=${t('remove')}
                onClick=${() => onChange({ ...value, [role]: value[role].filter((kept) => kept !== picture) })}
              >
                ✕
              </button>
            </figure>`,
        ),
      )}
    </div>
  </div>`;
}

export function ShotList({ value, native, onChange }) {
  const change = (n, part) => onChange(value.map((shot, at) => (at === n ? { ...shot, ...part } : shot)));
  const total = value.reduce((sum, shot) => sum + Number(shot.seconds || 0), 0);
  return html`<div class="stack tight" id="storyboard">
    <div class="row apart">
      <span class="label">${t('playground.storyboard')}</span>
      ${
        value.length > 0 &&
        html`<span class="quiet small">
          ${t('playground.total', { n: total })}
          ${native === false ? ` · ${t('playground.folded')}` : ''}
        </span>`
      }
    </div>
    <div class="shots">
      ${value.map(
        (shot, n) =>
          html`<div class="shot" key=${n}>
            <span>${n + 1}</span>
            <textarea
              rows="2"
              aria-label=${t('playground.shot', { n: n + 1 })}
              value=${shot.prompt}
              placeholder=${t('playground.shot_hint')}
              onInput=${(event) => change(n, { prompt: event.target.value })}
            ></textarea>
            <input
              type="number"
              min="1"
              step="0.5"
              aria-label=${t('playground.shot_seconds', { n: n + 1 })}
              value=${shot.seconds}
              onInput=${(event) => change(n, { seconds: event.target.value })}
            />
            <button
              type="button"
              class="button plain icon-only"
              aria-label=${t('remove')}
              onClick=${() => onChange(value.filter((_, at) => at !== n))}
            >
              <${Icon} name="close" />
            </button>
          </div>`,
      )}
    </div>
    <div>
      <button
        type="button"
        class="button small"
        onClick=${() => onChange([...value, { seconds: 4, prompt: '' }])}
      >
        <${Icon} name="plus" />
        ${t('playground.add_shot')}
      </button>
    </div>
  </div>`;
}

export function CharacterPicker({ value, onChange }) {
  const loaded = useGet('characters');
  const list = loaded.data?.data ?? [];
  const toggle = (username) =>
    onChange(value.includes(username) ? value.filter((name) => name !== username) : [...value, username]);
  return html`<div class="stack tight">
    <span class="label">${t('page.characters')}</span>
    ${
      list.length === 0
        ? html`<span class="quiet small">
          ${t('playground.no_characters')} <a href=${pageLink('characters')}>${t('characters.add')}</a>
        </span>`
        : html`<div class="row">
          ${list.map(
            (character) =>
              html`<button
                type="button"
                key=${character.id}
                class="button small"
                aria-pressed=${value.includes(character.username)}
                title=${`@${character.username}`}
                onClick=${() => toggle(character.username)}
              >
                ${value.includes(character.username) && html`<${Icon} name="check" />`}${character.name}
              </button>`,
          )}
        </div>`
    }
  </div>`;
}
