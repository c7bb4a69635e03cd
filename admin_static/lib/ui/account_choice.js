// The choice of one account that can make a model now: typing finds it, as there may be thousands.
import { html, useEffect, useState } from '../dom.js';
import { useGet } from '../api_hooks.js';
import { t } from '../i18n.js';

const USABLE = ['chosen', 'candidate', 'busy'];
const MOST_SUGGESTED = 50;

/** `value` is an id, '' for any account; null is passed on while what is typed names none. */
export function AccountChoice({ id, model, kind, value, onChange, without, anyAllowed = true }) {
  const loaded = useGet(model ? 'explain' : null, { model, kind });
  const usable = (loaded.data?.data ?? []).filter(
    (each) => USABLE.includes(each.verdict) && each.account_id !== without,
  );
  const [typed, setTyped] = useState('');
  useEffect(() => setTyped(''), [model]);
  useEffect(() => {
    const text = typed.trim();
    const found = usable.find((each) => each.account === text);
    onChange(found ? found.account_id : text || !anyAllowed ? null : '');
  }, [typed, loaded.data]);
  const matching = usable.filter((each) => each.account.toLowerCase().includes(typed.toLowerCase()));
  const known = !typed || value !== null || !loaded.data;
  return html`
    <input
      id=${id}
      type="text"
      list=${`${id}-list`}
      value=${typed}
      placeholder=${anyAllowed ? t('compare.any_account') : t('again.which')}
      aria-describedby=${`${id}-hint`}
      onInput=${(event) => setTyped(event.target.value)}
      autocomplete="off"
      spellcheck=${false}
    />
    <datalist id=${`${id}-list`}>
      ${matching.slice(0, MOST_SUGGESTED).map((each) => html`<option key=${each.account_id} value=${each.account} />`)}
    </datalist>
    <span class=${known ? 'hint' : 'problem'} id=${`${id}-hint`}>
      ${known ? loaded.data && t('compare.usable', { n: usable.length }) : t('compare.unknown_account')}
    </span>
  `;
}
