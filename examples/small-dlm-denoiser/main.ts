/**
 * Evaluates quantized models: a table with a line for each directory.
 *
 *     deno run --allow-read examples/small-dlm-denoiser/main.ts examples/small-dlm DIRECTORY...
 *
 * @module
 */

import { formatDecibel, printEvaluations } from "../forward/print_evaluations.ts";
import { createEvaluator } from "./evaluate.ts";
import type { Evaluation } from "./summarize.ts";

if (import.meta.main) {
  Deno.exitCode = await printEvaluations<Evaluation>({
    createEvaluator,
    columns: {
      "KL, nats": ({ kl }) => kl.toFixed(4),
      "SQNR, dB": ({ logit_sqnr_db }) => formatDecibel(logit_sqnr_db),
      "agreement": ({ agreement }) => agreement.toFixed(4),
      "NELBO, bits/byte": ({ nelbo_bits_per_byte }) => nelbo_bits_per_byte.toFixed(4),
    },
  }, Deno.args);
}
