/** The command that evaluates quantized models: a table with a line for each directory. */

import { BadInputError } from "../../lib/base/errors.ts";
import { writeAll } from "../../lib/base/write_all.ts";

const USAGE = "usage: main.ts MODEL [DIRECTORY]...\n";

/** Compares quantized models with one original. */
interface Evaluator<Evaluation> {
  /** What the original itself does. */
  original: Evaluation;
  /** Evaluates what a run wrote. */
  evaluate(directory: string): Promise<Evaluation>;
  /** Stops what it runs on. */
  close(): void;
}

/** How one kind of model is evaluated. */
export interface Judge<Evaluation> {
  /** Runs the original. */
  createEvaluator(modelDirectory: string): Promise<Evaluator<Evaluation>>;
  /** Figures by their headings. */
  columns: Readonly<Record<string, (evaluation: Evaluation) => string>>;
}

/** Where text goes. */
interface Stream {
  writeSync(bytes: Uint8Array): number;
}

/**
 * Prints the table; what is wrong with a directory goes to standard error in one line.
 *
 * @param directories The original, then what runs made of it.
 * @param streams Where it goes.
 * @returns The exit code: 0, or 2 where something is wrong.
 */
export async function printEvaluations<Evaluation>(
  judge: Judge<Evaluation>,
  [model, ...directories]: readonly string[],
  { stdout, stderr }: { stdout: Stream; stderr: Stream } = Deno,
): Promise<number> {
  if (model === undefined) {
    writeAll(stderr, USAGE);
    return 2;
  }
  const headings = [...Object.keys(judge.columns), "seconds"];
  let start = performance.now();
  const printLine = (evaluation: Evaluation, name: string): void => {
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const cells = [...Object.values(judge.columns).map((format) => format(evaluation)), seconds];
    const padded = cells.map((cell, column) => cell.padStart(headings[column]!.length));
    writeAll(stdout, `${[...padded, name].join("  ")}\n`);
    start = performance.now();
  };
  let evaluator: Evaluator<Evaluation> | undefined;
  try {
    evaluator = await judge.createEvaluator(model);
    writeAll(stdout, `${[...headings, "model"].join("  ")}\n`);
    printLine(evaluator.original, model);
    for (const directory of directories) printLine(await evaluator.evaluate(directory), directory);
    return 0;
  } catch (error) {
    if (!(error instanceof BadInputError)) throw error;
    writeAll(stderr, `error: ${error.message}\n`);
    return 2;
  } finally {
    evaluator?.close();
  }
}

/** Two decimals; "-" for what is infinite, as the SQNR of a model against itself. */
export function formatDecibel(value: number): string {
  return Number.isFinite(value) ? value.toFixed(2) : "-";
}
