// Pauses of models and accounts: their tasks wait, and nothing new is sent.
import { post } from './api.js';
import { t } from './i18n.js';
import { runWithToast } from './ui/dialogs.js';

/** Begins a pause, or ends it where it `isPaused`. `name` is the name in the API, `shown` the one that is shown. */
export const changePause = (side, name, shown, isPaused) =>
  runWithToast(
    () => post(isPaused ? 'pauses/end' : 'pauses', { side, name }),
    t(isPaused ? 'pause.ended' : 'pause.begun', { name: shown }),
  );
