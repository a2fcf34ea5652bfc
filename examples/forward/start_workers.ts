/** Workers that share tasks, on all processors. */

import { BadInputError } from "../../lib/base/errors.ts";
import type { Answer, Question } from "./answer_tasks.ts";

/** More workers than this would each have too little to do. */
const MAX_WORKERS = 8;

/** Workers that stay, so that only the first task waits for them to load and to warm up. */
export interface Workers<Task, Result> {
  /**
   * Gives a task to all of them, after those that were given before.
   *
   * @returns What each made of its share, in the order of the shares.
   * @throws {BadInputError} The task is about weights that are not the model's.
   */
  run(task: Task): Promise<Result[]>;
  /** Stops the workers; until then they keep the process alive. */
  close(): void;
}

/**
 * Starts workers.
 *
 * @param url A module that calls `answerTasks()`.
 * @param purpose What they are for, as in "observe the denoiser".
 * @param count How many. Default: one for each processor.
 */
export function startWorkers<Task, Result>(
  url: URL,
  purpose: string,
  count: number = Math.min(navigator.hardwareConcurrency, MAX_WORKERS),
): Workers<Task, Result> {
  const workers = Array.from({ length: count }, () => new Worker(url, { type: "module" }));
  const failure = new Promise<never>((_resolve, reject) => {
    for (const worker of workers) {
      worker.onerror = (event) => {
        // Without this the event would end the process.
        event.preventDefault();
        reject(new Error(`Cannot ${purpose}: ${event.message}`));
      };
    }
  });
  // Those who wait will hear of it; so will those who ask later.
  failure.catch(() => {});
  const runNow = async (task: Task): Promise<Result[]> => {
    const answers = workers.map((worker, share) =>
      ask<Task, Result>(worker, { task, share, shares: count })
    );
    // All of them, also where the first is a refusal: no answer may be left for the next task.
    return (await Promise.race([Promise.all(answers), failure])).map(refuseError);
  };
  let last: Promise<unknown> = Promise.resolve();
  return {
    run(task) {
      const next = last.then(() => runNow(task));
      last = next.catch(() => {});
      return next;
    },
    close() {
      for (const worker of workers) worker.terminate();
    },
  };
}

function ask<Task, Result>(worker: Worker, question: Question<Task>): Promise<Answer<Result>> {
  return new Promise((resolve) => {
    worker.onmessage = ({ data }: MessageEvent<Answer<Result>>) => resolve(data);
    worker.postMessage(question);
  });
}

function refuseError<Result>(answer: Answer<Result>): Result {
  if ("result" in answer) return answer.result;
  throw answer.badInput ? new BadInputError(answer.error) : new Error(answer.error);
}
