// What every file of the panel draws with.
import { h, render, Fragment } from '../vendor/preact.js';
import htm from '../vendor/htm.js';

export { useEffect, useLayoutEffect, useMemo, useRef, useState, useCallback } from '../vendor/preact-hooks.js';
export { signal, computed, effect, batch, useSignal, useComputed } from '../vendor/signals.js';
export { render, Fragment };
export const html = htm.bind(h);

/** Join class names, leaving out what is false. */
export const classes = (...names) => names.filter(Boolean).join(' ');
