// One account in a drawer: state, cooldowns, outcomes, facts, and its actions.
import { html, useState } from '../lib/dom.js';
import { post, canWrite } from '../lib/api.js';
import { t, valueLabel } from '../lib/i18n.js';
import { cooldownText, testText } from '../lib/server_words.js';
import { formatDuration } from '../lib/format.js';
import { changePause } from '../lib/pausing.js';
import { pageLink } from '../lib/router.js';
import { useGet, LoadingNotice } from '../lib/api_hooks.js';
import { useServerEvent } from '../lib/event_stream.js';
import { StateBadge, OutcomeStrip, JsonBlock, RelativeTime } from '../lib/ui/elements.js';
import { AccountReason, EndTime } from '../lib/ui/account_reason.js';
import { Dialog, Drawer, runWithToast } from '../lib/ui/dialogs.js';
import { FormFields, FormButtons, useForm } from '../lib/ui/form.js';
import { AccountForm } from './account_form.js';
import { AccountFacts, ModelMap } from './account_facts.js';

// A vendor that only answers proves nothing about the key.
const TEST_TONES = { accepted: 'fine', reachable: 'caution' };

function CooldownList({ account, reload }) {
  if (account.cooldowns.length === 0) return null;
  const clearCooldown = (model) =>
    runWithToast(
      () => post(`accounts/${account.id}/clear`, { model }),
      t('account.cleared', { name: account.name }),
    ).then(reload);
  return html`<section class="stack">
    <h3>${t('account.cooldowns')}</h3>
    ${account.cooldowns.map(
      (cooldown) =>
        html`<div class="caution row apart" key=${cooldown.model}>
          <span>
            <strong>${cooldown.model === '*' ? t('account.whole') : cooldown.model}</strong> ·${' '}
            ${cooldownText(cooldown)}
            <br />
            <span class="small">
              ${t('account.since')} <${RelativeTime} at=${cooldown.since} /> ·${' '}
              <${EndTime} at=${cooldown.until} /> · ${t('account.strikes', { n: cooldown.strikes })}
            </span>
          </span>
          ${
            canWrite() &&
            html`<button type="button" class="button small" onClick=${() => clearCooldown(cooldown.model)}>
              ${t('account.clear')}
            </button>`
          }
        </div>`,
    )}
  </section>`;
}

function RotateSecret({ account, onClose, onDone }) {
  const form = useForm({ secret: '' });
  const submit = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      if (await runWithToast(() => post(`accounts/${account.id}/rotate`, values), t('account.rotated'))) onDone();
    });
  };
  return html`<${Dialog} size="small" title=${t('account.rotate')} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <${FormFields}
        form=${form}
        prefix="rotate"
        fields=${[
          {
            name: 'secret',
            label: t('account.new_secret'),
            kind: 'secret',
            wide: true,
            required: true,
            hint: t('account.rotate_hint'),
          },
        ]}
      />
      <div class="row">
        <${FormButtons} form=${form} label=${t('account.rotate')} onCancel=${onClose} />
      </div>
    </form>
  <//>`;
}

const pause = (account) => changePause('account', account.id, account.name, account.state === 'paused');

export function AccountDrawer({ id, actions, providers, onClose, onChange }) {
  const loaded = useGet(`accounts/${encodeURIComponent(id)}`);
  const [shown, show] = useState('');
  const [tested, setTested] = useState(null);
  useServerEvent('accounts', ({ ids }) => (!ids || ids.includes(loaded.data?.id)) && loaded.reload());
  const account = loaded.data;
  const changed = () => {
    loaded.reload();
    onChange();
  };
  const thenReload = (work) => async () => {
    await work(account);
    changed();
  };
  const runTest = async () => {
    setTested(await actions.test(account));
    loaded.reload();
  };
  const outcomes = (account?.outcomes ?? []).map((outcome) => ({
    tone: outcome.ok ? 'good' : 'bad',
    title: valueLabel('error', outcome.word ?? ''),
  }));
  return html`<${Drawer}
    title=${account?.name ?? t('page.accounts')}
    onClose=${onClose}
    side=${account && html`<${StateBadge} value=${account.state} group="account" />`}
  >
    ${
      !account
        ? html`<${LoadingNotice} ...${loaded} />`
        : html`
          ${
            (account.reason || account.until) &&
            html`<p class="caution">
              <${AccountReason} account=${account} whole=${true} />
            </p>`
          }
          ${
            tested &&
            html`<p class=${TEST_TONES[tested.verdict] ?? 'trouble'} id="test-result">
              ${testText(tested)} <span class="small">${formatDuration(tested.milliseconds / 1000)}</span>
            </p>`
          }
          ${
            canWrite() &&
            html`<div class="row">
              <button type="button" class="button main" onClick=${runTest}>
                ${t('account.do.test')}
              </button>
              ${
                account.enabled &&
                html`<button type="button" class="button" onClick=${thenReload(pause)}>
                  ${t(account.state === 'paused' ? 'pause.end' : 'pause.begin')}
                </button>`
              }
              ${
                !account.read_only &&
                html`
                  <button type="button" class="button" onClick=${() => show('edit')}>
                    ${t('account.edit')}
                  </button>
                  ${
                    account.enabled
                      ? html`
                        <button type="button" class="button" onClick=${thenReload(actions.disable)}>
                          ${t('account.do.disable')}
                        </button>
                        <button type="button" class="button" onClick=${thenReload(actions.drain)}>
                          ${t('account.do.drain')}
                        </button>
                      `
                      : html`<button type="button" class="button" onClick=${thenReload(actions.enable)}>
                        ${t('account.do.enable')}
                      </button>`
                  }
                  <button type="button" class="button" onClick=${() => show('rotate')}>
                    ${t('account.rotate')}
                  </button>
                  <button
                    type="button"
                    class="button plain"
                    onClick=${() => actions.remove(account).then((gone) => gone && onClose())}
                  >
                    ${t('delete')}
                  </button>
                `
              }
            </div>`
          }
          ${account.read_only && html`<p class="soft">${valueLabel('read_only', account.source)}</p>`}
          <${CooldownList} account=${account} reload=${changed} />
          <section>
            <h3>${t('account.recent')}</h3>
            <${OutcomeStrip} outcomes=${outcomes} />
          </section>
          <${AccountFacts} account=${account} />
          <${ModelMap} models=${account.models} />
          ${
            Object.keys(account.options ?? {}).length > 0 &&
            html`<section>
              <h3>${t('account.options')}</h3>
              <${JsonBlock} value=${account.options} />
            </section>`
          }
          <a href=${pageLink('tasks', { account: account.id })}>${t('account.its_tasks')}</a>
          ${
            shown === 'edit' &&
            html`<${AccountForm}
              account=${account}
              providers=${providers}
              onClose=${() => show('')}
              onDone=${() => {
                show('');
                changed();
              }}
            />`
          }
          ${
            shown === 'rotate' &&
            html`<${RotateSecret}
              account=${account}
              onClose=${() => show('')}
              onDone=${() => {
                show('');
                changed();
              }}
            />`
          }
        `
    }
  <//>`;
}
