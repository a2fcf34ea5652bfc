/** The digits DiT with quantized inputs of its layers. */

import { type LayerInput, quantizeInputs } from "../forward/quantize_inputs.ts";
import type { Linear } from "../forward/linear.ts";
import type { InputSchedules } from "../../lib/run/read_time_groups.ts";
import type { Denoiser } from "./denoiser.ts";

/**
 * Quantizes the inputs of a model's layers from now on, at each timestep by its own parameters.
 *
 * @throws {BadInputError} The schedules are not those of a digits DiT.
 */
export function quantizeActivations(model: Denoiser, schedules: InputSchedules): void {
  model.onTimestep = quantizeInputs(schedules, listInputs(model));
}

function listInputs(model: Denoiser): LayerInput[] {
  const { patchEmbedder, timeEmbedder, blocks, finalLinear } = model;
  const alone = (name: string, first: Linear): LayerInput => ({ names: [name], first });
  return [
    alone("x_embedder", patchEmbedder),
    alone("t_embedder.mlp.0", timeEmbedder[0]),
    alone("t_embedder.mlp.2", timeEmbedder[1]),
    ...blocks.flatMap(({ qkv, proj, fc1, fc2 }, i) => [
      alone(`blocks.${i}.attn.qkv`, qkv),
      alone(`blocks.${i}.attn.proj`, proj),
      alone(`blocks.${i}.mlp.fc1`, fc1),
      alone(`blocks.${i}.mlp.fc2`, fc2),
    ]),
    // All of them are applied to the conditions.
    {
      names: [
        ...blocks.map((_, i) => `blocks.${i}.adaLN_modulation.1`),
        "final_layer.adaLN_modulation.1",
      ],
      first: blocks[0]!.modulation,
    },
    alone("final_layer.linear", finalLinear),
  ];
}
