// A number in a table cell that is changed where it stands: Enter or leaving the field saves it, Escape takes it back.
import { html, useState } from '../dom.js';

export function InlineNumber({ value, label, min, step, onSave }) {
  const [typed, setTyped] = useState(null);
  const save = async () => {
    const text = typed;
    if (text === null) return;
    if (text !== '' && Number(text) !== value && !(min !== undefined && Number(text) < min)) await onSave(Number(text));
    setTyped(null);
  };
  const onKeyDown = (event) => {
    if (event.key === 'Enter') event.target.blur();
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    setTyped(null);
    event.target.value = String(value);
  };
  return html`<input
    type="number"
    class="cell-number"
    aria-label=${label}
    value=${typed ?? String(value)}
    min=${min}
    step=${step}
    onInput=${(event) => setTyped(event.target.value)}
    onBlur=${save}
    onKeyDown=${onKeyDown}
  />`;
}
