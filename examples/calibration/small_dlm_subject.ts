/** The small language model on masked text. */

import { fileURLToPath } from "node:url";
import type { Weights } from "../forward/load_weights.ts";
import { createRandom } from "../forward/random.ts";
import { readArrays } from "../forward/read_arrays.ts";
import { DLM } from "../small-dlm-denoiser/dimensions.ts";
import { createLanguageModel } from "../small-dlm-denoiser/language_model.ts";
import { predictTokens } from "../small-dlm-denoiser/predict_tokens.ts";
import type { Subject } from "./subject.ts";

/** What the language model is run on. */
export interface SmallDlmSource {
  kind: "small-dlm";
  /** Text: [count, 128] tokens. */
  ids: Int32Array;
  /** Sequences masked at each level, others each time as long as there are. */
  sequences: number;
  /** [T] shares of masked tokens, 0 to 1. */
  levels: readonly number[];
}

/** Every position of a sequence. */
const ALL = Array.from({ length: DLM.tokens }, (_, position) => position);

const PATH = fileURLToPath(
  new URL("../small-dlm-data/calibration_ids.safetensors", import.meta.url),
);

/**
 * Reads text that the model was trained on, and is not judged by: [400, 128].
 *
 * @throws {BadInputError} The file cannot be read, or lacks it.
 */
export function readCalibrationText(path = PATH): Int32Array {
  return readArrays(path, { ids: "I32" }).ids;
}

/** Makes the model ready; its attention and MLP layers are recorded, those of one input once. */
export function createSmallDlmSubject(source: SmallDlmSource, weights: Weights): Subject {
  const model = createLanguageModel(weights);
  const { ids, sequences, levels } = source;
  const count = ids.length / DLM.tokens;
  const layers = model.layers.flatMap(({ keysValues, out, gate, down }, i) =>
    Object.entries({
      // Of keys and values, which take the same input and are computed first.
      [`model.layers.${i}.self_attn.q_proj`]: keysValues,
      [`model.layers.${i}.self_attn.o_proj`]: out,
      [`model.layers.${i}.mlp.gate_proj`]: gate,
      [`model.layers.${i}.mlp.down_proj`]: down,
    })
  );
  return {
    layers: new Map(layers),
    maxRows: DLM.tokens,
    run(step) {
      for (let i = 0; i < sequences; i++) {
        const from = (step * sequences + i) % count * DLM.tokens;
        const text = ids.subarray(from, from + DLM.tokens);
        // What is predicted does not matter, but the last layer goes on with what is asked for only.
        predictTokens(model, maskTokens(text, levels[step]!, step * sequences + i), ALL);
      }
    },
  };
}

/** Layers by the one whose input they share. */
export function listSameInput(): Map<string, string> {
  const same = new Map<string, string>();
  for (let i = 0; i < DLM.depth; i++) {
    const layer = `model.layers.${i}`;
    same.set(`${layer}.self_attn.k_proj`, `${layer}.self_attn.q_proj`);
    same.set(`${layer}.self_attn.v_proj`, `${layer}.self_attn.q_proj`);
    same.set(`${layer}.mlp.up_proj`, `${layer}.mlp.gate_proj`);
  }
  return same;
}

/**
 * Masks tokens at random places.
 *
 * @param text [tokens].
 * @param level The share that is masked, rounded to whole tokens.
 */
export function maskTokens(text: Int32Array, level: number, seed: number): Int32Array {
  const masked = text.slice();
  const places = Array.from(text.keys());
  const random = createRandom(seed);
  const count = Math.round(level * text.length);
  // The first places of a shuffle (Durstenfeld 1964).
  for (let i = 0; i < count; i++) {
    const other = i + Math.floor(random() * (places.length - i));
    const place = places[other]!;
    places[other] = places[i]!;
    masked[place] = DLM.mask;
  }
  return masked;
}
