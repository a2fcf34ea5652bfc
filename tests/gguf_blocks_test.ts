/** ggml's blocks against files that gguf-py 0.19.0 reads back, and against a plain packer. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import fc from "npm:fast-check@4.10.2";
import { packedBytes, packRow } from "../lib/compute/pack_codes.ts";
import { BLOCK_TYPES, blockBytes, type BlockType } from "../lib/format/gguf/block_types.ts";
import { type GridParams, type MatrixGrid, packBlocks } from "../lib/format/gguf/pack_blocks.ts";
import { readGgufHeader } from "../lib/format/gguf/read_header.ts";
import { unpackBlocks } from "../lib/format/gguf/unpack_blocks.ts";
import { decodeFloats } from "../lib/safetensors/dtype.ts";
import { openSource, readHeader } from "../lib/safetensors/read.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import { noise } from "./make_model.ts";

const TYPES: BlockType[] = ["q4_1", "q8_0", "q4_k", "q2_k"];

const golden = (name: string) =>
  fileURLToPath(new URL(`./golden/formats/${name}`, import.meta.url));

/** The tensors of a safetensors file. */
function readPlain(name: string): Map<string, { shape: number[]; bytes: Uint8Array }> {
  const source = openSource(golden(name), name);
  try {
    return new Map(
      readHeader(source, name).tensors.map(({ name, shape, begin, end }) => {
        const bytes = new Uint8Array(end - begin);
        source.readInto(begin, bytes);
        return [name, { shape, bytes }];
      }),
    );
  } finally {
    source.close();
  }
}

/** The tensors of a GGUF file that are in blocks. */
function readBlocks(name: string): { name: string; type: BlockType; bytes: Uint8Array }[] {
  const source = openSource(golden(name), name);
  try {
    return readGgufHeader(source, name).tensors.flatMap(({ name, type, begin, end }) => {
      const known = TYPES.find((one) => BLOCK_TYPES[one].type === type);
      if (known === undefined) return [];
      const bytes = new Uint8Array(end - begin);
      source.readInto(begin, bytes);
      return [{ name, type: known, bytes }];
    });
  } finally {
    source.close();
  }
}

/** Rows of packed words. */
function packRows(codes: Uint8Array, columns: number, type: BlockType): Uint8Array {
  const { bits } = BLOCK_TYPES[type];
  const rowBytes = packedBytes(columns, bits);
  const packed = new Uint8Array(rowBytes * codes.length / columns);
  for (let row = 0; row * columns < codes.length; row++) {
    packRow(
      codes.subarray(row * columns, (row + 1) * columns),
      bits,
      packed.subarray(row * rowBytes),
    );
  }
  return packed;
}

function pack(type: BlockType, codes: Uint8Array, grid: MatrixGrid, params: GridParams) {
  const out = new Uint8Array(blockBytes(type, grid.rows, grid.columns));
  packBlocks(type, packRows(codes, grid.columns, type), grid, params, out);
  return out;
}

/** Of each layer of these files: the prefix of its plain arrays, and what was found. */
const FILES: [
  gguf: string,
  plain: string,
  prefix: (name: string, type: BlockType) => string,
  {
    [type in BlockType]?: number;
  },
][] = [
  ["kquants.gguf", "kquants-plain.safetensors", (name) => name, { q4_k: 1, q2_k: 1 }],
  [
    "flux-q4_1-q8_0.gguf",
    "flux-gguf-plain.safetensors",
    (name, type) => `${type === "q8_0" ? "i8" : "u4"}.${name}`,
    { q4_1: 9, q8_0: 8 },
  ],
];

