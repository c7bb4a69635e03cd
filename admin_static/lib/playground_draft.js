// What stands in the playground's form: kept in this browser while it is typed, and under a name by the gateway.
import { effect, signal } from './dom.js';

export const EMPTY = {
  prompt: '',
  seconds: '',
  size: '',
  style: '',
  seed: '',
  negative_prompt: '',
  private: false,
  extra: '',
  pictures: { first_frame: [], last_frame: [], reference_image: [] },
  shots: [],
  characters: [],
};
const STORED = 'filmgate.playground';
const MOST_PICTURE_BYTES = 6_000_000; // of all pictures of a draft: the gateway takes 12 MB of text

const withoutPictures = (form) => Object.fromEntries(Object.entries(form).filter(([name]) => name !== 'pictures'));

function storedForm() {
  try {
    return { ...EMPTY, ...JSON.parse(localStorage.getItem(STORED) ?? '{}'), pictures: EMPTY.pictures };
  } catch {
    return EMPTY;
  }
}

/** The form; it stays while another page is looked at, and its texts when the page is loaded again. */
export const draft = signal(storedForm());
effect(() => localStorage.setItem(STORED, JSON.stringify(withoutPictures(draft.value))));

/** Nobody who signs in here next sees what was typed. */
export const forgetDraft = () => {
  draft.value = EMPTY;
  localStorage.removeItem(STORED);
};

export const isEmpty = (form) =>
  !form.prompt && !form.negative_prompt && !form.shots.length && Object.values(form.pictures).flat().length === 0;

const asBase64 = (file) =>
  new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(',') + 1));
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(file);
  });

const asFile = ({ name, type, data }) =>
  new File([Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0))], name, { type });

/** { inputs, left }: the form as a draft holds it, and how many pictures were too large to be kept with it. */
export async function writeDraft(form, model) {
  const pictures = [];
  let bytes = 0;
  let left = 0;
  for (const [role, list] of Object.entries(form.pictures))
    for (const { file } of list) {
      if (bytes + file.size > MOST_PICTURE_BYTES) {
        left += 1;
        continue;
      }
      bytes += file.size;
      pictures.push({ role, name: file.name, type: file.type, data: await asBase64(file) });
    }
  return { inputs: { ...withoutPictures(form), model, pictures }, left };
}

/** The form that `writeDraft` wrote, and its model. Fields that this version does not know are left out. */
export function readDraft({ model, pictures = [], ...texts }) {
  const known = Object.fromEntries(Object.entries(texts).filter(([name]) => name in EMPTY));
  const form = { ...EMPTY, ...known, pictures: structuredClone(EMPTY.pictures) };
  for (const picture of pictures) form.pictures[picture.role]?.push({ file: asFile(picture) });
  return { form, model };
}
