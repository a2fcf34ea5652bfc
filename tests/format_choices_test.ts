/** What formats choose where there is a choice: which kind of layer stands for most, what symmetric comes to, which blocks fit. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { loadFormat } from "../lib/format/formats.ts";
import { planLayer } from "../lib/plan/plan_layer.ts";
import { openSource, readHeader } from "../lib/safetensors/read.ts";
import type { FormatName } from "../lib/types.ts";
import { type Bits, DEFAULT_SETTINGS, quantizeModel, type QuantizeSettings } from "../mod.ts";
import { encodeFile, matrix, noise, rawFile, type TestTensor, withFiles } from "./make_model.ts";
import { floatsOf, readTensors } from "./stored_tensors.ts";

function withOutput(
  tensors: TestTensor[],
  settings: Partial<QuantizeSettings>,
  use: (tensors: Map<string, TestTensor>, quantization: Record<string, unknown>) => void,
): Promise<void> {
  const files = { "model/config.json": "{}", "model/model.safetensors": encodeFile(tensors) };
  return withFiles(files, async (root) => {
    const output = join(root, "out");
    await quantizeModel(join(root, "model"), output, { ...DEFAULT_SETTINGS, ...settings });
    const config = JSON.parse(Deno.readTextFileSync(join(output, "config.json")));
    use(readTensors(join(output, "model.safetensors")), config.quantization_config);
  });
}

/** The first in the file is of a kind of its own: a row is one block. */
const RARE_FIRST = [
  matrix("a.weight", 8, 100, noise(1)),
  matrix("b.weight", 8, 256, noise(2)),
  matrix("c.weight", 8, 256, noise(3)),
];

Deno.test("the kind of most layers is described first, and of as many the one that comes first", async () => {
  const groups = (quantization: Record<string, unknown>) =>
    Object.values(quantization["config_groups"] as Record<string, { targets: string[] }>)
      .map(({ targets }) => targets);
  await withOutput(RARE_FIRST, { bits: 4 }, (_, quantization) => {
    assert.deepEqual(groups(quantization), [["b", "c"], ["a"]]);
  });
  await withOutput(RARE_FIRST, { bits: 4, format: "sdnq" }, (_, quantization) => {
    assert.equal(quantization["group_size"], 128);
    assert.deepEqual(quantization["modules_quant_config"], { "a.weight": { group_size: -1 } });
  });
  const even = RARE_FIRST.slice(0, 2);
  await withOutput(even, { bits: 4 }, (_, quantization) => {
    assert.deepEqual(groups(quantization), [["a"], ["b"]]);
  });
  await withOutput(even, { bits: 4, format: "sdnq" }, (_, quantization) => {
    assert.equal(quantization["group_size"], -1);
    assert.deepEqual(quantization["modules_quant_config"], { "b.weight": { group_size: 128 } });
  });
});

Deno.test("a file that does not say where it comes from says so when it is written, as loaders want", async () => {
  const tensors = [matrix("a.weight", 8, 64, noise(1))];
  const metadataOf = async (file: Uint8Array) => {
    let metadata: unknown;
    const files = { "model/config.json": "{}", "model/model.safetensors": file };
    await withFiles(files, async (root) => {
      const output = join(root, "out");
      await quantizeModel(join(root, "model"), output, DEFAULT_SETTINGS);
      const path = join(output, "model.safetensors");
      const source = openSource(path, "model.safetensors");
      metadata = Object.fromEntries(readHeader(source, "model.safetensors").metadata ?? []);
      source.close();
    });
    return metadata;
  };
  const [tensor] = tensors;
  const text = JSON.stringify({
    "a.weight": { dtype: "F32", shape: [8, 64], data_offsets: [0, tensor!.data.length] },
  });
  const bare = rawFile(text, tensor!.data.length);
  bare.set(tensor!.data, bare.length - tensor!.data.length);
  assert.deepEqual(await metadataOf(bare), { format: "pt" });
  const named = encodeFile(tensors, new Map([["format", "tf"], ["author", "x"]]));
  assert.deepEqual(await metadataOf(named), { format: "tf", author: "x" });
});

