/** The parameters of a layer as the format stores them, written part by part. */

import assert from "node:assert/strict";
import { packZeroPoints } from "../lib/compute/pack_codes.ts";
import { encodeParams } from "../lib/format/compressed_tensors/encode_params.ts";
import { COMPRESSED_TENSORS } from "../lib/format/compressed_tensors/format.ts";
import { encodeConstants, packedTensors } from "../lib/format/compressed_tensors/layer_tensors.ts";
import type { LayerPlan } from "../lib/plan/plan_layer.ts";
import { selectLayers } from "../lib/plan/select_layers.ts";
import { encodeFloats } from "../lib/safetensors/dtype.ts";
import type { LayerParams } from "../lib/types.ts";
import { type Bits, DEFAULT_SETTINGS, type QuantizeSettings } from "../mod.ts";
import { noise } from "./make_model.ts";

const ROWS = 53;
const BLOCKS = 3;

function planOf(bits: Bits, granularity: QuantizeSettings["granularity"]): LayerPlan {
  const { layers: [layer] } = selectLayers(
    [{
      name: "model.safetensors",
      tensors: [{ name: "a.weight", dtype: "BF16", shape: [ROWS, 48], begin: 0, end: 5088 }],
    }],
    { ...DEFAULT_SETTINGS, granularity, bits, timeGroups: 5, groupSize: 16 },
    COMPRESSED_TENSORS.storage,
  );
  return layer!;
}

/** Parameters that differ from block to block. */
function paramsOf(bands: number[], bits: Bits): LayerParams {
  const length = (bands.length - 1) * BLOCKS;
  return {
    bands,
    blocks: BLOCKS,
    scale: Float32Array.from({ length }, (_, i) => 2 ** Math.round(4 * noise(1)(i))),
    zero_point: Uint8Array.from({ length }, (_, i) => (i * 7) % 2 ** bits),
  };
}

/** The tensors as they are to be: row by row, without any parts. */
function expected({ bands, scale, zero_point }: LayerParams, bits: Bits) {
  const firsts = Array.from(
    { length: ROWS },
    (_, row) => (bands.findIndex((end) => end > row) - 1) * BLOCKS,
  );
  const expand = (values: ArrayLike<number>) =>
    firsts.flatMap((first) => [0, 1, 2].map((block) => values[first + block]!));
  return {
    scale: encodeFloats(Float32Array.from(expand(scale)), "BF16"),
    zeroPoint: packZeroPoints(Uint8Array.from(expand(zero_point)), BLOCKS, bits),
  };
}

/** Puts the parts of some parameters where they belong, and counts them. */
function putParts(
  layer: LayerPlan,
  params: LayerParams,
  most: number,
  found: Map<string, Uint8Array>,
): number {
  let parts = 0;
  const { codes, others } = packedTensors(layer);
  for (const { tensor, offset, bytes } of encodeParams(layer, params, most)) {
    found.get([codes, ...others][tensor]!.name)!.set(bytes, offset);
    parts++;
  }
  return parts;
}

function emptyTensors(layer: LayerPlan): Map<string, Uint8Array> {
  return new Map(
    packedTensors(layer).others.map(({ name, byteLength }) => [name, new Uint8Array(byteLength)]),
  );
}

for (const granularity of ["slice", "row"] as const) {
  Deno.test(`encodeParams() gives the same bytes in parts as in one, at every width, by ${granularity}s`, () => {
    for (const bits of [2, 4, 8] as const) {
      const layer = planOf(bits, granularity);
      assert.deepEqual(
        layer.grid.bands,
        granularity === "slice" ? [0, 10, 21, 31, 42, ROWS] : null,
      );
      const bands = layer.grid.bands ?? Array.from({ length: ROWS + 1 }, (_, row) => row);
      const params = paramsOf(bands, bits);
      const { scale, zeroPoint } = expected(params, bits);
      for (const most of [1, 50, 100, 2 ** 19]) {
        const found = emptyTensors(layer);
        const parts = putParts(layer, params, most, found);
        assert.deepEqual(found.get("a.weight_scale"), scale, `INT${bits} ${most}`);
        assert.deepEqual(found.get("a.weight_zero_point"), zeroPoint, `INT${bits} ${most}`);
        assert.equal(parts, most < 100 ? 4 * 2 : most === 100 ? 2 * 2 : 2);
      }
    }
  });
}

Deno.test("encodeParams() puts some rows where they belong, beginning with any word of zero points", () => {
  for (const bits of [2, 4, 8] as const) {
    const layer = planOf(bits, "row");
    const params = paramsOf(Array.from({ length: ROWS + 1 }, (_, row) => row), bits);
    const { scale, zeroPoint } = expected(params, bits);
    for (const most of [1, 2 ** 19]) {
      const found = emptyTensors(layer);
      // The last rows first: every run of 16 rows ends on a word at every width.
      for (const [from, to] of [[48, ROWS], [16, 48], [0, 16]] as const) {
        putParts(
          layer,
          {
            bands: params.bands.slice(from, to + 1),
            blocks: BLOCKS,
            scale: params.scale.subarray(from * BLOCKS, to * BLOCKS),
            zero_point: params.zero_point.subarray(from * BLOCKS, to * BLOCKS),
          },
          most,
          found,
        );
      }
      assert.deepEqual(found.get("a.weight_scale"), scale, `INT${bits} ${most}`);
      assert.deepEqual(found.get("a.weight_zero_point"), zeroPoint, `INT${bits} ${most}`);
    }
  }
});

Deno.test("encodeConstants() gives rows and columns as two I64", () => {
  const parts = encodeConstants(planOf(2, "row"));
  const { codes, others } = packedTensors(planOf(2, "row"));
  const nameOf = (tensor: number) => [codes, ...others][tensor]!.name;
  assert.deepEqual(parts.map(({ tensor, offset }) => [nameOf(tensor), offset]), [
    ["a.weight_shape", 0],
  ]);
  assert.deepEqual([...new BigInt64Array(parts[0]!.bytes.slice().buffer)], [53n, 48n]);
});
