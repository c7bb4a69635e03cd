// Theme and language: stored in this browser and set on the root element.
import { signal, effect } from './dom.js';

const storedPreference = (name, fallback) => {
  const stored = signal(localStorage.getItem(`filmgate.${name}`) || fallback);
  effect(() => localStorage.setItem(`filmgate.${name}`, stored.value));
  return stored;
};

export const theme = storedPreference('theme', 'auto'); // auto, light, dark
export const lang = storedPreference('lang', navigator.language.startsWith('zh') ? 'zh' : 'en');

const systemDark = matchMedia('(prefers-color-scheme: dark)');
export const dark = signal(false);
const applyTheme = () => {
  dark.value = theme.value === 'dark' || (theme.value === 'auto' && systemDark.matches);
  document.documentElement.dataset.theme = dark.value ? 'dark' : 'light';
};
systemDark.addEventListener('change', applyTheme);
effect(applyTheme);
effect(() => {
  document.documentElement.lang = lang.value === 'zh' ? 'zh-CN' : 'en';
});

export const nextTheme = () => {
  theme.value = { auto: 'light', light: 'dark', dark: 'auto' }[theme.value];
};
