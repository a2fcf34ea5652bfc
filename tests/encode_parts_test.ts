/** The parameters of a layer as the format stores them, written part by part. */

import assert from "node:assert/strict";
import { packZeroPoints } from "../lib/compute/pack_codes.ts";
import { encodeParams } from "../lib/format/compressed_tensors/encode_params.ts";
import { packedTensors } from "../lib/format/compressed_tensors/plan_checkpoint.ts";
import { selectLayers } from "../lib/plan/select_layers.ts";
import { encodeFloats } from "../lib/safetensors/dtype.ts";
import { DEFAULT_SETTINGS } from "../mod.ts";
import { noise } from "./make_model.ts";

Deno.test("encodeParams() gives the same bytes in parts as in one, at every width", () => {
  for (const bits of [2, 4, 8] as const) {
    const { layers: [layer] } = selectLayers([{
      name: "model.safetensors",
      tensors: [{ name: "a.weight", dtype: "BF16", shape: [53, 48], begin: 0, end: 5088 }],
    }], { ...DEFAULT_SETTINGS, bits, timeGroups: 5, groupSize: 16 });
    const { bands } = layer!.grid;
    assert.deepEqual(bands, [0, 10, 21, 31, 42, 53]);
    const blocks = 3;
    const params = {
      bands,
      blocks,
      scale: Float32Array.from({ length: 15 }, (_, i) => 2 ** Math.round(4 * noise(1)(i))),
      zero_point: Uint8Array.from({ length: 15 }, (_, i) => (i * 7) % 2 ** bits),
    };
    const bandOf = (row: number) => bands.findIndex((end) => end > row) - 1;
    const rows = Array.from({ length: 53 }, (_, row) => bandOf(row) * blocks);
    const expand = (values: ArrayLike<number>) =>
      rows.flatMap((first) => [0, 1, 2].map((block) => values[first + block]!));
    const scale = encodeFloats(Float32Array.from(expand(params.scale)), "BF16");
    const zeroPoint = packZeroPoints(Uint8Array.from(expand(params.zero_point)), blocks, bits);
    const sizes = new Map(packedTensors(layer!).map(({ name, byteLength }) => [name, byteLength]));
    for (const most of [1, 50, 100, 2 ** 19]) {
      const found = new Map<string, Uint8Array>();
      let parts = 0;
      for (const { name, offset, bytes } of encodeParams(layer!, params, most)) {
        const all = found.get(name) ?? new Uint8Array(sizes.get(name)!);
        all.set(bytes, offset);
        found.set(name, all);
        parts++;
      }
      assert.deepEqual(found.get("a.weight_scale"), scale, `INT${bits} ${most}`);
      assert.deepEqual(found.get("a.weight_zero_point"), zeroPoint, `INT${bits} ${most}`);
      const shape = new BigInt64Array(found.get("a.weight_shape")!.buffer);
      assert.deepEqual([...shape], [53n, 48n]);
      assert.equal(parts, most < 100 ? 4 * 2 + 1 : most === 100 ? 2 * 2 + 1 : 3);
    }
  }
});
