// A form from a JSON schema: texts, numbers, selects, checkboxes, groups, and lists of them.
import { html } from '../dom.js';
import { t } from '../i18n.js';
import { errorText } from '../server_words.js';
import { FormField } from './form.js';
import { Icon } from './icons.js';

function resolveSchema(schema, root) {
  if (schema.$ref)
    return {
      ...resolveSchema(
        schema.$ref
          .split('/')
          .slice(1)
          .reduce((at, name) => at[name], root),
        root,
      ),
      ...schema,
      $ref: undefined,
    };
  if (schema.allOf?.length === 1) return { ...resolveSchema(schema.allOf[0], root), ...schema, allOf: undefined };
  const real = schema.anyOf?.find((option) => option.type !== 'null');
  return real ? { ...resolveSchema(real, root), ...schema, anyOf: undefined, nullable: true } : schema;
}

const titleCase = (name) => {
  const text = name.replaceAll('_', ' ');
  return text[0].toUpperCase() + text.slice(1);
};
/** The translation of `group.name`, or `otherwise` when there is none. */
const translatedOr = (group, name, otherwise) => {
  const text = t(`${group}.${name}`);
  return text === `${group}.${name}` ? otherwise : text;
};
const fieldLabel = (name) => translatedOr('field', name, titleCase(name));
const fieldHint = (name, schema) => translatedOr('hint', name, schema.description);
const sectionText = (schema) => translatedOr('section', schema.title, schema.description);

/** The value of a new list entry. */
function emptyValue(schema, root) {
  const resolved = resolveSchema(schema, root);
  if ('default' in resolved) return structuredClone(resolved.default);
  if (resolved.properties)
    return Object.fromEntries(
      Object.entries(resolved.properties).map(([name, part]) => [name, emptyValue(part, root)]),
    );
  return (
    { array: [], boolean: false, number: 0, integer: 0, object: {} }[resolved.type] ?? (resolved.nullable ? null : '')
  );
}

const LONG_TEXT = 4000; // what may be so long is written in several lines

function controlKind(schema) {
  if (schema.enum) return 'select';
  if (schema.format === 'password' || schema.writeOnly) return 'secret';
  if (schema.maxLength >= LONG_TEXT) return 'textarea';
  return { boolean: 'check', integer: 'number', number: 'number' }[schema.type] ?? 'text';
}

function parseValue(text, schema) {
  if (schema.type === 'integer' || schema.type === 'number')
    return text === '' ? (schema.nullable ? null : 0) : Number(text);
  return text === '' && schema.nullable ? null : text;
}

function ListField({ name, schema, root, value, onChange, path, problem, onTest }) {
  const items = resolveSchema(schema.items ?? {}, root);
  const change = (n, item) => onChange(value.map((old, at) => (at === n ? item : old)));
  if (items.enum) {
    const toggleOption = (item, on) => onChange(on ? [...(value ?? []), item] : value.filter((old) => old !== item));
    return html`<fieldset class="stack group wide">
      <legend>${fieldLabel(name)}</legend>
      <div class="form">
        ${items.enum.map(
          (item) =>
            html`<${FormField}
              key=${item}
              prefix=${`${path}-${name}`}
              field=${{ name: item, label: translatedOr('option', item, titleCase(item)), kind: 'check' }}
              value=${(value ?? []).includes(item)}
              onChange=${(on) => toggleOption(item, on)}
            />`,
        )}
      </div>
    </fieldset>`;
  }
  if (!items.properties) {
    return html`<${FormField}
      prefix=${path}
      field=${{
        name,
        label: fieldLabel(name),
        kind: 'textarea',
        rows: 3,
        wide: true,
        hint: fieldHint(name, schema) ?? t('settings.one_a_line'),
      }}
      value=${(value ?? []).join('\n')}
      problem=${problem}
      onChange=${(text) =>
        onChange(
          text
            .split('\n')
            .map((line) => line.trim())
            .filter(Boolean)
            .map((line) => parseValue(line, items)),
        )}
    />`;
  }
  return html`<fieldset class="stack group wide">
    <legend>${fieldLabel(name)}</legend>
    ${sectionText(items) && html`<p class="soft small">${sectionText(items)}</p>`}
    ${(value ?? []).map(
      (item, n) =>
        html`<div class="panel stack" key=${n}>
          <div class="row apart">
            <strong>
              ${n + 1}. ${item.name ?? ''}
            </strong>
            <span class="row tight">
              ${
                onTest &&
                item.name &&
                html`<button type="button" class="button small" onClick=${() => onTest(item.name)}>
                  ${t('settings.send_test')}
                </button>`
              }
              <button
                type="button"
                class="button small plain"
                onClick=${() => onChange(value.filter((_, at) => at !== n))}
              >
                ${t('remove')}
              </button>
            </span>
          </div>
          <${SchemaProperties}
            schema=${items}
            root=${root}
            value=${item}
            onChange=${(next) => change(n, next)}
            path=${`${path}-${n}`}
          />
        </div>`,
    )}
    <div>
      <button
        type="button"
        class="button small"
        onClick=${() => onChange([...(value ?? []), emptyValue(items, root)])}
      >
        <${Icon} name="plus" />
        ${t('add')}
      </button>
    </div>
  </fieldset>`;
}

