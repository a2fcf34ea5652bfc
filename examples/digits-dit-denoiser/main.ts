/**
 * Evaluates quantized models: a table with a line for each directory.
 *
 *     deno run --allow-read examples/digits-dit-denoiser/main.ts examples/digits-dit DIRECTORY...
 *
 * @module
 */

import { formatDecibel, printEvaluations } from "../forward/print_evaluations.ts";
import { createEvaluator, type Evaluation } from "./evaluate.ts";

if (import.meta.main) {
  Deno.exitCode = await printEvaluations<Evaluation>({
    createEvaluator,
    columns: {
      "SQNR, dB": ({ denoiser_sqnr_db }) => formatDecibel(denoiser_sqnr_db),
      "recognized": ({ recognized_share }) => recognized_share.toFixed(2),
    },
  }, Deno.args);
}
