/** Says what is wrong with a layer that cannot be quantized. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { isWithinBounds } from "../params/estimate_params.ts";
import { planTiles } from "../compute/plan_tiles.ts";
import { decodeFloats, floatBytes } from "../safetensors/dtype.ts";
import { openSource } from "../safetensors/read.ts";
import type { LayerJob } from "./slice_layer.ts";

/** Weights looked at a time to say what is wrong with them. */
const TILE_ELEMENTS = 2 ** 20;

/**
 * Checks the ranges of a layer's blocks.
 *
 * @param lo [B*K] smallest value of each block, or NaN.
 * @param hi [B*K] largest value of each block, or NaN.
 * @throws {BadInputError} A weight is NaN or infinite, or the range of a block exceeds 2^126.
 */
export function checkRanges(job: LayerJob, lo: Float32Array, hi: Float32Array): void {
  for (let i = 0; i < lo.length; i++) {
    if (!isWithinBounds({ lo: lo[i]!, hi: hi[i]! })) refuseLayer(job);
  }
}

/**
 * Reads a layer again to say what is wrong with it: how many values, and where the first one is.
 *
 * @throws {BadInputError} Always.
 */
export function refuseLayer({ layer, source }: LayerJob): never {
  const { rows, columns, dtype, tensor } = layer;
  const counts = { "NaN": 0, "infinite": 0 };
  let first = -1;
  const file = openSource(source.path, source.label);
  try {
    for (
      const tile of planTiles({ rows, columns, blockRows: 1, blockColumns: columns }, TILE_ELEMENTS)
    ) {
      const values = new Float32Array(tile.rows * tile.columns);
      const bytes = new Uint8Array(values.length * floatBytes(dtype));
      const start = tile.row * columns + tile.column;
      file.readInto(tensor.begin + start * floatBytes(dtype), bytes);
      decodeFloats(bytes, dtype, values);
      for (let i = 0; i < values.length; i++) {
        if (Number.isFinite(values[i]!)) continue;
        counts[Number.isNaN(values[i]!) ? "NaN" : "infinite"]++;
        if (first < 0) first = start + i;
      }
    }
  } finally {
    file.close();
  }
  const subject = `Cannot quantize tensor ${quote(tensor.name)} in ${quote(source.label)}`;
  const advice = "repair the weights, or leave it out with --ignore";
  if (first < 0) {
    throw new BadInputError(`${subject}: the range of a block exceeds 2^126: ${advice}`);
  }
  const at = `[${Math.floor(first / columns)}, ${first % columns}]`;
  const kinds = Object.entries(counts).filter(([, count]) => count > 0);
  const what = kinds.map(([kind, count]) => `${count} ${kind}`).join(" and ");
  throw new BadInputError(
    `${subject}: ${what} of ${rows * columns} values, the first at ${at}: ${advice}`,
  );
}
