// The front page's verdict: one line for each model, with what mends it beside it.
import { html, classNames, useState } from '../lib/dom.js';
import { get, post, canWrite } from '../lib/api.js';
import { listText, t } from '../lib/i18n.js';
import { testText } from '../lib/server_words.js';
import { pageLink } from '../lib/router.js';
import { readiness, loadReadiness, verdictText } from '../lib/readiness.js';
import { askConfirmation, runWithToast } from '../lib/ui/dialogs.js';

const FIRST_SHOWN = 6;
const FEW = 0.25; // a smaller share of ready accounts is a warning
const TESTS_AT_ONCE = 4;
const MOST_TESTED = 50;
const NAMED = 5;

const blockedCount = (row, ...codes) => codes.reduce((sum, code) => sum + (row.blocked[code]?.count ?? 0), 0);

/** The accounts of a model with one of these verdicts of `/explain`. */
async function accountsOf(row, verdicts) {
  const found = await get('explain', { model: row.model, kind: row.kind });
  return found.data.filter((each) => verdicts.includes(each.verdict));
}

/** `done(account)` for each, a few at a time. */
async function forEach(accounts, done) {
  const left = [...accounts];
  const work = async () => {
    while (left.length) await done(left.shift());
  };
  await Promise.all(Array.from({ length: TESTS_AT_ONCE }, work));
}

function namesOf(accounts) {
  const names = accounts.slice(0, NAMED).map((each) => each.account);
  return accounts.length > NAMED ? `${listText(names)} … (${accounts.length})` : listText(names);
}

/** Tests the accounts that are blocked, or all where none is; the results stay until the next test. */
function useTests(row) {
  const [tests, setTests] = useState(null);
  const run = () =>
    runWithToast(async () => {
      const blocked = await accountsOf(row, ['cooling', 'quota_exhausted', 'disabled', 'expired']);
      const usable = blocked.length ? blocked : await accountsOf(row, ['chosen', 'candidate', 'busy']);
      const accounts = usable.slice(0, MOST_TESTED);
      let state = { done: 0, all: accounts.length, passed: [], failed: [] };
      setTests(state);
      await forEach(accounts, async (account) => {
        const result = await post(`accounts/${account.account_id}/test`).catch((error) => error);
        const list = result.ok ? 'passed' : 'failed';
        state = { ...state, done: state.done + 1, [list]: [...state[list], { ...account, text: testText(result) }] };
        setTests(state);
      });
    }).then(loadReadiness);
  return { tests, run };
}

const changeAll = async (row, action, verdicts) => {
  const accounts = await accountsOf(row, verdicts);
  const question = {
    title: t(`verdict.${action}_many`, { n: accounts.length }),
    text: namesOf(accounts),
    action: t(`verdict.${action}`),
    danger: false,
  };
  if (accounts.length === 0 || !(await askConfirmation(question))) return;
  const ids = accounts.map((each) => each.account_id);
  await runWithToast(
    () => post('accounts/bulk', { ids, action }),
    (answer) =>
      t('accounts.bulk_done', { good: answer.data.filter((each) => each.ok).length, all: answer.data.length }),
  );
  await loadReadiness();
};

function TestResults({ tests }) {
  if (!tests) return null;
  if (tests.done < tests.all)
    return html`<p class="small soft" role="status">${t('verdict.testing', { n: tests.done, all: tests.all })}</p>`;
  return html`<ul class="small" role="status">
    ${
      tests.passed.length > 0 &&
      html`<li class="good">
        ${t('verdict.passed', { n: tests.passed.length })}: ${namesOf(tests.passed)}
      </li>`
    }
    ${tests.failed.map(
      (each) =>
        html`<li class="bad" key=${each.account_id}>
          <a href=${pageLink(`accounts/${each.account_id}`)}>${each.account}</a>: ${each.text}
        </li>`,
    )}
  </ul>`;
}

function VerdictActions({ row, run, busy }) {
  const cooling = blockedCount(row, 'cooling', 'quota_exhausted');
  const disabled = blockedCount(row, 'disabled');
  const button = (name, onClick) =>
    html`<button type="button" class="button small" disabled=${busy} onClick=${onClick}>
      ${t(`verdict.${name}`)}
    </button>`;
  return html`<span class="row tight">
    ${canWrite() && row.accounts > 0 && button('test', run)}
    ${canWrite() && cooling > 0 && button('clear', () => changeAll(row, 'clear', ['cooling', 'quota_exhausted']))}
    ${canWrite() && disabled > 0 && button('enable', () => changeAll(row, 'enable', ['disabled']))}
    ${
      canWrite() &&
      row.ready === 0 &&
      html`<a class="button small" href=${pageLink('accounts', { add: '1' })}>${t('verdict.add')}</a>`
    }
    <a class="button small plain" href=${pageLink('models', { tab: 'why', model: row.model, kind: row.kind })}>
      ${t('verdict.why')}
    </a>
  </span>`;
}

function VerdictRow({ row }) {
  const { tests, run } = useTests(row);
  const few = row.full === row.ready || row.ready < row.accounts * FEW;
  const tone = row.ready === 0 ? (row.asked ? 'bad' : 'quiet') : few ? 'warn' : 'good';
  const waiting = row.waiting > 0 && t('verdict.waiting', { n: row.waiting });
  return html`<li class=${classNames('verdict', tone)} data-model=${row.model}>
    <div class="row apart">
      <span class="grow">
        <strong>${row.model}</strong>: ${verdictText(row)}
        ${waiting && html`${' · '}<a href=${pageLink('tasks', { state: 'queued', model: row.model })}>${waiting}</a>`}
      </span>
      <${VerdictActions} row=${row} run=${run} busy=${Boolean(tests && tests.done < tests.all)} />
    </div>
    <${TestResults} tests=${tests} />
  </li>`;
}

export function ModelVerdicts() {
  const [all, showAll] = useState(false);
  const rows = readiness.value;
  if (!rows?.length) return null;
  const urgent = rows.filter((row) => row.asked && row.ready === 0).length;
  const shown = all ? rows : rows.slice(0, Math.max(FIRST_SHOWN, urgent));
  return html`<section aria-label=${t('verdict.title')}>
    <ul class="verdicts">
      ${shown.map((row) => html`<${VerdictRow} key=${row.model + row.kind} row=${row} />`)}
    </ul>
    ${
      rows.length > shown.length &&
      html`<button type="button" class="text-button" onClick=${() => showAll(true)}>
        ${t('verdict.more', { n: rows.length - shown.length })}
      </button>`
    }
  </section>`;
}
