// Plays the file of a finished task, or shows its progress or why there is no file.
import { html, useState } from '../dom.js';
import { t } from '../i18n.js';
import { ProgressBar } from './elements.js';

/** `src` has the origin of the panel, as its content security policy demands. `kind`: video, image, audio. */
export function MediaPlayer({ src, poster, kind = 'video', progress, words, muted }) {
  const [broken, setBroken] = useState('');
  if (!src) {
    return html`<div class="film">
      <div class="waiting">
        ${progress == null ? null : html`<${ProgressBar} value=${progress} />`}
        <span>${words}</span>
      </div>
    </div>`;
  }
  if (broken === src)
    return html`<div class="film">
      <div class="waiting">${t('video.broken')}</div>
    </div>`;
  const onFailed = () => setBroken(src);
  if (kind === 'image')
    return html`<div class="film">
      <img src=${src} alt="" onError=${onFailed} />
    </div>`;
  if (kind === 'audio')
    return html`<div class="film">
      <audio controls src=${src} onError=${onFailed}></audio>
    </div>`;
  return html`<div class="film">
    <video
      controls
      playsinline
      preload="metadata"
      key=${src}
      src=${src}
      poster=${poster}
      muted=${muted}
      onError=${onFailed}
    ></video>
  </div>`;
}