for (const [gguf, plain, prefix, expected] of FILES) {
  Deno.test(`packBlocks() and unpackBlocks() agree with ${gguf}, byte for byte`, () => {
    const arrays = readPlain(plain);
    const found: { [type in BlockType]?: number } = {};
    for (const { name, type, bytes } of readBlocks(gguf)) {
      found[type] = (found[type] ?? 0) + 1;
      const from = prefix(name.slice(0, -".weight".length), type);
      const { shape: [rows = 0, columns = 0], bytes: stored } = arrays.get(`${from}.codes`)!;
      const { shape: [, blocks = 0], bytes: scales } = arrays.get(`${from}.scale`)!;
      const scale = new Float32Array(rows * blocks);
      decodeFloats(scales, "F32", scale);
      const isSymmetric = type === "q8_0";
      const codes = isSymmetric ? stored.map((code) => code ^ 128) : stored;
      const zero_point = isSymmetric
        ? new Uint8Array(scale.length).fill(128)
        : arrays.get(`${from}.zero_point`)!.bytes;
      const grid = { rows, columns, blockRows: 1, blockColumns: columns / blocks };
      assert.deepEqual(pack(type, codes, grid, { scale, zero_point }), bytes, name);
      const unpacked = unpackBlocks(type, bytes, { rows, columns });
      assert.deepEqual(unpacked.codes, codes, name);
      for (let run = 0; run < unpacked.scale.length; run++) {
        const block = Math.floor(run * unpacked.unit / grid.blockColumns);
        assert.equal(unpacked.scale[run], scale[block], name);
        const exact = -zero_point[block]! * scale[block]!;
        assert.equal(unpacked.offset[run], type === "q4_1" ? Math.f16round(exact) : exact, name);
      }
    }
    assert.deepEqual(found, expected);
  });
}

/** A matrix with what stands for it, made of noise. */
interface Case {
  type: BlockType;
  grid: MatrixGrid;
  seed: number;
  /** How many bytes both buffers are out of step with words. */
  shift: number;
}

const CASES = fc.record({
  type: fc.constantFrom(...TYPES),
  rows: fc.integer({ min: 1, max: 9 }),
  blockRows: fc.integer({ min: 1, max: 4 }),
  blocks: fc.integer({ min: 1, max: 3 }),
  units: fc.integer({ min: 1, max: 3 }),
  seed: fc.nat(1000),
  shift: fc.nat(3),
}).map(({ type, rows, blockRows, blocks, units, seed, shift }): Case => {
  const blockColumns = units * BLOCK_TYPES[type].columns;
  return {
    type,
    grid: { rows, columns: blocks * blockColumns, blockRows, blockColumns },
    seed,
    shift,
  };
});

/** The same bytes, so many behind a whole word. */
function shifted(bytes: Uint8Array, shift: number): Uint8Array {
  const moved = new Uint8Array(bytes.length + shift).subarray(shift);
  moved.set(bytes);
  return moved;
}

Deno.test("unpackBlocks() gives back what packBlocks() was given, at any size and alignment", () => {
  fc.assert(fc.property(CASES, ({ type, grid, seed, shift }) => {
    const { rows, columns, blockRows, blockColumns } = grid;
    const { bits } = BLOCK_TYPES[type];
    const some = noise(seed);
    const across = columns / blockColumns;
    const count = Math.ceil(rows / blockRows) * across;
    const level = (i: number) => Math.floor((some(i) + 1) / 2 * 2 ** bits);
    const codes = Uint8Array.from({ length: rows * columns }, (_, i) => level(i));
    const scale = Float32Array.from(
      { length: count },
      (_, i) => Math.f16round(2 ** (20 * some(i + 7) - 8)),
    );
    const zero_point = Uint8Array.from(
      { length: count },
      (_, i) => type === "q8_0" ? 128 : level(i + 99),
    );
    const out = new Uint8Array(shift + blockBytes(type, rows, columns) + 5).fill(0xa5);
    const packed = shifted(packRows(codes, columns, type), shift);
    packBlocks(type, packed, grid, { scale, zero_point }, out.subarray(shift));
    assert.ok([...out.subarray(0, shift), ...out.subarray(-5)].every((byte) => byte === 0xa5));
    const unpacked = unpackBlocks(type, out.subarray(shift), { rows, columns });
    assert.deepEqual(unpacked.codes, codes);
    assert.equal(unpacked.scale.length * unpacked.unit, codes.length);
    for (let run = 0; run < unpacked.scale.length; run++) {
      const row = Math.floor(run * unpacked.unit / columns);
      const column = run * unpacked.unit % columns;
      const block = Math.floor(row / blockRows) * across + Math.floor(column / blockColumns);
      const exact = -zero_point[block]! * scale[block]!;
      assert.equal(unpacked.scale[run], scale[block]);
      assert.equal(unpacked.offset[run], type === "q4_1" ? Math.f16round(exact) : exact);
    }
  }));
});

