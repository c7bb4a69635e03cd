// A form straight from a JSON schema: texts, numbers, choices, switches, groups, and lists of them.
import { html } from '../dom.js';
import { t } from '../i18n.js';
import { Field } from './form.js';
import { Icon } from './icons.js';

function resolved(schema, root) {
  if (schema.$ref) return { ...resolved(schema.$ref.split('/').slice(1).reduce((at, name) => at[name], root), root), ...schema, $ref: undefined };
  if (schema.allOf?.length === 1) return { ...resolved(schema.allOf[0], root), ...schema, allOf: undefined };
  const real = schema.anyOf?.find((one) => one.type !== 'null');
  return real ? { ...resolved(real, root), ...schema, anyOf: undefined, nullable: true } : schema;
}

const titled = (name) => { const text = name.replaceAll('_', ' '); return text[0].toUpperCase() + text.slice(1); };
/** In the operator's language where the panel knows the word, else as the schema says it. */
const told = (group, name, otherwise) => { const found = t(`${group}.${name}`); return found === `${group}.${name}` ? otherwise : found; };
const labelOf = (name) => told('field', name, titled(name));
const hintOf = (name, schema) => told('hint', name, schema.description);
const aboutOf = (schema) => told('section', schema.title, schema.description);

/** What a new entry of a list begins with. */
function blank(schema, root) {
  const found = resolved(schema, root);
  if ('default' in found) return structuredClone(found.default);
  if (found.properties) return Object.fromEntries(Object.entries(found.properties).map(([name, part]) => [name, blank(part, root)]));
  return { array: [], boolean: false, number: 0, integer: 0, object: {} }[found.type] ?? (found.nullable ? null : '');
}

function kindOf(schema) {
  if (schema.enum) return 'select';
  if (schema.format === 'password' || schema.writeOnly) return 'secret';
  return { boolean: 'check', integer: 'number', number: 'number' }[schema.type] ?? 'text';
}

function read(text, schema) {
  if (schema.type === 'integer' || schema.type === 'number') return text === '' ? (schema.nullable ? null : 0) : Number(text);
  return text === '' && schema.nullable ? null : text;
}

function List({ name, schema, root, value, onChange, path, problem }) {
  const items = resolved(schema.items ?? {}, root);
  const change = (n, one) => onChange(value.map((old, at) => (at === n ? one : old)));
  if (items.enum) {
    const flip = (one, on) => onChange(on ? [...(value ?? []), one] : value.filter((old) => old !== one));
    return html`<fieldset class="stack group wide"><legend>${labelOf(name)}</legend><div class="form">${items.enum.map((one) => html`<${Field} key=${one} prefix=${`${path}-${name}`}
      field=${{ name: one, label: told('option', one, titled(one)), kind: 'check' }} value=${(value ?? []).includes(one)} onChange=${(on) => flip(one, on)} />`)}</div></fieldset>`;
  }
  if (!items.properties) {
    return html`<${Field} prefix=${path} field=${{ name, label: labelOf(name), kind: 'textarea', rows: 3, wide: true, hint: hintOf(name, schema) ?? t('settings.one_a_line') }} value=${(value ?? []).join('\n')}
      problem=${problem} onChange=${(text) => onChange(text.split('\n').map((line) => line.trim()).filter(Boolean).map((line) => read(line, items)))} />`;
  }
  return html`<fieldset class="stack group wide"><legend>${labelOf(name)}</legend>${aboutOf(items) && html`<p class="soft small">${aboutOf(items)}</p>`}
    ${(value ?? []).map((one, n) => html`<div class="panel stack" key=${n}><div class="row apart"><strong>${n + 1}. ${one.name ?? ''}</strong>
      <button type="button" class="button small plain" onClick=${() => onChange(value.filter((_, at) => at !== n))}>${t('remove')}</button></div>
      <${Properties} schema=${items} root=${root} value=${one} onChange=${(next) => change(n, next)} path=${`${path}-${n}`} /></div>`)}
    <div><button type="button" class="button small" onClick=${() => onChange([...(value ?? []), blank(items, root)])}><${Icon} name="plus" />${t('add')}</button></div></fieldset>`;
}

function Part({ name, schema, root, value, onChange, path, problem }) {
  const found = resolved(schema, root);
  if (found.type === 'array') return html`<${List} name=${name} schema=${found} root=${root} value=${value} onChange=${onChange} path=${path} problem=${problem} />`;
  if (found.properties) {
    return html`<fieldset class="stack group wide"><legend>${labelOf(name)}</legend>${aboutOf(found) && html`<p class="soft small">${aboutOf(found)}</p>`}
      <${Properties} schema=${found} root=${root} value=${value ?? blank(found, root)} onChange=${onChange} path=${`${path}-${name}`} /></fieldset>`;
  }
  if (found.type === 'object') {
    const parse = (text) => { try { onChange(JSON.parse(text)); } catch { /* not whole yet */ } };
    return html`<${Field} prefix=${path} field=${{ name, label: labelOf(name), kind: 'code', rows: 3, wide: true, hint: hintOf(name, found) }} value=${JSON.stringify(value ?? {}, null, 2)} onChange=${parse} />`;
  }
  const kind = kindOf(found);
  const options = found.enum?.map((one) => [one, told('option', one, titled(String(one)))]);
  return html`<${Field} prefix=${path} problem=${problem} value=${value} field=${{ name, label: labelOf(name), kind, options, min: found.minimum, max: found.maximum, step: found.type === 'number' ? 'any' : undefined, hint: hintOf(name, found), wide: kind === 'check' }}
    onChange=${(next) => onChange(kind === 'check' ? next : read(next, found))} />`;
}

function Properties({ schema, root, value, onChange, path, error }) {
  return html`<div class="form">${Object.entries(schema.properties).map(([name, part]) => html`<${Part} key=${name} name=${name} schema=${part} root=${root} value=${value?.[name]} path=${path}
    problem=${error?.param?.split(/[.[]/)[0] === name ? error.message : ''} onChange=${(next) => onChange({ ...value, [name]: next })} />`)}</div>`;
}

/** `value` is a whole document; every change gives a whole one back. */
export const SchemaForm = ({ schema, value, onChange, error }) => html`<${Properties} schema=${schema} root=${schema} value=${value} onChange=${onChange} path="setting" error=${error} />`;
