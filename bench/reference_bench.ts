/** How many weights a second the reference backend turns into codes, on one core. */

import assert from "node:assert/strict";
import { referenceKernels } from "../lib/backends/reference_kernels.ts";
import { estimateLayerParams } from "../lib/estimate_params.ts";
import { encodeFloats } from "../lib/safetensors/dtype.ts";
import { noise } from "../tests/make_model.ts";

const rows = 512;
const columns = 4096;
const tile = { dtype: "BF16" as const, rows, columns, blockRows: rows, blockColumns: columns };
const bytes = encodeFloats(
  Float32Array.from({ length: rows * columns }, (_, i) => noise(1)(i)),
  "BF16",
);

for (const bits of [2, 4, 8] as const) {
  const quantize = () => {
    const { lo, hi } = referenceKernels.range(bytes, tile);
    const params = estimateLayerParams(lo, hi, 1, bits, "BF16");
    return referenceKernels.encode(bytes, tile, bits, params);
  };
  assert.equal(quantize().packed.length, (rows * columns * bits) / 8);
  Deno.bench(`reference, BF16 to INT${bits}, ${(rows * columns) / 2 ** 20} Mi weights`, () => {
    quantize();
  });
}
