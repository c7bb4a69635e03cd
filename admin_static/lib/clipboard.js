// Copying, wherever the panel is opened: browsers offer no clipboard on plain http, as in a LAN.

/** Resolves to whether the text is in the clipboard. */
export async function copyToClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const field = document.createElement('textarea');
  field.value = text;
  field.readOnly = true;
  // Everything outside of an open dialog is inert, and can't be selected.
  const top = [...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body;
  const focused = document.activeElement;
  top.append(field);
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  focused?.focus?.({ preventScroll: true });
  return done;
}
