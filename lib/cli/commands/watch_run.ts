/** Lets the outside world in while a run computes: progress is drawn and signals are heard. */

import { refuseAborted } from "../../run/stop_on_abort.ts";
import { Progress } from "../report_progress.ts";
import type { Io } from "./io.ts";

/** Longest time the event loop is kept from its other work, in milliseconds. */
const MAX_BUSY = 50;

/** A watched run. */
export interface Watch {
  /** To be called after each piece of work; throws `InterruptedError` when the run is to stop. */
  onProgress: (tensor: string, bytes: number) => Promise<void>;
  /** Takes the bar off the screen. */
  clear: () => void;
}

/** Starts watching a run over `total` source bytes. From now on signals are heard. */
export function watchRun(io: Io, total: number): Watch {
  const { signal } = io;
  const progress = new Progress(
    { write: io.stderr, columns: io.columns, now: io.now },
    total,
  );
  let yielded = io.now();
  return {
    async onProgress(tensor, bytes) {
      progress.advance(tensor, bytes);
      if (io.now() - yielded > MAX_BUSY) {
        await new Promise((resume) => setTimeout(resume, 0));
        yielded = io.now();
      }
      refuseAborted(signal);
    },
    clear: () => progress.clear(),
  };
}
