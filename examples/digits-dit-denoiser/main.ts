/**
 * Evaluates quantized models: a table with a line for each directory.
 *
 *     deno run --allow-read examples/digits-dit-denoiser/main.ts examples/digits-dit DIRECTORY...
 *
 * @module
 */

import { BadInputError } from "../../lib/base/errors.ts";
import { writeAll } from "../../lib/base/write_all.ts";
import { createEvaluator, type Evaluation, type Evaluator } from "./evaluate.ts";

const USAGE = "usage: main.ts MODEL [DIRECTORY]...\n";

/** One line of the table; columns are as wide as their headings. */
function formatLine(evaluation: Evaluation, seconds: number, name: string): string {
  const { denoiser_sqnr_db, recognized_share } = evaluation;
  const sqnr = Number.isFinite(denoiser_sqnr_db) ? denoiser_sqnr_db.toFixed(2) : "-";
  return `${sqnr.padStart(8)}  ${recognized_share.toFixed(2).padStart(10)}  ` +
    `${seconds.toFixed(1).padStart(7)}  ${name}\n`;
}

/**
 * Prints the table.
 *
 * @param directories The original, then what runs made of it.
 */
async function main([model, ...directories]: readonly string[]): Promise<number> {
  if (model === undefined) {
    writeAll(Deno.stderr, USAGE);
    return 2;
  }
  let start = performance.now();
  const lap = (): number => {
    const seconds = (performance.now() - start) / 1000;
    start = performance.now();
    return seconds;
  };
  let evaluator: Evaluator | undefined;
  try {
    evaluator = await createEvaluator(model);
    writeAll(Deno.stdout, "SQNR, dB  recognized  seconds  model\n");
    writeAll(Deno.stdout, formatLine(evaluator.original, lap(), model));
    for (const directory of directories) {
      const evaluation = await evaluator.evaluate(directory);
      writeAll(Deno.stdout, formatLine(evaluation, lap(), directory));
    }
    return 0;
  } catch (error) {
    if (!(error instanceof BadInputError)) throw error;
    writeAll(Deno.stderr, `error: ${error.message}\n`);
    return 2;
  } finally {
    evaluator?.close();
  }
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
