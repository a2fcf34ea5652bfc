/** The small language model with quantized inputs of its layers. */

import type { Linear } from "../forward/linear.ts";
import { type LayerInput, quantizeInputs } from "../forward/quantize_inputs.ts";
import type { InputSchedules } from "../../lib/run/read_time_groups.ts";
import type { LanguageModel } from "./language_model.ts";

/**
 * Quantizes the inputs of a model's layers from now on, at each share of masked tokens by its own parameters.
 *
 * @throws {BadInputError} The schedules are not those of a small language model.
 */
export function quantizeActivations(model: LanguageModel, schedules: InputSchedules): void {
  model.onLevel = quantizeInputs(schedules, listInputs(model));
}

function listInputs({ layers, head }: LanguageModel): LayerInput[] {
  const inputs = layers.flatMap(({ keysValues, out, gate, down }, i): [string[], Linear][] => {
    const [attention, mlp] = [`model.layers.${i}.self_attn`, `model.layers.${i}.mlp`];
    return [
      // Queries are computed from what keys and values leave.
      [["q", "k", "v"].map((which) => `${attention}.${which}_proj`), keysValues],
      [[`${attention}.o_proj`], out],
      [[`${mlp}.gate_proj`, `${mlp}.up_proj`], gate],
      [[`${mlp}.down_proj`], down],
    ];
  });
  return [...inputs, [["lm_head"], head] as const].map(([names, first]) => ({ names, first }));
}
