/**
 * Checkpoints that other tools wrote and read back, in every format: what stands in them is read as what it
 * was made from, and what is written from the same codes is the same, byte for byte.
 */

import assert from "node:assert/strict";
import { versionOf } from "../lib/base/file_version.ts";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packedBytes, packRow } from "../lib/compute/pack_codes.ts";
import type { CheckpointFormat, FilePlan, TensorPart } from "../lib/format/checkpoint_format.ts";
import { decodeLayer } from "../lib/format/decode_layer.ts";
import { loadFormat } from "../lib/format/formats.ts";
import { readCheckpoint as readGguf } from "../lib/format/gguf/read_checkpoint.ts";
import { readCheckpoint as readComfy } from "../lib/format/comfy/read_checkpoint.ts";
import { openCheckpoint } from "../lib/format/open_checkpoint.ts";
import { packerOf } from "../lib/format/pack_rows.ts";
import { openFiles } from "../lib/jobs/open_files.ts";
import { listModelFiles } from "../lib/model/list_model_files.ts";
import { type Model, openModel } from "../lib/model/open_model.ts";
import { type LayerPlan, planLayer } from "../lib/plan/plan_layer.ts";
import type { Selection } from "../lib/plan/select_layers.ts";
import { decodeFloats, widenFloats } from "../lib/safetensors/dtype.ts";
import { openSource, readHeader } from "../lib/safetensors/read.ts";
import { type Bits, type FormatName, middleOf } from "../lib/types.ts";

const GOLDEN = fileURLToPath(new URL("./golden/formats/", import.meta.url));

/** What a layer of a conformance file was made from. */
interface Plain {
  bits: Bits;
  /** [rows * columns], 0 to qmax. */
  codes: Uint8Array;
  /** [rows * blocks]. */
  scale: Float32Array;
  /** [rows * blocks]. */
  zero_point: Uint8Array;
}

/** Reads a whole file. */
function readAll(path: string): Uint8Array<ArrayBuffer> {
  return Deno.readFileSync(path);
}

/** The layers of a file of plain codes, by name; the first part of a name there is its kind. */
function readPlain(file: string, kind: string, bits: Bits): Map<string, Plain> {
  const path = join(GOLDEN, file);
  const source = openSource(path, file);
  const { tensors } = readHeader(source, file);
  source.close();
  const bytes = readAll(path);
  const read = (name: string) => {
    const tensor = tensors.find((tensor) => tensor.name === `${kind}.${name}`);
    return tensor && bytes.slice(tensor.begin, tensor.end);
  };
  const names = tensors.flatMap(({ name }) =>
    name.startsWith(`${kind}.`) && name.endsWith(".codes")
      ? [name.slice(kind.length + 1, -".codes".length)]
      : []
  );
  return new Map(names.map((name) => {
    const scale = new Float32Array(read(`${name}.scale`)!.buffer);
    // Signed codes are stored as they are; ours begin at 0.
    const codes = read(`${name}.codes`)!.map((code) => bits === 8 ? code ^ 0x80 : code);
    const zero_point = read(`${name}.zero_point`) ??
      new Uint8Array(scale.length).fill(middleOf(bits));
    return [name, { bits, codes, scale, zero_point }];
  }));
}

/** Plans layers as a run would, each of the width that its codes have. */
function planLayers(
  model: Model,
  plain: ReadonlyMap<string, Plain>,
  { storage }: CheckpointFormat,
): Selection {
  const layers: LayerPlan[] = [];
  const skipped: Selection["skipped"] = [];
  for (const shard of model.shards) {
    for (const tensor of shard.tensors) {
      const own = plain.get(tensor.name.replace(/\.weight$/, ""));
      const [rows = 0, columns = 0] = tensor.shape;
      const isMatrix = tensor.shape.length === 2;
      if (own === undefined) {
        // What of the others may be a linear layer is what a config lists.
        if (isMatrix) skipped.push({ name: tensor.name, reason: "no codes" });
        continue;
      }
      const size = columns * rows / own.scale.length;
      const groupSize = own.bits === 8 && size === columns ? null : size;
      const { bits } = own;
      const options = {
        bits,
        groupSize,
        timeGroups: 1,
        granularity: "row",
        symmetric: false,
      } as const;
      layers.push(planLayer(tensor, shard.name, options, storage)!);
    }
  }
  return { layers, skipped, tooFewRows: [], unheld: [], obstacles: new Map(), unusedPatterns: [] };
}