/** A block whose bytes are all the same but for its floats, which are 2 and 0.5. */
function blockOf(type: BlockType, byte: number, floatsAt: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK_TYPES[type].bytes).fill(byte);
  new DataView(bytes.buffer).setFloat16(floatsAt, 2, true);
  if (type !== "q8_0") new DataView(bytes.buffer).setFloat16(floatsAt + 2, 0.5, true);
  return bytes;
}

Deno.test("unpackBlocks() decodes inner scales and minima when other writers chose them", () => {
  // 0xe7 is the scale 7 and the minimum 14.
  const two = unpackBlocks("q2_k", blockOf("q2_k", 0xe7, 80), { rows: 1, columns: 256 });
  assert.equal(two.unit, 16);
  assert.deepEqual([...two.scale], Array(16).fill(2 * 7));
  assert.deepEqual([...two.offset], Array(16).fill(-0.5 * 14));
  // Codes 3, 1, 2 and 3 of 0xe7, each for 32 columns.
  assert.deepEqual([0, 32, 64, 96, 128, 255].map((i) => two.codes[i]), [3, 1, 2, 3, 3, 3]);
  // Upper bits 3 go to the run four further on: 0xe7 is 39 and then 7 | 3 << 4, 14 | 3 << 4.
  const four = unpackBlocks("q4_k", blockOf("q4_k", 0xe7, 0), { rows: 1, columns: 256 });
  assert.equal(four.unit, 32);
  assert.deepEqual([...four.scale], [78, 78, 78, 78, 110, 110, 110, 110]);
  assert.deepEqual([...four.offset], [-19.5, -19.5, -19.5, -19.5, -31, -31, -31, -31]);
  assert.deepEqual([0, 31, 32, 63, 64, 224].map((i) => four.codes[i]), [7, 7, 14, 14, 7, 14]);
});

Deno.test("unpackBlocks() decodes what the floats say when they are no numbers", () => {
  const bytes = new Uint8Array(20);
  bytes.set([0x00, 0x7c, 0x01, 0x7e]);
  const { scale, offset } = unpackBlocks("q4_1", bytes, { rows: 1, columns: 32 });
  assert.deepEqual([...scale, ...offset], [Infinity, NaN]);
});

Deno.test("unpackBlocks() refuses the bytes when there are too few or the row is no whole blocks", () => {
  const bytes = new Uint8Array(39);
  const size = { rows: 2, columns: 32 };
  assertBadInput(() => unpackBlocks("q4_1", bytes, size), "as q4_1: 39 bytes given, 20 needed");
  assertBadInput(
    () => unpackBlocks("q4_1", bytes, { rows: 1, columns: 33 }),
    "Cannot decode 1 rows of 33 columns as q4_1",
  );
});

const ONE = { rows: 1, columns: 32, blockRows: 1, blockColumns: 32 };

Deno.test("packBlocks() refuses an offset when F16 does not hold it", () => {
  const packed = new Uint8Array(16);
  const params = { scale: Float32Array.of(4368), zero_point: Uint8Array.of(15) };
  const out = new Uint8Array(20);
  assertBadInput(
    () => packBlocks("q4_1", packed, ONE, params, out),
    "Cannot write Q4_1: an offset is -65520, below -65504, the least of F16: keep this layer out",
  );
  packBlocks("q4_1", packed, ONE, { ...params, scale: Float32Array.of(4364) }, out);
  assert.deepEqual([...unpackBlocks("q4_1", out, ONE).offset], [-65472]);
});

Deno.test("packBlocks() refuses Q8_0 when its codes are not symmetric", () => {
  const params = { scale: Float32Array.of(1), zero_point: Uint8Array.of(127) };
  assert.throws(() => packBlocks("q8_0", new Uint8Array(32), ONE, params, new Uint8Array(34)), {
    name: "RangeError",
    message: "Cannot write Q8_0: a zero point is 127, 128 is needed",
  });
});
