// A picture that is asked for only when it comes into sight: the gateway draws pictures of films on demand.
import { html, useEffect, useRef, useState } from '../dom.js';

const MARGIN = '120px'; // a browser's own lazy loading asks for what lies thousands of pixels below

/** Whether the element of `ref` is, or was, near the visible part of the page. */
function useSeen(ref) {
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const watcher = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        watcher.disconnect();
        setSeen(true);
      },
      { rootMargin: MARGIN },
    );
    watcher.observe(ref.current);
    return () => watcher.disconnect();
  }, []);
  return seen;
}

// The pictures of a few films can't be made.
const hideBroken = (event) => event.target.removeAttribute('src');

export function Still({ src, ...more }) {
  const image = useRef();
  const seen = useSeen(image);
  return html`<img ref=${image} src=${seen ? src : undefined} alt="" onError=${hideBroken} ...${more} />`;
}
