// What the playground sends: the request of its form, with its pictures, and its price.
import { useEffect, useState } from './dom.js';
import { post, canWrite } from './api.js';
import { parseJson } from './form_values.js';

/** The request body; empty fields are left out. */
export function requestBody(form, model) {
  const body = { model, prompt: form.prompt };
  for (const name of ['seconds', 'size', 'style', 'negative_prompt'])
    if (form[name]) body[name] = name === 'seconds' ? Number(form[name]) : form[name];
  if (form.seed !== '') body.seed = Number(form.seed);
  if (form.private) body.private = true;
  if (form.shots.length)
    body.shots = form.shots.map((shot) => ({ seconds: Number(shot.seconds), prompt: shot.prompt }));
  if (form.characters.length) body.characters = form.characters;
  if (form.extra.trim()) body.extra = parseJson(form.extra, 'extra');
  return body;
}

export function withFiles(body, pictures) {
  const files = Object.entries(pictures).flatMap(([role, list]) => list.map((picture) => [role, picture]));
  if (files.length === 0) return body;
  const parts = new FormData();
  for (const [name, value] of Object.entries(body))
    parts.append(name, typeof value === 'object' ? JSON.stringify(value) : String(value));
  for (const [role, picture] of files) parts.append(role, picture.file, picture.file.name);
  return parts;
}

/** Whether there is a prompt, or one for every shot. */
export const isComplete = (form) =>
  form.shots.length ? form.shots.every((shot) => shot.prompt.trim() && Number(shot.seconds) > 0) : form.prompt.trim();

/** What a request costs depends on little of it. */
const quotedForm = (form) => ({
  ...form,
  extra: '',
  characters: [],
  prompt: '…',
  shots: form.shots.map((shot) => ({ ...shot, prompt: '…' })),
});

export const quote = (form, model) => post('playground/quote', requestBody(quotedForm(form), model));

/** Creates the task; `account`: the id of the only one that may make it. */
export const send = (form, model, account) =>
  post('playground', withFiles({ ...requestBody(form, model), ...(account ? { account } : {}) }, form.pictures));

/** The price of the form, requested 250 ms after the last change. Viewers may not request it. */
export function usePrice(form, model) {
  const [shown, setShown] = useState(null);
  const quoteKey = JSON.stringify([model, form.seconds, form.size, form.shots.map((shot) => shot.seconds)]);
  useEffect(() => {
    if (!model || !canWrite()) return undefined;
    let outdated = false;
    const timer = setTimeout(async () => {
      const loaded = await quote(form, model).catch((error) => ({ error }));
      if (!outdated) setShown(loaded);
    }, 250);
    return () => {
      outdated = true;
      clearTimeout(timer);
    };
  }, [quoteKey]);
  return shown;
}
