/** Shows which of several steps runs, from its first moment: one changing line on a terminal, a line a step elsewhere. */

/** Where it is shown, and the clock. */
export interface StepsIo {
  /** Writes text. */
  write: (text: string) => void;
  /** Whether lines can be overwritten there. */
  isTerminal: boolean;
  /** Milliseconds on any monotonic clock. */
  now: () => number;
  /** Calls a function again and again until the function that it returns is called. */
  repeat: (draw: () => void) => () => void;
}

/** Steps that follow each other. */
export interface Steps {
  /** Runs the next one. */
  run<T>(title: string, work: () => T | Promise<T>): Promise<T>;
}

/** Begins a number of steps. */
export function showSteps(io: StepsIo, total: number): Steps {
  let done = 0;
  return {
    async run(title, work) {
      const start = io.now();
      const line = `[${++done}/${total}] ${title}`;
      const draw = () => io.write(`\r\x1b[K${line} ${((io.now() - start) / 1000).toFixed(1)} s`);
      if (io.isTerminal) draw();
      else io.write(`${line}\n`);
      const stop = io.isTerminal ? io.repeat(draw) : undefined;
      try {
        return await work();
      } finally {
        stop?.();
        if (io.isTerminal) io.write("\r\x1b[K");
      }
    },
  };
}
