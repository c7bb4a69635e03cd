// Preact, its hooks and signals, and the `html` template tag.
import { h, render, Fragment } from '../vendor/preact.js';
import htm from '../vendor/htm.js';

export { useEffect, useId, useLayoutEffect, useMemo, useRef, useState, useCallback } from '../vendor/preact-hooks.js';
export { signal, computed, effect, batch, useSignal, useComputed } from '../vendor/signals.js';
export { render, Fragment };
export const html = htm.bind(h);

/** Join class names; falsy ones are left out. */
export const classNames = (...names) => names.filter(Boolean).join(' ');
