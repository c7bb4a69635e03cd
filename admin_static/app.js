// Entry point of the panel: sign-in, sidebar, and the page that the address names.
import { html, render, classNames, effect, signal, useEffect, useState } from './lib/dom.js';
import { session, loadSession, remove } from './lib/api.js';
import { theme, lang, nextTheme } from './lib/preferences.js';
import { loadAllTexts, t } from './lib/i18n.js';
import { errorText } from './lib/server_words.js';
import { askBeforeLeaving, mayLeave, route, pageLink } from './lib/router.js';
import { listenForShortcuts, PAGES } from './lib/shortcuts.js';
import { LoadingNotice } from './lib/api_hooks.js';
import { startListening, stopListening, reconnects } from './lib/event_stream.js';
import { Icon, BrandMark } from './lib/ui/icons.js';
import {
  askConfirmation,
  Dialog,
  ConfirmationDialog,
  ToastList,
  runWithToast,
  showToast,
  toastHost,
} from './lib/ui/dialogs.js';
import { forgetDraft } from './lib/playground_draft.js';
import { SessionLayer } from './lib/ui/session_layer.js';
import { Warnings } from './lib/ui/warnings.js';
import { SignInPage } from './pages/sign_in.js';

const MENU = [
  'overview',
  'films',
  'tasks',
  'playground',
  null,
  'accounts',
  'models',
  'keys',
  'characters',
  null,
  'webhooks',
  'logs',
  'settings',
];
const OTHER_PAGES = ['compare', 'projects']; // reached from others
const pageComponents = signal({}); // page name → its component
const helpOpen = signal(false);
const sidebarOpen = signal(false);

let attempts = 0;

/** Loads a page once. Browsers remember a module that failed, so a further attempt asks for another address. */
async function loadPage(name) {
  if (pageComponents.value[name]) return;
  const address = `./pages/${name}.js${attempts ? `?attempt=${attempts}` : ''}`;
  try {
    const [{ Page }] = await Promise.all([import(address), name !== MENU[0] && loadAllTexts()]);
    pageComponents.value = { ...pageComponents.value, [name]: Page };
  } catch (error) {
    attempts += 1;
    throw error;
  }
}

export const PreferenceButtons = () =>
  html`
    <button
      type="button"
      class="button plain small"
      id="lang"
      onClick=${() => {
        lang.value = lang.value === 'en' ? 'zh' : 'en';
      }}
      aria-label=${t('language')}
    >
      ${lang.value === 'en' ? '中文' : 'EN'}
    </button>
    <button
      type="button"
      class="button plain small icon-only"
      id="theme"
      onClick=${nextTheme}
      title=${t(`theme.${theme.value}`)}
      aria-label=${t(`theme.${theme.value}`)}
    >
      <${Icon} name=${{ auto: 'half', light: 'sun', dark: 'moon' }[theme.value]} />
    </button>
  `;

async function signOut() {
  if (!(await mayLeave())) return;
  forgetDraft();
  await runWithToast(() => remove('session'));
  await loadSession({ leave: true });
}

function Sidebar() {
  const currentPage = route.value.page;
  return html`<aside class=${classNames('side', sidebarOpen.value && 'open')} id="side" aria-label="Filmgate">
    <a class="brand" href=${pageLink('overview')}>
      <${BrandMark} />
      Filmgate
    </a>
    <nav aria-label=${t('menu')}>
      ${MENU.map((name, n) =>
        name === null
          ? html`<hr key=${n} />`
          : html`<a key=${name} href=${pageLink(name)} aria-current=${currentPage === name ? 'page' : undefined}>
            <${Icon} name=${name} />
            ${t(`page.${name}`)}
          </a>`,
      )}
    </nav>
    <footer>
      <span class="who clip" title=${session.value.admin.name}>
        ${session.value.admin.name}
      </span>
      <${PreferenceButtons} />
      <button
        type="button"
        class="button plain small icon-only"
        id="sign-out"
        onClick=${signOut}
        title=${t('sign_out')}
        aria-label=${t('sign_out')}
      >
        <${Icon} name="out" />
      </button>
    </footer>
  </aside>`;
}

/** The address names a page here, so the link moves the focus itself. */
function skipToMain(event) {
  event.preventDefault();
  document.getElementById('main').focus();
}

