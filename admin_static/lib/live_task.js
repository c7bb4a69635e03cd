// One task, kept up to date by the event stream.
import { useGet } from './api_hooks.js';
import { useServerEvent, usePolling } from './event_stream.js';

const POLL_SECONDS = 2;

export const hasEnded = (task) => ['completed', 'failed', 'cancelled'].includes(task.state);

/** What `useGet` returns for a task; `id` as the address or another row names it. */
export function useLiveTask(id) {
  const loaded = useGet(`tasks/${encodeURIComponent(id)}`);
  const task = loaded.data;
  useServerEvent('task', (news) => {
    if (news.id !== (task?.id ?? id)) return;
    // News that comes while the task is being read for the first time may be newer than what is read.
    if (!task || news.state !== task.state || news.state === 'queued') loaded.reload();
    else loaded.set({ ...task, ...news });
  });
  usePolling(() => task && !hasEnded(task) && loaded.reload(), POLL_SECONDS);
  return loaded;
}