Deno.test("an output head is ignored unless it is quantized", async () => {
  const tensors = [matrix("a.weight", 8, 64, noise(1)), matrix("lm_head.weight", 8, 64, noise(2))];
  const ignored = async (settings: Partial<QuantizeSettings>) => {
    let ignore: unknown;
    await withOutput(tensors, { bits: 4, ...settings }, (_, quantization) => {
      ignore = quantization["ignore"];
    });
    return ignore;
  };
  assert.deepEqual(await ignored({}), ["lm_head"]);
  assert.deepEqual(await ignored({ defaultIgnore: false }), []);
  assert.deepEqual(await ignored({ defaultIgnore: false, ignore: ["a"] }), ["a"]);
});

Deno.test("symmetric parameters of 4 bits have the zero points that formats store of the middle code", async () => {
  // None below zero: parameters of the range would have 0 for a zero point.
  const tensors = [matrix("a.weight", 8, 64, (i) => Math.abs(noise(1)(i)), "BF16")];
  for (const symmetric of [true, false]) {
    await withOutput(tensors, { bits: 4, format: "comfy", symmetric }, (found) => {
      const zeros = floatsOf(found.get("a.weight_zeros")!);
      const scales = floatsOf(found.get("a.weight_scale")!);
      for (const [i, zero] of zeros.entries()) {
        assert.equal(zero, symmetric ? 0 : 8 * scales[i]!);
      }
    });
    for (const bits of [2, 4] as const) {
      await withOutput(tensors, { bits, format: "sdnq", symmetric }, (found) => {
        const zeros = floatsOf(found.get("a.zero_point")!);
        const scales = floatsOf(found.get("a.scale")!);
        for (const [i, zero] of zeros.entries()) {
          assert.equal(zero, symmetric ? -(2 ** (bits - 1)) * scales[i]! : 0);
        }
      });
    }
  }
});

/** Format, width, columns, block size asked for by rows, and the columns of a block; `undefined`: it holds none. */
const BLOCKS: [FormatName, Bits, number, number | null, number | undefined][] = [
  // Wider than blocks by rows may be: where a row has one scale it is one block all the same.
  ["comfy", 8, 131072, null, 131072],
  ["comfy", 4, 131072, null, 65536],
  ["comfy", 4, 33, null, undefined],
  ["comfy", 4, 34, 128, 34],
  ["comfy", 2, 64, 32, undefined],
  ["sdnq", 2, 33, null, undefined],
  ["sdnq", 2, 132, null, 132],
  ["sdnq", 8, 33, null, 33],
  ["gguf", 4, 256, 32, 32],
  ["gguf", 4, 256, 256, 256],
  ["gguf", 4, 768, 512, 256],
  ["gguf", 4, 96, null, 32],
  ["gguf", 4, 1024, null, 1024],
  ["gguf", 2, 1024, 256, 256],
  ["gguf", 2, 1024, null, 1024],
  ["gguf", 2, 320, 256, undefined],
  ["gguf", 2, 32, null, undefined],
  ["gguf", 8, 256, 32, 32],
  ["gguf", 8, 320, null, 32],
  ["gguf", 8, 100, 32, undefined],
  ["compressed-tensors", 2, 33, 128, 33],
];

Deno.test("a format has the blocks that it can hold, of the size asked for or the next one below", async () => {
  for (const [format, bits, columns, groupSize, expected] of BLOCKS) {
    const tensor = { name: "a.weight", dtype: "BF16", shape: [4, columns], begin: 0, end: 0 };
    const options = {
      bits,
      timeGroups: 2,
      granularity: "row",
      groupSize,
      symmetric: false,
    } as const;
    const { storage } = await loadFormat(format);
    const layer = planLayer(tensor, "m", options, storage);
    const what = `${format} ${bits} ${columns} ${groupSize}`;
    assert.equal(layer?.grid.blockColumns, expected, what);
    if (layer === undefined) continue;
    const isWhole = layer.grid.blockColumns === columns && groupSize !== columns;
    assert.equal(layer.grid.groupSize, isWhole ? null : layer.grid.blockColumns, what);
    assert.equal(
      layer.scaleDtype,
      format === "gguf" ? "F16" : format === "comfy" && bits === 8 ? "F32" : "BF16",
    );
    assert.equal(layer.symmetric, format !== "compressed-tensors" && bits === 8, what);
  }
});
