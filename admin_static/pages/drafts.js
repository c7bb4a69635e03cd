// Drafts of the playground: saved under a name, opened, renamed and deleted. All who may make films see the same ones.
import { html, useState } from '../lib/dom.js';
import { get, patch, post, remove } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { setFilters } from '../lib/router.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { draft, isEmpty, readDraft, writeDraft } from '../lib/playground_draft.js';
import { RelativeTime } from '../lib/ui/elements.js';
import { ActionMenu, Dialog, askConfirmation, runWithToast, showToast } from '../lib/ui/dialogs.js';

function DraftRow({ entry, onOpen, onOverwrite, onRename, onDelete }) {
  const [name, setName] = useState(null);
  const rename = (event) => {
    event.preventDefault();
    onRename(name.trim()).then((done) => done && setName(null));
  };
  if (name !== null)
    return html`<li>
      <form class="row" onSubmit=${rename}>
        <input
          class="grow"
          name="name"
          required
          aria-label=${t('drafts.name')}
          value=${name}
          onInput=${(event) => setName(event.target.value)}
        />
        <button type="submit" class="button small">${t('save')}</button>
        <button type="button" class="button small plain" onClick=${() => setName(null)}>${t('cancel')}</button>
      </form>
    </li>`;
  return html`<li data-id=${entry.id} class="row apart">
    <span class="stack tight grow">
      <button type="button" class="text-button" onClick=${onOpen}>${entry.name}</button>
      <span class="small quiet">${entry.author} · <${RelativeTime} at=${entry.updated_at} /></span>
    </span>
    <${ActionMenu}
      label=${`${t('actions')}: ${entry.name}`}
      items=${[
        [t('open'), onOpen],
        [t('drafts.overwrite'), onOverwrite],
        [t('drafts.rename'), () => setName(entry.name)],
        null,
        [t('delete'), onDelete, 'bad'],
      ]}
    />
  </li>`;
}

/** `model`: that of the playground now, which a draft holds too. */
export function DraftsDialog({ model, onClose }) {
  const loaded = useGet('drafts');
  const [name, setName] = useState('');
  const told = ({ left }, text) => (left > 0 ? showToast(t('drafts.too_large', { n: left }), 'bad') : showToast(text));
  const save = async (event) => {
    event.preventDefault();
    const written = await writeDraft(draft.value, model);
    if (!(await runWithToast(() => post('drafts', { name: name.trim(), inputs: written.inputs })))) return;
    told(written, t('drafts.saved', { name: name.trim() }));
    setName('');
    loaded.reload();
  };
  const open = async (entry) => {
    const question = { title: t('drafts.open', { name: entry.name }), text: t('drafts.open_note'), action: t('open') };
    if (!isEmpty(draft.value) && !(await askConfirmation({ ...question, danger: false }))) return;
    const found = await runWithToast(() => get(`drafts/${entry.id}`));
    if (!found) return;
    const opened = readDraft(found.inputs);
    draft.value = opened.form;
    if (opened.model) setFilters({ model: opened.model });
    onClose();
  };
  const overwrite = async (entry) => {
    const written = await writeDraft(draft.value, model);
    if (await runWithToast(() => patch(`drafts/${entry.id}`, { inputs: written.inputs })))
      told(written, t('drafts.saved', { name: entry.name }));
    loaded.reload();
  };
  const rename = async (entry, next) => {
    const done = await runWithToast(() => patch(`drafts/${entry.id}`, { name: next }));
    loaded.reload();
    return done;
  };
  const deleteDraft = async (entry) => {
    const question = { title: t('drafts.delete', { name: entry.name }), text: t('drafts.delete_note') };
    if (!(await askConfirmation({ ...question, action: t('delete') }))) return;
    await runWithToast(() => remove(`drafts/${entry.id}`).then(() => true));
    loaded.reload();
  };
  const rows = loaded.data?.data ?? [];
  return html`<${Dialog} title=${t('drafts.title')} onClose=${onClose}>
    <form class="row" onSubmit=${save}>
      <input
        class="grow"
        name="draft"
        required
        maxlength="200"
        aria-label=${t('drafts.name')}
        placeholder=${t('drafts.name')}
        value=${name}
        onInput=${(event) => setName(event.target.value)}
      />
      <button type="submit" class="button main" disabled=${!name.trim() || isEmpty(draft.value)}>
        ${t('drafts.save')}
      </button>
    </form>
    ${!loaded.data && html`<${LoadingNotice} ...${loaded} />`}
    ${loaded.data && rows.length === 0 && html`<p class="soft">${t('drafts.none')}</p>`}
    <ul class="drafts">
      ${rows.map(
        (entry) =>
          html`<${DraftRow}
            key=${entry.id}
            entry=${entry}
            onOpen=${() => open(entry)}
            onOverwrite=${() => overwrite(entry)}
            onRename=${(next) => rename(entry, next)}
            onDelete=${() => deleteDraft(entry)}
          />`,
      )}
    </ul>
  <//>`;
}
