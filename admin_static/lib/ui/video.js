// A finished film that plays, or what stands in its place.
import { html, useState } from '../dom.js';
import { t } from '../i18n.js';
import { Progress } from './bits.js';

/** `src` is under this origin, so Range and the policy hold. `kind`: video, image, audio. */
export function VideoPlayer({ src, poster, kind = 'video', progress, words, muted }) {
  const [broken, setBroken] = useState('');
  if (!src) {
    return html`<div class="film"><div class="waiting">${progress == null ? null : html`<${Progress} value=${progress} />`}<span>${words}</span></div></div>`;
  }
  if (broken === src) return html`<div class="film"><div class="waiting">${t('video.broken')}</div></div>`;
  const failed = () => setBroken(src);
  if (kind === 'image') return html`<div class="film"><img src=${src} alt="" onError=${failed} /></div>`;
  if (kind === 'audio') return html`<div class="film"><audio controls src=${src} onError=${failed}></audio></div>`;
  return html`<div class="film"><video controls playsinline preload="metadata" key=${src} src=${src} poster=${poster} muted=${muted} onError=${failed}></video></div>`;
}
