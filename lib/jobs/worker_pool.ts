/** The wasm backend on several cores: one worker each, jobs to whoever is free. */

import { BadInputError } from "../base/errors.ts";
import type { Backend } from "./backend.ts";
import type { OnBytes } from "./desk.ts";
import type { Reply } from "./messages.ts";
import type { Job, ResultOf } from "./verbs.ts";

/** Jobs a worker has at once: enough that it never waits for this thread to hand it the next. */
const JOBS_PER_WORKER = 8;

/** The worker's module. */
const WORKER = new URL("./worker.ts", import.meta.url);

/**
 * Never called: an import that Deno sees makes the worker, and what it needs, a part of the program, so
 * that they are fetched with it and not when the work has begun.
 */
export const importWorker = (): Promise<unknown> => import("./worker.ts");

/** Whether the permissions of this run let a worker load its module: reading it, or importing from its host. */
export function mayStartWorkers(): boolean {
  const { state } = Deno.permissions.querySync(
    WORKER.protocol === "file:"
      ? { name: "read", path: WORKER }
      : { name: "import", host: WORKER.host },
  );
  return state === "granted";
}

interface Pending {
  job: Job;
  resolve: (result: ResultOf<Job>) => void;
  reject: (error: Error) => void;
}

/**
 * Starts a pool.
 *
 * @param size Workers, at least 1.
 * @param onBytes Told of source bytes worked through; what it throws fails every call.
 */
export function createPool(size: number, onBytes: OnBytes): Backend {
  const waiting: Pending[] = [];
  const running = new Map<number, Pending>();
  let nextId = 0;
  let failure: Error | undefined;

  const members = Array.from({ length: size }, () => {
    const worker = new Worker(WORKER, { type: "module" });
    const member = { worker, jobs: 0 };
    worker.onmessage = ({ data }: MessageEvent<Reply>) => receive(member, data);
    worker.onerror = (event) => {
      // Without this the event would end the process before the run can clean up.
      event.preventDefault();
      fail(new Error(`A worker failed: ${event.message}`));
    };
    return member;
  });

  type Member = typeof members[number];

  function receive(member: Member, reply: Reply): void {
    if (reply.kind === "progress") {
      report(reply.bytes);
      return;
    }
    const pending = running.get(reply.id);
    running.delete(reply.id);
    member.jobs--;
    dispatch();
    if (reply.kind === "done") return pending?.resolve(reply.result);
    pending?.reject(
      reply.isBadInput ? new BadInputError(reply.message) : new Error(reply.message),
    );
  }

  /** Progress may say that the run is to stop. */
  async function report(bytes: number): Promise<void> {
    try {
      await onBytes(bytes);
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  function fail(error: Error): void {
    failure ??= error;
    for (const { reject } of [...running.values(), ...waiting.splice(0)]) reject(error);
    running.clear();
  }

  function dispatch(): void {
    while (waiting.length > 0 && failure === undefined) {
      const member = members.reduce((a, b) => b.jobs < a.jobs ? b : a);
      if (member.jobs >= JOBS_PER_WORKER) return;
      const pending = waiting.shift()!;
      const id = nextId++;
      running.set(id, pending);
      member.jobs++;
      member.worker.postMessage({ id, job: pending.job });
    }
  }

  return {
    name: "wasm",
    description: `SIMD WebAssembly in ${size} workers`,
    run<J extends Job>(job: J): Promise<ResultOf<J>> {
      return new Promise<ResultOf<Job>>((resolve, reject) => {
        if (failure !== undefined) return reject(failure);
        waiting.push({ job, resolve, reject });
        dispatch();
      }) as Promise<ResultOf<J>>;
    },
    close() {
      fail(new Error("The pool is closed"));
      for (const { worker } of members) worker.terminate();
    },
  };
}
