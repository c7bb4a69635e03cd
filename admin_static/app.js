// The shell: who is signed in, where we are, and the page that belongs there.
import { html, render, classes, effect, signal, useEffect, useState } from './lib/dom.js';
import { session, whoami, remove } from './lib/api.js';
import { theme, lang, nextTheme } from './lib/preferences.js';
import { t } from './lib/i18n.js';
import { route, link } from './lib/router.js';
import { listen as listenKeys, PAGES } from './lib/shortcuts.js';
import { listen, stopListening } from './lib/live.js';
import { Icon, Mark } from './lib/ui/icons.js';
import { Dialog, Question, Toasts, attempt, toastHost } from './lib/ui/layers.js';
import { Door } from './pages/door.js';

const MENU = ['overview', 'tasks', 'playground', null, 'accounts', 'models', 'keys', 'characters', null, 'webhooks', 'logs', 'settings'];
const loaded = signal({}); // page name → its component
const helpShown = signal(false);
const sideShown = signal(false);

async function load(name) {
  if (loaded.value[name]) return;
  const found = await import(`./pages/${name}.js`).catch((error) => ({ error }));
  loaded.value = { ...loaded.value, [name]: found.Page ?? (() => html`<p class="trouble">${String(found.error)}</p>`) };
}

export const Switches = () => html`
  <button type="button" class="button plain small" id="lang" onClick=${() => { lang.value = lang.value === 'en' ? 'zh' : 'en'; }}
    aria-label=${t('language')}>${lang.value === 'en' ? '中文' : 'EN'}</button>
  <button type="button" class="button plain small icon-only" id="theme" onClick=${nextTheme}
    title=${t(`theme.${theme.value}`)} aria-label=${t(`theme.${theme.value}`)}>
    <${Icon} name=${{ auto: 'half', light: 'sun', dark: 'moon' }[theme.value]} /></button>`;

async function leave() {
  await attempt(() => remove('session'));
  await whoami();
}

function Side() {
  const here = route.value.page;
  return html`<div class=${classes('side', sideShown.value && 'open')} id="side">
    <a class="brand" href=${link('overview')}><${Mark} />Filmgate</a>
    <nav aria-label=${t('menu')}>${MENU.map((name, n) => (name === null ? html`<hr key=${n} />` : html`
      <a key=${name} href=${link(name)} aria-current=${here === name ? 'page' : undefined}><${Icon} name=${name} />${t(`page.${name}`)}</a>`))}</nav>
    <footer><span class="who clip" title=${session.value.admin.name}>${session.value.admin.name}</span>
      <${Switches} />
      <button type="button" class="button plain small icon-only" id="leave" onClick=${leave} title=${t('sign_out')} aria-label=${t('sign_out')}><${Icon} name="out" /></button></footer></div>`;
}

const Help = () => html`<${Dialog} size="small" title=${t('keyboard')} onClose=${() => { helpShown.value = false; }}>
  <dl class="facts">
    <dt><kbd>/</kbd></dt><dd>${t('search')}</dd><dt><kbd>Esc</kbd></dt><dd>${t('close')}</dd><dt><kbd>?</kbd></dt><dd>${t('keyboard')}</dd>
    ${Object.entries(PAGES).map(([key, name]) => html`<dt><kbd>g</kbd> <kbd>${key}</kbd></dt><dd>${t(`page.${name}`)}</dd>`)}
  </dl><//>`;

function Shell() {
  const { page } = route.value;
  const known = Object.values(PAGES).includes(page);
  const [failed, setFailed] = useState(null);
  useEffect(() => { if (known) load(page).catch(setFailed); sideShown.value = false; scrollTo(0, 0); }, [page]);
  useEffect(() => { listen(); return stopListening; }, []);
  const Page = loaded.value[page];
  return html`<div class="shell">
    <div class="topbar"><button type="button" class="button plain icon-only" aria-label=${t('menu')} aria-expanded=${sideShown.value}
        onClick=${() => { sideShown.value = !sideShown.value; }}><${Icon} name="menu" /></button>
      <a class="brand" href=${link('overview')}><${Mark} />Filmgate</a></div>
    ${sideShown.value && html`<button type="button" class="veil" aria-label=${t('close')} onClick=${() => { sideShown.value = false; }}></button>`}
    <${Side} />
    <main id="main" data-page=${page}>
      ${!known ? html`<p class="trouble">${t('no_page')} <a href=${link('overview')}>${t('page.overview')}</a></p>`
      : failed ? html`<p class="trouble">${failed.message}</p>`
      : Page ? html`<div class="page"><${Page} key=${page} /></div>` : null}</main></div>
    ${helpShown.value && html`<${Help} />`}`;
}

function App() {
  if (!session.value) return null;
  return html`${session.value.state === 'signed_in' ? html`<${Shell} />` : html`<${Door} Switches=${Switches} />`}<${Question} />`;
}

async function begin() {
  try {
    await whoami();
  } catch {
    setTimeout(begin, 2000);
  }
}

listenKeys({ help: () => { if (session.value?.state === 'signed_in' && !document.querySelector('dialog[open]')) helpShown.value = true; } });
effect(() => { if (route.value.page === 'setup' && session.value?.state === 'signed_in') location.hash = '#/overview'; });
render(html`<${App} />`, document.getElementById('app'));
render(html`<${Toasts} />`, toastHost);
begin();