/** What a run would write into a file, if its layers had these codes and parameters. */
function fill(
  { head, byteLength, layers, copies }: FilePlan,
  model: Model,
  plain: ReadonlyMap<string, Plain>,
  { encodeConstants, encodeParams }: CheckpointFormat,
): Uint8Array {
  const file = new Uint8Array(byteLength);
  file.set(head);
  for (const { layer, begins, packing } of layers) {
    const put = ({ tensor, offset, bytes }: TensorPart) =>
      file.set(bytes, begins[tensor]! + offset);
    const { rows, columns, bits, grid: { blockColumns } } = layer;
    const { codes, scale, zero_point } = plain.get(layer.name)!;
    const width = packedBytes(columns, bits);
    const words = new Uint8Array(rows * width);
    for (let row = 0; row < rows; row++) {
      const own = codes.subarray(row * columns, (row + 1) * columns);
      packRow(own, bits, words.subarray(row * width, (row + 1) * width));
    }
    const grid = { rows, columns, blockRows: 1, blockColumns };
    const packed = packerOf(packing, bits).pack(words, grid, { scale, zero_point });
    put({ tensor: 0, offset: 0, bytes: packed });
    for (const part of encodeConstants(layer)) put(part);
    const bands = Array.from({ length: rows + 1 }, (_, row) => row);
    const params = { bands, blocks: columns / blockColumns, scale, zero_point };
    for (const part of encodeParams(layer, params)) put(part);
  }
  for (const { tensor, begin, shard, widen } of copies) {
    const bytes = readAll(join(model.directory, shard)).slice(tensor.begin, tensor.end);
    file.set(widen === undefined ? bytes : widenFloats(bytes, widen), begin);
  }
  return file;
}

/** The first byte that differs, with what is there; nothing where all are the same. */
function differenceOf(found: Uint8Array, expected: Uint8Array): string | undefined {
  if (found.length !== expected.length) return `${found.length} bytes, not ${expected.length}`;
  const at = found.findIndex((byte, i) => byte !== expected[i]);
  return at < 0 ? undefined : `byte ${at} is ${found[at]}, not ${expected[at]}`;
}

const U4 = () => readPlain("flux-plain.safetensors", "u4", 4);
const U2 = () => readPlain("flux-plain.safetensors", "u2", 2);
const I8 = () => readPlain("flux-plain.safetensors", "i8", 8);
const GGUF = () =>
  new Map([
    ...readPlain("flux-gguf-plain.safetensors", "u4", 4),
    ...readPlain("flux-gguf-plain.safetensors", "i8", 8),
  ]);

/** Layers of flux-comfy.safetensors that are INT8; the others are INT4. */
const COMFY_INT8 =
  /^single_transformer_blocks\.0\.(attn\.to_q|proj_mlp)$|^transformer_blocks\.0\.(attn\.(add_[kv]_proj|to_[kq])|ff(_context)?\.net\.0\.proj)$/;

const mixed = () =>
  new Map([
    ...[...U4()].filter(([name]) => !COMFY_INT8.test(name)),
    ...[...I8()].filter(([name]) => COMFY_INT8.test(name)),
  ]);

/** Format, conformance file, what it was made from, and the layers in it. */
const WRITTEN: [format: FormatName, file: string, plain: () => Map<string, Plain>][] = [
  ["sdnq", "flux-sdnq-uint4-g32/diffusion_pytorch_model.safetensors", U4],
  ["sdnq", "flux-sdnq-uint2-g32/diffusion_pytorch_model.safetensors", U2],
  ["sdnq", "flux-sdnq-int8-row/diffusion_pytorch_model.safetensors", I8],
  ["comfy", "flux-comfy.safetensors", mixed],
  ["gguf", "flux-q4_1-q8_0.gguf", GGUF],
];

for (const [name, file, plainOf] of WRITTEN) {
  Deno.test(`${name} writes ${file}, byte for byte, from its plain codes`, async () => {
    const format = await loadFormat(name);
    const model = openModel(join(GOLDEN, "flux-src"));
    const plain = plainOf();
    assert.equal(plain.size, 17);
    const selection = planLayers(model, plain, format);
    const { files: [plan, other] } = format.plan(model, selection);
    assert.equal(other, undefined);
    const found = fill(plan!, model, plain, format);
    assert.equal(differenceOf(found, readAll(join(GOLDEN, file))), undefined);
  });
}

for (const name of ["flux-sdnq-uint4-g32", "flux-sdnq-uint2-g32", "flux-sdnq-int8-row"]) {
  Deno.test(`sdnq describes ${name} as its config.json does`, async () => {
    const format = await loadFormat("sdnq");
    const plain = name.includes("uint4") ? U4() : name.includes("uint2") ? U2() : I8();
    const model = openModel(join(GOLDEN, "flux-src"));
    const { quantization } = format.plan(
      model,
      planLayers(model, plain, format),
    );
    const config = JSON.parse(Deno.readTextFileSync(join(GOLDEN, name, "config.json")));
    assert.deepEqual(quantization, config.quantization_config);
  });
}

/** A checkpoint, whatever is beside it in its folder. */
function openGolden(file: string) {
  const listing = { ...listModelFiles(GOLDEN), weightFiles: [] };
  if (file.endsWith(".gguf")) return readGguf(listing, file);
  if (!file.endsWith(".safetensors")) return openCheckpoint(join(GOLDEN, file));
  const source = openSource(join(GOLDEN, file), file);
  const { byteLength } = source;
  const { tensors, metadata } = readHeader(source, file);
  source.close();
  const shard = {
    name: file,
    path: join(GOLDEN, file),
    byteLength,
    version: versionOf(Deno.statSync(GOLDEN)),
    tensors,
    metadata,
  };
  return readComfy({ ...openModel(join(GOLDEN, "flux-src")), shards: [shard] });
}

