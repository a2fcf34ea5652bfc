/** Runs many pieces of work, a few of them at a time. */

/**
 * Tasks under way at once: enough that no worker waits, and few enough that what a phase reads twice is
 * still in the page cache the second time.
 */
export const TASKS_AT_ONCE = 32;

/**
 * Runs tasks, the largest first, so that no worker is left with one at the end. After the first that
 * fails none is begun; those under way may still be when its error comes.
 *
 * @param tasks Plain data with the source bytes of each, since there may be hundreds of thousands.
 * @param run Does one.
 * @param count Tasks under way at once.
 */
export async function runTasks<Task extends { bytes: number }>(
  tasks: readonly Task[],
  run: (task: Task) => Promise<void>,
  count: number = TASKS_AT_ONCE,
): Promise<void> {
  const waiting = tasks.toSorted((a, b) => b.bytes - a.bytes).values();
  let hasFailed = false;
  const lanes = Array.from({ length: count }, async () => {
    try {
      for (const task of waiting) {
        if (hasFailed) return;
        await run(task);
      }
    } catch (error) {
      hasFailed = true;
      throw error;
    }
  });
  await Promise.all(lanes);
}
