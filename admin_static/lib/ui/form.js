// Forms from lists of fields; an error is shown beside the field that it names.
import { html, classNames, useState } from '../dom.js';
import { t } from '../i18n.js';
import { errorText } from '../server_words.js';

const asText = (value) => (value == null ? '' : String(value));

function FieldControl({ field, id, value, onChange }) {
  const common = {
    id,
    'name': field.name,
    'disabled': field.disabled,
    'required': field.required,
    'aria-describedby': `${id}-hint`,
  };
  const onType = (event) => onChange(event.target.value);
  if (field.kind === 'select') {
    return html`<select ...${common} value=${asText(value)} onChange=${onType}>
      ${field.options.map(
        ([key, label]) =>
          html`<option key=${key} value=${key}>
            ${label ?? key}
          </option>`,
      )}
    </select>`;
  }
  if (field.kind === 'textarea' || field.kind === 'code') {
    return html`<textarea
      ...${common}
      rows=${field.rows}
      class=${field.kind}
      placeholder=${field.placeholder}
      value=${asText(value)}
      onInput=${onType}
      spellcheck=${field.kind !== 'code'}
    />`;
  }
  const kinds = {
    number: 'number',
    money: 'number',
    secret: 'password',
    password: 'password',
    date: 'datetime-local',
  };
  const secret = field.kind === 'secret' || field.kind === 'password';
  return html`
    <input
      ...${common}
      type=${kinds[field.kind] ?? 'text'}
      value=${asText(value)}
      onInput=${onType}
      min=${field.min}
      max=${field.max}
      step=${field.step ?? (field.kind === 'money' ? '0.01' : undefined)}
      placeholder=${field.placeholder}
      autocomplete=${field.autocomplete ?? (secret ? 'new-password' : 'off')}
      spellcheck=${false}
      list=${field.suggestions && `${id}-list`}
    />
    ${
      field.suggestions &&
      html`<datalist id=${`${id}-list`}>
        ${field.suggestions.map((suggestion) => html`<option key=${suggestion} value=${suggestion} />`)}
      </datalist>`
    }
  `;
}

/** One labelled field. `field`: name, label, kind, hint, options, required, wide, disabled. */
export function FormField({ field, value, problem, onChange, prefix = 'field' }) {
  const id = `${prefix}-${field.name}`;
  if (field.kind === 'check') {
    return html`<div class=${classNames('field', field.wide && 'wide')}>
      <label class="check">
        <input
          type="checkbox"
          name=${field.name}
          disabled=${field.disabled}
          checked=${Boolean(value)}
          onChange=${(event) => onChange(event.target.checked)}
        />
        <span>
          ${field.label}
          ${
            field.hint &&
            html`<span class="hint">
              <br />
              ${field.hint}
            </span>`
          }
        </span>
      </label>
    </div>`;
  }
  return html`<div class=${classNames('field', field.wide && 'wide')}>
    <label for=${id}>${field.label}</label>
    <${FieldControl} field=${field} id=${id} value=${value} onChange=${onChange} />
    ${
      problem
        ? html`<span class="problem" id=${`${id}-hint`} role="alert">
          ${problem}
        </span>`
        : field.hint &&
          html`<span class="hint" id=${`${id}-hint`}>
            ${field.hint}
          </span>`
    }
  </div>`;
}

/** State of a form: values, error, and `submit(work)`, which keeps the error that `work` raises. */
export function useForm(initial) {
  const [values, setValues] = useState(initial);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const set = (name, value) => setValues((old) => ({ ...old, [name]: value }));
  const submit = async (work) => {
    setBusy(true);
    setError(null);
    try {
      return await work(values);
    } catch (failure) {
      setError(failure);
      return undefined;
    } finally {
      setBusy(false);
    }
  };
  return { values, set, setValues, error, busy, submit };
}

const concernsField = (error, field) => error?.param === field.name || error?.param?.split(/[.[]/)[0] === field.name;

/** The fields of `form` (see useForm). An error that names none of them is shown above. */
export function FormFields({ form, fields, prefix }) {
  const shown = fields.filter((field) => field && !(field.when && !field.when(form.values)));
  const shownAtField = form.error && shown.some((field) => concernsField(form.error, field));
  return html`<div class="form">
    ${
      form.error &&
      !shownAtField &&
      html`<p class="trouble wide" role="alert">
        ${errorText(form.error)}
      </p>`
    }
    ${shown.map(
      (field) =>
        html`<${FormField}
          key=${field.name}
          prefix=${prefix}
          field=${field}
          value=${form.values[field.name]}
          problem=${concernsField(form.error, field) ? errorText(form.error, { atField: true }) : ''}
          onChange=${(value) => form.set(field.name, value)}
        />`,
    )}
  </div>`;
}

/** The buttons at the end of a form. */
export const FormButtons = ({ form, label, onCancel }) =>
  html`
    ${
      onCancel &&
      html`<button type="button" class="button" onClick=${onCancel}>
        ${t('cancel')}
      </button>`
    }
    <button type="submit" class="button main" disabled=${form.busy}>
      ${label}
    </button>
  `;
