/** What `verify` found, for people. */

import { countNouns, escapeText } from "../base/text.ts";
import type { Verification } from "../run/verify_checkpoint.ts";

/** Layers listed, worst first. */
const WORST = 5;

/** Renders a verification. */
export function renderVerification(result: Verification): string {
  const db = (value: number | null) => value === null ? "no error" : `${value.toFixed(2)} dB`;
  const quality = (value: number | null) => value ?? Infinity;
  const worst = [...result.layers]
    .sort((a, b) => quality(a.sqnr_db) - quality(b.sqnr_db))
    .slice(0, WORST);
  return [
    `Verified ${escapeText(result.model_name)} (${result.format}): ${
      countNouns(result.layers.length, "layer")
    } decoded from disk`,
    `  Cosine similarity: ${result.cosine_similarity.toFixed(4)}`,
    `  SQNR: ${db(result.sqnr_db)}`,
    `  Other tensors: ${result.copied_tensor_count}, equal ${
      result.format === "gguf" ? "in value" : "byte for byte"
    }`,
    "  Lowest SQNR:",
    ...worst.map(({ name, cosine_similarity, sqnr_db }) =>
      `    ${db(sqnr_db)}, cosine ${cosine_similarity.toFixed(4)}: ${escapeText(name)}`
    ),
    "",
  ].join("\n");
}
