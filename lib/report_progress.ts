/** Progress on standard error: a bar on a terminal, a line every ten seconds elsewhere. */

import { escapeText } from "./escape_text.ts";

/** Where progress goes, and what time it is. */
export interface ProgressIo {
  /** Writes to standard error. */
  write: (text: string) => void;
  /** Width of the terminal in columns; `undefined` where there is none. */
  columns: number | undefined;
  /** Milliseconds on any monotonic clock. */
  now: () => number;
}

/** Milliseconds between two updates. */
const INTERVAL = { terminal: 100, plain: 10_000 };

/** Progress of a run of known size. */
export class Progress {
  readonly #io: ProgressIo;
  readonly #total: number;
  readonly #start: number;
  #done = 0;
  #shown: number;
  #drawn = false;

  /**
   * Starts counting.
   *
   * @param total Source bytes to be worked through.
   */
  constructor(io: ProgressIo, total: number) {
    this.#io = io;
    this.#total = total;
    this.#start = io.now();
    this.#shown = this.#start;
  }

  /** Counts bytes worked through, and shows where the run is when it is time to. */
  advance(tensor: string, bytes: number): void {
    this.#done += bytes;
    const now = this.#io.now();
    const interval = this.#io.columns === undefined ? INTERVAL.plain : INTERVAL.terminal;
    if (now - this.#shown < interval) return;
    this.#shown = now;
    this.#show(tensor, (now - this.#start) / 1000);
  }

  #show(tensor: string, seconds: number): void {
    const share = this.#total === 0 ? 1 : Math.min(1, this.#done / this.#total);
    const speed = this.#done / 1e6 / Math.max(seconds, 1e-3);
    const left = Math.ceil((this.#total - this.#done) / 1e6 / Math.max(speed, 1e-3));
    const figures = `${Math.floor(100 * share)}% ${speed.toFixed(0)} MB/s ${left} s left`;
    const name = escapeText(tensor);
    if (this.#io.columns === undefined) {
      this.#io.write(`Progress: ${figures}, ${name}\n`);
      return;
    }
    const width = 20;
    const filled = Math.round(share * width);
    const line = `[${"#".repeat(filled)}${"-".repeat(width - filled)}] ${figures} ${name}`;
    this.#io.write(`\r\x1b[K${line.slice(0, this.#io.columns - 1)}`);
    this.#drawn = true;
  }

  /** Clears the bar, so that other lines can follow. */
  clear(): void {
    if (this.#drawn) this.#io.write("\r\x1b[K");
    this.#drawn = false;
  }
}
