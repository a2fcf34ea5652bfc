/** Progress on standard error: a bar on a terminal, a line every ten seconds elsewhere. */

import { escapeText } from "../base/text.ts";

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
   * @param total Source bytes to be worked through; 0 where that is not known.
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
    const speed = this.#done / 1e6 / Math.max(seconds, 1e-3);
    const share = Math.min(1, this.#done / this.#total);
    const figures = this.#total === 0
      ? `${(this.#done / 1e6).toFixed(0)} MB done, ${speed.toFixed(0)} MB/s`
      : `${Math.floor(100 * share)}% ${speed.toFixed(0)} MB/s ${this.#secondsLeft(speed)} s left`;
    const name = escapeText(tensor);
    if (this.#io.columns === undefined) {
      this.#io.write(`Progress: ${figures}, ${name}\n`);
      return;
    }
    const line = `${this.#total === 0 ? "" : `${drawBar(share)} `}${figures} ${name}`;
    // Cut between characters, not inside one.
    const shown = [...line].slice(0, this.#io.columns - 1).join("");
    this.#io.write(`\r\x1b[K${shown}`);
    this.#drawn = true;
  }

  #secondsLeft(speed: number): number {
    const left = Math.max(0, this.#total - this.#done) / 1e6;
    return Math.ceil(left / Math.max(speed, 1e-3));
  }

  /** Clears the bar, so that other lines can follow. */
  clear(): void {
    if (this.#drawn) this.#io.write("\r\x1b[K");
    this.#drawn = false;
  }
}

function drawBar(share: number): string {
  const width = 20;
  const filled = Math.round(share * width);
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}]`;
}
