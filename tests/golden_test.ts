/** The format against vectors made with the reference package, compressed-tensors 0.20.0. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import {
  packedBytes,
  packRow,
  packZeroPoints,
  unpackRow,
  unpackZeroPoints,
} from "../lib/compute/pack_codes.ts";
import {
  decodeFloats,
  type FloatDtype,
  isFloatDtype,
  roundToDtype,
} from "../lib/safetensors/dtype.ts";
import type { TensorInfo } from "../lib/safetensors/header.ts";
import { openSource, readHeader } from "../lib/safetensors/read.ts";
import type { Bits } from "../lib/types.ts";
import cases from "./golden/pack_quantized.json" with { type: "json" };

const referenceKernels = createReferenceKernels();

/** Codes the reference may have one off, since it divides in BF16, as a share of all. */
const BF16_SHARE: Record<number, number> = { 2: 0.02, 4: 0.02, 8: 0.15 };

const path = fileURLToPath(new URL("./golden/pack_quantized.safetensors", import.meta.url));

interface Vector {
  bits: Bits;
  dtype: FloatDtype;
  rows: number;
  columns: number;
  blocks: number;
  weight: Uint8Array;
  packed: Uint8Array;
  scale: Float32Array;
  zeroPoint: Uint8Array;
  dequantized: Float32Array;
}

function readVectors(): Map<string, Vector> {
  const source = openSource(path, "golden");
  const tensors = new Map<string, TensorInfo>(
    readHeader(source, "golden").tensors.map((tensor) => [tensor.name, tensor]),
  );
  const bytes = (name: string) => {
    const { begin, end } = tensors.get(name)!;
    const out = new Uint8Array(end - begin);
    source.readInto(begin, out);
    return out;
  };
  const floats = (name: string) => {
    const { dtype, shape } = tensors.get(name)!;
    assert.ok(isFloatDtype(dtype));
    const out = new Float32Array(shape.reduce((a, b) => a * b, 1));
    decodeFloats(bytes(name), dtype, out);
    return out;
  };
  const vectors = new Map<string, Vector>();
  for (const { name, num_bits, rows, columns } of cases) {
    const { dtype, shape } = tensors.get(`${name}.weight_scale`)!;
    assert.ok(isFloatDtype(dtype));
    assert.deepEqual(tensors.get(`${name}.weight`)!.shape, [rows, columns]);
    const stored = new BigInt64Array(bytes(`${name}.weight_shape`).buffer);
    assert.deepEqual([...stored], [BigInt(rows), BigInt(columns)]);
    vectors.set(name, {
      bits: num_bits as Bits,
      dtype,
      rows,
      columns,
      blocks: shape[1]!,
      weight: bytes(`${name}.weight`),
      packed: bytes(`${name}.weight_packed`),
      scale: floats(`${name}.weight_scale`),
      zeroPoint: bytes(`${name}.weight_zero_point`),
      dequantized: floats(`${name}.dequantized`),
    });
  }
  source.close();
  return vectors;
}

function unpackAll({ packed, bits, rows, columns }: Vector): Uint8Array {
  const rowBytes = packedBytes(columns, bits);
  const codes = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const out = codes.subarray(row * columns, (row + 1) * columns);
    unpackRow(packed.subarray(row * rowBytes), bits, out);
  }
  return codes;
}

const vectors = readVectors();

Deno.test("golden vectors are all 54 there", () => {
  assert.equal(vectors.size, 54);
});

Deno.test("packRow() gives the same words when what was unpacked is packed again", () => {
  for (const [name, vector] of vectors) {
    const { bits, rows, columns } = vector;
    const codes = unpackAll(vector);
    const rowBytes = packedBytes(columns, bits);
    const again = new Uint8Array(rows * rowBytes).fill(0xff);
    for (let row = 0; row < rows; row++) {
      packRow(
        codes.subarray(row * columns, (row + 1) * columns),
        bits,
        again.subarray(row * rowBytes),
      );
    }
    assert.deepEqual(again, vector.packed, name);
  }
});

Deno.test("packZeroPoints() gives the same words when what was unpacked is packed again", () => {
  for (const [name, { zeroPoint, rows, blocks, bits }] of vectors) {
    const unpacked = unpackZeroPoints(zeroPoint, rows, blocks, bits);
    assert.deepEqual(packZeroPoints(unpacked, blocks, bits), zeroPoint, name);
  }
});

Deno.test("unpacked codes decode to the reference's values after rounding to the stored dtype", () => {
  for (const [name, vector] of vectors) {
    const { bits, dtype, rows, columns, blocks, scale, dequantized } = vector;
    const codes = unpackAll(vector);
    const zeroPoints = unpackZeroPoints(vector.zeroPoint, rows, blocks, bits);
    for (let i = 0; i < codes.length; i++) {
      const block = Math.floor(i / columns) * blocks +
        Math.floor((i % columns) / (columns / blocks));
      const value = roundToDtype((codes[i]! - zeroPoints[block]!) * scale[block]!, dtype);
      if (value !== dequantized[i]! && !(value === 0 && dequantized[i] === 0)) {
        assert.equal(value, dequantized[i], `${name} element ${i}`);
      }
    }
  }
});

Deno.test("encode() gives the reference's codes when given its parameters: all for F32, off by at most one in a few for BF16", () => {
  for (const [name, vector] of vectors) {
    const { bits, dtype, rows, columns, blocks, scale } = vector;
    const zero_point = unpackZeroPoints(vector.zeroPoint, rows, blocks, bits);
    const tile = { dtype, rows, columns, blockRows: 1, blockColumns: columns / blocks };
    const { packed } = referenceKernels.encode(vector.weight, tile, bits, { scale, zero_point });
    if (dtype === "F32") {
      assert.deepEqual(packed, vector.packed, name);
      continue;
    }
    const ours = unpackAll({ ...vector, packed });
    const theirs = unpackAll(vector);
    let different = 0;
    for (let i = 0; i < ours.length; i++) {
      const distance = Math.abs(ours[i]! - theirs[i]!);
      assert.ok(distance <= 1, `${name} element ${i}: ${ours[i]} and ${theirs[i]}`);
      different += distance;
    }
    assert.ok(
      different <= BF16_SHARE[bits]! * ours.length,
      `${name}: ${different} of ${ours.length}`,
    );
  }
});