function SchemaField({ name, schema, root, value, onChange, path, problem, onTest }) {
  const resolved = resolveSchema(schema, root);
  if (resolved.type === 'array')
    return html`<${ListField}
      name=${name}
      schema=${resolved}
      root=${root}
      value=${value}
      onChange=${onChange}
      path=${path}
      problem=${problem}
      onTest=${onTest}
    />`;
  if (resolved.properties) {
    return html`<fieldset class="stack group wide">
      <legend>${fieldLabel(name)}</legend>
      ${sectionText(resolved) && html`<p class="soft small">${sectionText(resolved)}</p>`}
      <${SchemaProperties}
        schema=${resolved}
        root=${root}
        value=${value ?? emptyValue(resolved, root)}
        onChange=${onChange}
        path=${`${path}-${name}`}
      />
    </fieldset>`;
  }
  if (resolved.type === 'object') {
    const parseJson = (text) => {
      try {
        onChange(JSON.parse(text));
      } catch {
        /* incomplete while it is typed */
      }
    };
    return html`<${FormField}
      prefix=${path}
      field=${{
        name,
        label: fieldLabel(name),
        kind: 'code',
        rows: 3,
        wide: true,
        hint: fieldHint(name, resolved),
      }}
      value=${JSON.stringify(value ?? {}, null, 2)}
      onChange=${parseJson}
    />`;
  }
  const kind = controlKind(resolved);
  const options = resolved.enum?.map((choice) => [choice, translatedOr('option', choice, titleCase(String(choice)))]);
  return html`<${FormField}
    prefix=${path}
    problem=${problem}
    value=${value}
    field=${{
      name,
      label: fieldLabel(name),
      kind,
      options,
      min: resolved.minimum,
      max: resolved.maximum,
      step: resolved.type === 'number' ? 'any' : undefined,
      hint: fieldHint(name, resolved),
      wide: kind === 'check',
    }}
    onChange=${(next) => onChange(kind === 'check' ? next : parseValue(next, resolved))}
  />`;
}

// A field that is only for some kinds says so in `for`.
const isShown = (part, value) => !part.for || part.for.includes(value?.kind);

function SchemaProperties({ schema, root, value, onChange, path, error, onTest }) {
  const shown = Object.entries(schema.properties).filter(([, part]) => isShown(part, value));
  return html`<div class="form">
    ${shown.map(
      ([name, part]) =>
        html`<${SchemaField}
          key=${name}
          name=${name}
          schema=${part}
          root=${root}
          value=${value?.[name]}
          path=${path}
          problem=${error?.param?.split(/[.[]/)[0] === name ? errorText(error) : ''}
          onChange=${(next) => onChange({ ...value, [name]: next })}
          onTest=${onTest}
        />`,
    )}
  </div>`;
}

/** `value` is the whole document; `onChange` receives the changed one; `onTest(name)` tests one entry of a list. */
export const SchemaForm = ({ schema, value, onChange, error, onTest }) =>
  html`<${SchemaProperties}
    schema=${schema}
    root=${schema}
    value=${value}
    onChange=${onChange}
    path="setting"
    error=${error}
    onTest=${onTest}
  />`;
