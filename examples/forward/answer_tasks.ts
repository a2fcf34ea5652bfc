/** The worker's side of `start_workers.ts`. */

import { BadInputError } from "../../lib/base/errors.ts";

/** What a worker is sent, any number of times. */
export interface Question<Task> {
  /** The same for all workers. */
  task: Task;
  /** Which share of it is asked for, from 0. */
  share: number;
  /** How many shares there are. */
  shares: number;
}

/** What it answers: its share, or why there is none; `badInput`: because of the weights. */
export type Answer<Result> = { result: Result } | { error: string; badInput: boolean };

/**
 * Makes this worker answer.
 *
 * @param run Does a share of a task.
 */
export function answerTasks<Task, Result>(
  run: (task: Task, share: number, shares: number) => Result,
): void {
  const answer = ({ task, share, shares }: Question<Task>): Answer<Result> => {
    try {
      return { result: run(task, share, shares) };
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      return { error: text, badInput: error instanceof BadInputError };
    }
  };
  const worker = globalThis as unknown as {
    onmessage: (event: MessageEvent<Question<Task>>) => void;
    postMessage: (message: Answer<Result>) => void;
  };
  worker.onmessage = ({ data }) => worker.postMessage(answer(data));
}
