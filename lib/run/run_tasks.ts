/** Runs many pieces of work, a few of them at a time. */

/** A piece of work, and how much of it there is. */
export interface Task {
  /** Source bytes. */
  bytes: number;
  /** Does it. */
  run: () => Promise<void>;
}

/**
 * Tasks under way at once: enough that no worker waits, and few enough that what a phase reads twice is
 * still in the page cache the second time.
 */
export const TASKS_AT_ONCE = 32;

/**
 * Runs tasks, the largest first, so that no worker is left with one at the end. After the first that
 * fails none is begun; those under way may still be when its error comes.
 *
 * @param count Tasks under way at once.
 */
export async function runTasks(
  tasks: readonly Task[],
  count: number = TASKS_AT_ONCE,
): Promise<void> {
  const waiting = tasks.toSorted((a, b) => b.bytes - a.bytes).values();
  let hasFailed = false;
  const lanes = Array.from({ length: count }, async () => {
    try {
      for (const task of waiting) {
        if (hasFailed) return;
        await task.run();
      }
    } catch (error) {
      hasFailed = true;
      throw error;
    }
  });
  await Promise.all(lanes);
}