const ShortcutHelp = () =>
  html`<${Dialog}
    size="small"
    title=${t('keyboard')}
    onClose=${() => {
      helpOpen.value = false;
    }}
  >
    <dl class="facts">
      <dt>
        <kbd>/</kbd>
      </dt>
      <dd>${t('search')}</dd>
      <dt>
        <kbd>Esc</kbd>
      </dt>
      <dd>${t('close')}</dd>
      <dt>
        <kbd>?</kbd>
      </dt>
      <dd>${t('keyboard')}</dd>
      ${Object.entries(PAGES).map(
        ([key, name]) =>
          html`
            <dt>
              <kbd>g</kbd> <kbd>${key}</kbd>
            </dt>
            <dd>${t(`page.${name}`)}</dd>
          `,
      )}
    </dl>
  <//>`;

function PanelShell() {
  const { page } = route.value;
  const known = MENU.includes(page) || OTHER_PAGES.includes(page);
  const [failed, setFailed] = useState(null);
  const load = () => {
    setFailed(null);
    if (known) loadPage(page).catch(setFailed);
  };
  useEffect(load, [page, reconnects.value]);
  useEffect(() => {
    sidebarOpen.value = false;
    scrollTo(0, 0);
  }, [page]);
  useEffect(() => {
    startListening();
    return stopListening;
  }, []);
  const Page = pageComponents.value[page];
  return html`
    <a class="skip" href="#main" onClick=${skipToMain}>${t('skip')}</a>
    <div class="shell">
      <header class="topbar">
        <button
          type="button"
          class="button plain icon-only"
          aria-label=${t('menu')}
          aria-expanded=${sidebarOpen.value}
          onClick=${() => {
            sidebarOpen.value = !sidebarOpen.value;
          }}
        >
          <${Icon} name="menu" />
        </button>
        <a class="brand" href=${pageLink('overview')}>
          <${BrandMark} />
          Filmgate
        </a>
      </header>
      ${
        sidebarOpen.value &&
        html`<button
          type="button"
          class="veil"
          aria-label=${t('close')}
          onClick=${() => {
            sidebarOpen.value = false;
          }}
        ></button>`
      }
      <${Sidebar} />
      <main id="main" tabindex="-1" data-page=${page}>
        <${Warnings} />
        ${
          !known
            ? html`<p class="trouble">
              ${t('no_page')} <a href=${pageLink('overview')}>${t('page.overview')}</a>
            </p>`
            : failed
              ? html`<${LoadingNotice} error=${{ message: t('page_failed') }} reload=${load} />`
              : Page
                ? html`<div class="page">
                  <${Page} key=${page} />
                </div>`
                : null
        }
      </main>
    </div>
    ${helpOpen.value && html`<${ShortcutHelp} />`}
  `;
}

function FactorGate() {
  useEffect(() => {
    loadPage('second_factor').catch((error) => showToast(errorText(error), 'bad'));
  }, []);
  const Page = pageComponents.value.second_factor;
  return html`<main class="sign-in">
    <div class="sign-in-box">
      <span class="brand">
        <${BrandMark} />
        Filmgate
      </span>
      ${Page && html`<${Page} />`}
      <div class="preferences">
        <${PreferenceButtons} />
        <button type="button" class="button plain small" onClick=${signOut}>${t('sign_out')}</button>
      </div>
    </div>
  </main>`;
}

function PanelApp() {
  if (!session.value) return null;
  return html`
    ${
      session.value.state === 'signed_in'
        ? html`<${session.value.lacks_factor ? FactorGate : PanelShell} />`
        : html`<${SignInPage} PreferenceButtons=${PreferenceButtons} />`
    }
    <${SessionLayer} />
    <${ConfirmationDialog} />
  `;
}

async function startPanel() {
  try {
    await loadSession();
  } catch {
    setTimeout(startPanel, 2000);
  }
}

listenForShortcuts({
  help: () => {
    if (session.value?.state === 'signed_in' && !document.querySelector('dialog[open]')) helpOpen.value = true;
  },
});
askBeforeLeaving(() => askConfirmation({ title: t('leave.title'), text: t('leave.text'), action: t('leave.action') }));
effect(() => {
  if (route.value.page === 'setup' && session.value?.state === 'signed_in') location.hash = '#/overview';
});
render(html`<${PanelApp} />`, document.getElementById('app'));
render(html`<${ToastList} />`, toastHost);
startPanel();