/** Checkpoint, what it was made from, and how far a decoded value may be off, in steps. */
const READ: [file: string, plain: () => Map<string, Plain>, off: number][] = [
  ["flux-sdnq-uint4-g32", U4, 1e-6],
  ["flux-sdnq-uint2-g32", U2, 1e-6],
  ["flux-sdnq-int8-row", I8, 1e-5],
  // Zeros are BF16: up to eight steps with eight bits.
  ["flux-comfy.safetensors", mixed, 8 * 2 ** -8],
  // The offset is F16: up to 15 steps with eleven bits.
  ["flux-q4_1-q8_0.gguf", GGUF, 15 * 2 ** -11],
];

for (const [file, plainOf, off] of READ) {
  Deno.test(`${file} is read as what it was made from`, async () => {
    const model = openModel(join(GOLDEN, "flux-src"));
    const checkpoint = openGolden(file);
    const files = openFiles(true);
    const plain = plainOf();
    let layers = 0;
    for (const tensor of model.shards.flatMap(({ tensors }) => tensors)) {
      const found = checkpoint.find(tensor);
      const own = plain.get(tensor.name.replace(/\.weight$/, ""));
      assert.equal("layer" in found, own !== undefined, tensor.name);
      if (!("layer" in found) || own === undefined) continue;
      layers++;
      assert.equal(found.layer.bits, own.bits, tensor.name);
      const values = await decodeLayer(found.layer, files);
      const run = values.length / own.scale.length;
      for (const [i, value] of values.entries()) {
        const block = Math.floor(i / run);
        const scale = own.scale[block]!;
        const expected = (own.codes[i]! - own.zero_point[block]!) * scale;
        assert.ok(Math.abs(value - expected) <= off * scale, `${tensor.name} ${i}: ${value}`);
      }
    }
    assert.equal(layers, 17);
    files.close();
  });
}

/** GGUF file, and a decoder's values of its layers. */
const DECODED: [gguf: string, expected: string, layers: number][] = [
  ["dream-q4_1.gguf", "dream-q4_1-expected.safetensors", 7],
  ["dream-q2_k.gguf", "dream-q2_k-expected.safetensors", 1],
];

for (const [gguf, expected, layers] of DECODED) {
  Deno.test(`${gguf} decodes to what gguf-py makes of it, and its copies are the model's`, async () => {
    const model = openModel(join(GOLDEN, "dream-src"));
    const listing = { ...listModelFiles(join(GOLDEN, "dream-src")), weightFiles: [] };
    const checkpoint = readGguf({ ...listing, directory: GOLDEN, sideFiles: [] }, gguf);
    const source = openSource(join(GOLDEN, expected), expected);
    const { tensors } = readHeader(source, expected);
    const bytes = readAll(join(GOLDEN, expected));
    source.close();
    const files = openFiles(true);
    let count = 0;
    for (const tensor of model.shards.flatMap(({ tensors }) => tensors)) {
      const found = checkpoint.find(tensor);
      if (!("layer" in found)) continue;
      count++;
      const { begin, end } = tensors.find(({ name }) => name === tensor.name)!;
      const values = new Float32Array((end - begin) / 4);
      decodeFloats(bytes.subarray(begin, end), "F32", values);
      assert.deepEqual(await decodeLayer(found.layer, files), values, tensor.name);
    }
    assert.equal(count, layers);
    files.close();
  });
}

Deno.test("compressed-tensors writes again, byte for byte, what it wrote before", async () => {
  const format = await loadFormat("compressed-tensors");
  const name = "lm-isotherm-int4-g32";
  const model = openModel(join(GOLDEN, "lm-src"));
  const checkpoint = openCheckpoint(join(GOLDEN, name));
  const files = openFiles(true);
  const plain = new Map<string, Plain>();
  for (const tensor of model.shards.flatMap(({ tensors }) => tensors)) {
    const found = checkpoint.find(tensor);
    if (!("layer" in found)) continue;
    const { layer } = found;
    const { scale, offset } = await layer.readParams!(0, layer.rows, files);
    const packer = packerOf(layer.packing, layer.bits);
    const bytes = new Uint8Array(layer.rows * packer.bytesOf(layer.columns));
    await files.read(layer.codes, 0, bytes);
    plain.set(layer.name, {
      bits: layer.bits,
      codes: packer.unpack(bytes, layer).codes,
      scale: Float32Array.from(scale),
      zero_point: Uint8Array.from(offset, (value, i) => -value / scale[i]!),
    });
  }
  files.close();
  assert.equal(plain.size, 7);
  const { files: [plan], quantization } = format.plan(model, planLayers(model, plain, format));
  const found = fill(plan!, model, plain, format);
  assert.equal(differenceOf(found, readAll(join(GOLDEN, name, "model.safetensors"))), undefined);
  const config = JSON.parse(Deno.readTextFileSync(join(GOLDEN, name, "config.json")));
  const { dequantize, ...before } = quantization!;
  assert.equal(dequantize, true);
  // That run listed vectors as well.
  assert.deepEqual({ ...before, ignore: [] }, { ...config.quantization_config, ignore: [] });
});
