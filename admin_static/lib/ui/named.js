// What a row names by an id: shown by its name, with the id on hover, and as a link while it can be opened.
import { html } from '../dom.js';
import { t } from '../i18n.js';
import { pageLink } from '../router.js';
import { shortenId } from '../format.js';

/** `name` is null for what is gone; `to`: the page that opens it. */
export const NamedItem = ({ id, name, to }) => {
  const shown = name ?? html`<span class="mono small quiet">${shortenId(id.split('/').at(-1))}</span>`;
  return to ? html`<a href=${pageLink(to)} title=${id}>${shown}</a>` : html`<span title=${id}>${shown}</span>`;
};

/** An owner like `key:a1b2` or `project:films`: its key is opened, a project's keys are searched. */
export function OwnerName({ owner, name }) {
  if (owner === 'operator') return t('webhook.of_operator');
  if (owner === 'key:panel') return t('page.playground');
  const [kind, id] = owner.split(':');
  if (kind === 'key' && name != null) return html`<${NamedItem} id=${id} name=${name} to=${`keys/${id}`} />`;
  if (kind !== 'project') return html`<${NamedItem} id=${id ?? owner} name=${name} />`;
  return html`<a href=${pageLink('keys', { q: name ?? id })} title=${owner}>${name ?? id}</a>`;
}
