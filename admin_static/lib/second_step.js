// Signing in, in two steps where the admin has a second factor.
import { request, session } from './api.js';
import { useEffect, useState } from './dom.js';
import { t } from './i18n.js';

/**
 * For a form with a `code` beside what `body(values)` sends. `asked`: the password was right, and the code is missing;
 * `field` is its field then. `prefix` as that of the form's fields.
 */
export function useSecondStep(form, prefix) {
  const [asked, setAsked] = useState(false);
  useEffect(() => {
    if (asked) document.getElementById(`${prefix}-code`)?.focus();
  }, [asked]);
  const signIn = async (body) => {
    try {
      session.value = await request('POST', 'session', { body });
      return true;
    } catch (error) {
      if (error.code !== 'second_factor_needed') throw error;
      setAsked(true);
      return false;
    }
  };
  const back = () => {
    setAsked(false);
    form.set('code', '');
  };
  const field = {
    name: 'code',
    label: t('factor.code'),
    hint: t('factor.code_hint'),
    required: true,
    wide: true,
    autocomplete: 'one-time-code',
    when: () => asked,
  };
  return { asked, signIn, back, field };
}
