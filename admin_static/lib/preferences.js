// Theme, density and language: kept in this browser, put on the root element.
import { signal, effect } from './dom.js';

const kept = (name, fallback) => {
  const stored = signal(localStorage.getItem(`filmgate.${name}`) || fallback);
  effect(() => localStorage.setItem(`filmgate.${name}`, stored.value));
  return stored;
};

export const theme = kept('theme', 'auto'); // auto, light, dark
export const lang = kept('lang', navigator.language.startsWith('zh') ? 'zh' : 'en');

const systemDark = matchMedia('(prefers-color-scheme: dark)');
export const dark = signal(false);
const settle = () => {
  dark.value = theme.value === 'dark' || (theme.value === 'auto' && systemDark.matches);
  document.documentElement.dataset.theme = dark.value ? 'dark' : 'light';
};
systemDark.addEventListener('change', settle);
effect(settle);
effect(() => { document.documentElement.lang = lang.value === 'zh' ? 'zh-CN' : 'en'; });

export const nextTheme = () => {
  theme.value = { auto: 'light', light: 'dark', dark: 'auto' }[theme.value];
};
