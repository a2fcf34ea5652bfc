/** What stands in a checkpoint of each format: tensors, texts and config.json, decoded here by the layouts' own words. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { FormatName } from "../lib/types.ts";
import {
  type Bits,
  DEFAULT_SETTINGS,
  quantizeModel,
  type QuantizeSettings,
  type Report,
  verifyCheckpoint,
} from "../mod.ts";
import { type Files, namesIn, shardedModel, vector } from "./directories.ts";
import { encodeFile, matrix, noise, type TestTensor, withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";
import { floatsOf, readTensors } from "./stored_tensors.ts";

type Tensors = ReadonlyMap<string, TestTensor>;

/** A weight as a format's readers decode it: value(row, column). */
type Decoder = (row: number, column: number) => number;

/** Code `index` of a run of bytes, low bits first. */
function codeAt(bytes: Uint8Array, index: number, bits: Bits): number {
  const perByte = 8 / bits;
  const byte = bytes[Math.floor(index / perByte)]!;
  return (byte >> ((index % perByte) * bits)) & (2 ** bits - 1);
}

/** Rows of whole words; zero points packed over the rows; value = (code - zero) * scale. */
function decodePacked(tensors: Tensors, name: string, bits: Bits, columns: number): Decoder {
  const { data: packed, shape: [rows = 0, words = 0] } = tensors.get(`${name}.weight_packed`)!;
  const scale = tensors.get(`${name}.weight_scale`)!;
  const scales = floatsOf(scale);
  const blocks = scale.shape[1]!;
  const zero = tensors.get(`${name}.weight_zero_point`);
  assert.ok(rows > 0);
  return (row, column) => {
    const block = Math.floor(column / (columns / blocks));
    const own = packed.subarray(row * words * 4, (row + 1) * words * 4);
    // Word w of column b of the packed zero points holds those of rows w * 32 / bits and on.
    const perWord = 32 / bits;
    const at = (Math.floor(row / perWord) * blocks + block) * 4;
    const zeroPoint = zero === undefined
      ? 2 ** (bits - 1)
      : codeAt(zero.data.subarray(at, at + 4), row % perWord, bits);
    return (codeAt(own, column, bits) - zeroPoint) * scales[row * blocks + block]!;
  };
}

/** Flat codes or int8; value = zero_point + code * scale. */
function decodeSdnq(tensors: Tensors, name: string, bits: Bits, columns: number): Decoder {
  const { data } = tensors.get(`${name}.weight`)!;
  const scale = tensors.get(`${name}.scale`)!;
  const scales = floatsOf(scale);
  const blocks = scale.shape.length === 2 ? 1 : scale.shape[1]!;
  const zero = tensors.get(`${name}.zero_point`);
  const zeros = zero && floatsOf(zero);
  const signed = new Int8Array(data.buffer, data.byteOffset, data.length);
  return (row, column) => {
    const at = row * blocks + Math.floor(column / (columns / blocks));
    const index = row * columns + column;
    const code = bits === 8 ? signed[index]! : codeAt(data, index, bits);
    return (zeros?.[at] ?? 0) + code * scales[at]!;
  };
}

/** Scales and zeros of [blocks, rows]: value = (code - 8) * scale + zeros; or int8 and a scale a row. */
function decodeComfy(tensors: Tensors, name: string, bits: Bits, columns: number): Decoder {
  const { data, shape: [rows = 0] } = tensors.get(`${name}.weight`)!;
  const scale = tensors.get(`${name}.weight_scale`)!;
  const scales = floatsOf(scale);
  const signed = new Int8Array(data.buffer, data.byteOffset, data.length);
  if (bits === 8) return (row, column) => signed[row * columns + column]! * scales[row]!;
  const zeros = floatsOf(tensors.get(`${name}.weight_zeros`)!);
  const blocks = scale.shape[0]!;
  return (row, column) => {
    const at = Math.floor(column / (columns / blocks)) * rows + row;
    return (codeAt(data, row * columns + column, 4) - 8) * scales[at]! + zeros[at]!;
  };
}

const DECODERS = { "compressed-tensors": decodePacked, sdnq: decodeSdnq, comfy: decodeComfy };

/** The SQNR of a weight as it is decoded here. */
function measure(source: TestTensor, decode: Decoder): number {
  const { shape: [rows = 0, columns = 0] } = source;
  const values = floatsOf(source);
  let [signal, error] = [0, 0];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const x = values[row * columns + column]!;
      signal += x * x;
      error += (x - decode(row, column)) ** 2;
    }
  }
  return 10 * Math.log10(signal / error);
}

/** Rows that do not fill a word, columns that do not fill one, blocks that share nothing. */
const SOURCES = [
  matrix("a.weight", 5, 48, noise(1)),
  matrix("b.weight", 17, 132, (i) => noise(2)(i) + 0.5, "BF16"),
  matrix("c.weight", 9, 256, (i) => noise(3)(i) * (1 + Math.floor(i / 64) % 7), "F16"),
  matrix("d.weight", 33, 96, (i) => noise(4)(i) - 2, "BF16"),
];

const CASES: [format: keyof typeof DECODERS, bits: Bits, symmetric: boolean][] = [
  ["compressed-tensors", 2, false],
  ["compressed-tensors", 4, false],
  ["compressed-tensors", 8, false],
  ["compressed-tensors", 2, true],
  ["compressed-tensors", 4, true],
  ["compressed-tensors", 8, true],
  ["sdnq", 2, false],
  ["sdnq", 4, false],
  ["sdnq", 4, true],
  ["sdnq", 8, true],
  ["comfy", 4, false],
  ["comfy", 4, true],
  ["comfy", 8, true],
];

function model(...tensors: TestTensor[]): Files {
  return { "model/config.json": "{}", "model/model.safetensors": encodeFile(tensors) };
}

function withOutput(
  files: Files,
  settings: Partial<QuantizeSettings>,
  use: (output: string, report: Report, root: string) => void | Promise<void>,
): Promise<void> {
  return withFiles(files, async (root) => {
    const output = join(root, "out");
    const report = await quantizeModel(join(root, "model"), output, {
      ...DEFAULT_SETTINGS,
      ...settings,
    });
    await use(output, report, root);
  });
}

for (const [format, bits, symmetric] of CASES) {
  Deno.test(`${format} at ${bits} bits${symmetric ? ", symmetric," : ""} decodes to what the report says`, async () => {
    for (const granularity of ["row", "slice"] as const) {
      for (const groupSize of [undefined, 16] as const) {
        if (format === "comfy" && bits === 8 && groupSize === 16) continue;
        const settings = { format, bits, symmetric, granularity, groupSize };
        await withOutput(model(...SOURCES), settings, (output, report) => {
          const tensors = readTensors(join(output, "model.safetensors"));
          assert.equal(report.layers.length, 4);
          for (const { name, columns, sqnr_db } of report.layers) {
            const source = SOURCES.find((one) => one.name === `${name}.weight`)!;
            const found = measure(source, DECODERS[format](tensors, name, bits, columns));
            const off = format === "comfy" ? 0.05 : 0.005;
            assert.ok(
              Math.abs(found - sqnr_db!) < off,
              `${granularity} ${name}: ${found} ${sqnr_db}`,
            );
          }
        });
      }
    }
  });
}

Deno.test("parameters of a layer of several runs of rows lie where they belong, in every format", async () => {
  // 17 MB of BF16: a job takes 16.
  const [rows, columns] = [136, 65536];
  const cycle = Float32Array.from({ length: 4096 }, (_, i) => noise(8)(i));
  const value = (i: number) => cycle[(i * 7 + (i >> 12)) & 4095]! * (1 + ((i / columns) | 0));
  const source = matrix("wide.weight", rows, columns, value, "BF16");
  const large: [keyof typeof DECODERS, Bits, boolean][] = [
    ["comfy", 4, false],
    ["comfy", 8, true],
    ["sdnq", 4, false],
    ["compressed-tensors", 4, false],
  ];
  await withFiles(model(source), async (root) => {
    for (const [format, bits, symmetric] of large) {
      const output = join(root, format + bits);
      const report = await quantizeModel(join(root, "model"), output, {
        ...DEFAULT_SETTINGS,
        format,
        bits,
        symmetric,
      });
      const tensors = readTensors(join(output, "model.safetensors"));
      const found = measure(source, DECODERS[format](tensors, "wide", bits, columns));
      assert.ok(Math.abs(found - report.sqnr_db!) < 0.02, `${format} ${found} ${report.sqnr_db}`);
      const { sqnr_db } = await verifyCheckpoint(output, join(root, "model"));
      assert.ok(Math.abs(found - sqnr_db!) < 0.001, `${format} ${found} ${sqnr_db}`);
      Deno.removeSync(output, { recursive: true });
    }
  });
});

/** Dtype and shape of each tensor of a file. */
function shapesOf(path: string): Record<string, string> {
  return Object.fromEntries(
    [...readTensors(path)].map(([name, { dtype, shape }]) => [name, `${dtype} [${shape}]`])
      .sort(([a], [b]) => (a! < b! ? -1 : 1)),
  );
}

function textOf(path: string, name: string): string {
  return new TextDecoder().decode(readTensors(path).get(name)!.data);
}

Deno.test("comfy makes one file of shards, says what each layer is, and has no config of its own", async () => {
  const files = shardedModel();
  await withOutput(files, { format: "comfy", bits: 4 }, async (output, _report, root) => {
    assert.deepEqual(namesIn(output), ["config.json", "model.safetensors", "time_groups.isotherm"]);
    assert.equal(Deno.readTextFileSync(join(output, "config.json")), files["model/config.json"]);
    const path = join(output, "model.safetensors");
    const quant = (length: number) => `U8 [${length}]`;
    assert.deepEqual(shapesOf(path), {
      "blocks.0.fc.comfy_quant": quant(41),
      "blocks.0.fc.weight": "I8 [8,32]",
      "blocks.0.fc.weight_scale": "BF16 [1,8]",
      "blocks.0.fc.weight_zeros": "BF16 [1,8]",
      "blocks.1.fc.bias": "F32 [16]",
      "blocks.1.fc.comfy_quant": quant(41),
      "blocks.1.fc.weight": "I8 [16,48]",
      "blocks.1.fc.weight_scale": "BF16 [1,16]",
      "blocks.1.fc.weight_zeros": "BF16 [1,16]",
    });
    assert.equal(
      textOf(path, "blocks.0.fc.comfy_quant"),
      '{"format": "awq_w4a16", "group_size": 64}',
    );
    assert.equal(
      textOf(path, "blocks.1.fc.comfy_quant"),
      '{"format": "awq_w4a16", "group_size": 96}',
    );
    await verifyCheckpoint(output, join(root, "model"));
    // What is quantized so is not quantized again.
    const again = ["--model", output, "--output", join(root, "again"), "--report", join(root, "r")];
    const { code, stderr } = await runMain(...again);
    assert.deepEqual([code, stderr], [
      2,
      'error: The model "out" is already quantized: it holds "time_groups.isotherm", which a run ' +
      "writes: quantizing twice would lose quality: start from the original model\n",
    ]);
    Deno.removeSync(join(output, "time_groups.isotherm"));
    const bare = await runMain(...again);
    assert.match(
      bare.stderr,
      /^error: The model "out" is already quantized: "model\.safetensors" holds "blocks\.0\.fc\.comfy_quant": /,
    );
  });
  const settings = { format: "comfy", bits: 8, symmetric: true } as const;
  await withOutput(files, settings, (output) => {
    const path = join(output, "model.safetensors");
    assert.deepEqual(shapesOf(path), {
      "blocks.0.fc.comfy_quant": "U8 [29]",
      "blocks.0.fc.weight": "I8 [8,64]",
      "blocks.0.fc.weight_scale": "F32 [8,1]",
      "blocks.1.fc.bias": "F32 [16]",
      "blocks.1.fc.comfy_quant": "U8 [29]",
      "blocks.1.fc.weight": "I8 [16,96]",
      "blocks.1.fc.weight_scale": "F32 [16,1]",
    });
    assert.equal(textOf(path, "blocks.1.fc.comfy_quant"), '{"format": "int8_tensorwise"}');
  });
});

Deno.test("comfy keeps the name of a single file, and diffusers' name of an index", async () => {
  const tensors = [matrix("a.weight", 8, 64, noise(1)), matrix("b.weight", 8, 64, noise(2))];
  const index = "diffusion_pytorch_model.safetensors.index.json";
  const cases: [Files, string][] = [
    [{ "model/flux1-dev.safetensors": encodeFile(tensors) }, "flux1-dev.safetensors"],
    [
      {
        "model/p-1.safetensors": encodeFile(tensors.slice(0, 1)),
        "model/p-2.safetensors": encodeFile(tensors.slice(1)),
        [`model/${index}`]: JSON.stringify({
          weight_map: { "a.weight": "p-1.safetensors", "b.weight": "p-2.safetensors" },
        }),
      },
      "diffusion_pytorch_model.safetensors",
    ],
  ];
  for (const [files, name] of cases) {
    await withOutput(files, { format: "comfy", bits: 4 }, (output, report) => {
      assert.deepEqual(namesIn(output), [name, "time_groups.isotherm"]);
      assert.deepEqual(report.layers.map(({ name }) => name), ["a", "b"]);
    });
  }
});

/** Layers of several widths and block sizes: two of 256 columns, one of 100, a modulation layer. */
const MIXED = [
  matrix("a.ff.weight", 8, 256, noise(1)),
  matrix("b.ff.weight", 8, 256, noise(2)),
  matrix("c.ff.weight", 8, 100, noise(3)),
  matrix("norm1.linear.weight", 16, 64, noise(4)),
  matrix("x_embedder.weight", 8, 16, noise(5)),
  vector("a.ff.bias", 8),
];

function quantizationOf(output: string): Record<string, unknown> {
  return JSON.parse(Deno.readTextFileSync(join(output, "config.json"))).quantization_config;
}

Deno.test("sdnq describes most layers at once and the others by name, and stores each as it says", async () => {
  const cases: [Partial<QuantizeSettings>, Record<string, unknown>][] = [
    [{ bits: 4 }, {
      quant_method: "sdnq",
      weights_dtype: "uint4",
      group_size: 128,
      modules_to_not_convert: ["x_embedder.weight"],
      modules_dtype_dict: { int8: ["norm1.linear.weight"] },
      modules_quant_config: {
        "c.ff.weight": { group_size: -1 },
        "norm1.linear.weight": { group_size: -1 },
      },
    }],
    [{ bits: 2, groupSize: "row", ignore: ["b.*"] }, {
      quant_method: "sdnq",
      weights_dtype: "uint2",
      group_size: -1,
      modules_to_not_convert: ["b.ff.weight", "x_embedder.weight"],
      modules_dtype_dict: { int8: ["norm1.linear.weight"] },
    }],
    [{ bits: 8, symmetric: true, modulation: 4 }, {
      quant_method: "sdnq",
      weights_dtype: "int8",
      group_size: 128,
      modules_to_not_convert: ["x_embedder.weight"],
      modules_dtype_dict: { uint4: ["norm1.linear.weight"] },
      modules_quant_config: {
        "c.ff.weight": { group_size: -1 },
        "norm1.linear.weight": { group_size: -1 },
      },
    }],
    [{ bits: 4, groupSize: "row", modulation: "keep" }, {
      quant_method: "sdnq",
      weights_dtype: "uint4",
      group_size: -1,
      modules_to_not_convert: ["norm1.linear.weight", "x_embedder.weight"],
    }],
  ];
  for (const [settings, expected] of cases) {
    await withOutput(model(...MIXED), { format: "sdnq", ...settings }, async (output, _, root) => {
      assert.deepEqual(quantizationOf(output), expected);
      await verifyCheckpoint(output, join(root, "model"));
    });
  }
  await withOutput(model(...MIXED), { format: "sdnq", bits: 4 }, (output) => {
    assert.deepEqual(shapesOf(join(output, "model.safetensors")), {
      "a.ff.bias": "F32 [8]",
      "a.ff.scale": "F32 [8,2,1]",
      "a.ff.weight": "U8 [1024]",
      "a.ff.zero_point": "F32 [8,2,1]",
      "b.ff.scale": "F32 [8,2,1]",
      "b.ff.weight": "U8 [1024]",
      "b.ff.zero_point": "F32 [8,2,1]",
      "c.ff.scale": "F32 [8,1]",
      "c.ff.weight": "U8 [400]",
      "c.ff.zero_point": "F32 [8,1]",
      "norm1.linear.scale": "F32 [16,1]",
      "norm1.linear.weight": "I8 [16,64]",
      "x_embedder.weight": "F32 [8,16]",
    });
  });
  const half = matrix("a.ff.weight", 8, 256, noise(1), "BF16");
  const settings = { format: "sdnq", bits: 8, symmetric: true } as const;
  await withOutput(model(half), settings, (output) => {
    assert.deepEqual(shapesOf(join(output, "model.safetensors")), {
      "a.ff.scale": "BF16 [8,2,1]",
      "a.ff.weight": "I8 [8,2,128]",
    });
  });
  await withOutput(model(half), { format: "sdnq", bits: 2 }, (output) => {
    assert.deepEqual(shapesOf(join(output, "model.safetensors")), {
      "a.ff.scale": "BF16 [8,2,1]",
      "a.ff.weight": "U8 [512]",
      "a.ff.zero_point": "F32 [8,2,1]",
    });
  });
});

interface Group {
  targets: string[];
  weights: Record<string, unknown>;
}

/** Bits, block size, whether symmetric and targets of each config group, in their order. */
function groupsOf(output: string): unknown[] {
  const groups = quantizationOf(output)["config_groups"] as Record<string, Group>;
  return Object.entries(groups).map(([key, { targets, weights }], i) => {
    assert.equal(key, `group_${i}`);
    assert.deepEqual([weights["type"], weights["dynamic"]], ["int", false]);
    const size = weights["group_size"];
    assert.equal(weights["strategy"], size === null ? "channel" : "group");
    return [weights["num_bits"], size, weights["symmetric"], targets];
  });
}

Deno.test("compressed-tensors has a config group for each kind of layer, and dequantizes where it may", async () => {
  const cases: [TestTensor[], Partial<QuantizeSettings>, unknown[], dequantize: unknown][] = [
    [MIXED.slice(0, 2), { bits: 4 }, [[4, 128, false, ["Linear"]]], true],
    [MIXED.slice(0, 2), { bits: 4, symmetric: true }, [[4, 128, true, ["Linear"]]], undefined],
    [MIXED.slice(0, 2), { bits: 2, groupSize: "row" }, [[2, null, false, ["Linear"]]], true],
    [
      MIXED,
      { bits: 4 },
      [
        [4, 128, false, ["a.ff", "b.ff"]],
        [4, null, false, ["c.ff"]],
        [8, null, false, ["norm1.linear"]],
      ],
      undefined,
    ],
    [
      MIXED,
      { bits: 8, groupSize: "row" },
      [[8, null, false, ["Linear"]]],
      true,
    ],
    [
      MIXED,
      { bits: 4, symmetric: true, groupSize: "row" },
      [[4, null, true, ["a.ff", "b.ff", "c.ff"]], [8, null, true, ["norm1.linear"]]],
      undefined,
    ],
  ];
  for (const [tensors, settings, groups, dequantize] of cases) {
    await withOutput(model(...tensors), settings, async (output, report, root) => {
      assert.deepEqual(groupsOf(output), groups);
      const quantization = quantizationOf(output);
      assert.equal(quantization["dequantize"], dequantize);
      assert.deepEqual(
        quantization["ignore"],
        tensors.length > 2 ? ["lm_head", "x_embedder"] : ["lm_head"],
      );
      assert.equal(quantization["format"], "pack-quantized");
      const shapes = shapesOf(join(output, "model.safetensors"));
      assert.equal(
        Object.keys(shapes).some((name) => name.endsWith("weight_zero_point")),
        settings.symmetric !== true,
      );
      const { sqnr_db } = await verifyCheckpoint(output, join(root, "model"));
      assert.ok(Math.abs(sqnr_db! - report.sqnr_db!) < 0.01);
    });
  }
});

Deno.test("an index goes along with shards, of the formats that keep them, with the size that is true", async () => {
  for (const format of ["compressed-tensors", "sdnq"] satisfies FormatName[]) {
    await withOutput(shardedModel(), { format, bits: 4 }, (output) => {
      const index = JSON.parse(
        Deno.readTextFileSync(join(output, "model.safetensors.index.json")),
      );
      const shards = namesIn(output).filter((name) => name.endsWith(".safetensors"));
      assert.equal(shards.length, 2);
      const tensors = shards.flatMap((shard) =>
        [...readTensors(join(output, shard)).values()].map(({ name, data }) => ({
          name,
          shard,
          size: data.length,
        }))
      );
      assert.equal(index.metadata.total_size, tensors.reduce((sum, { size }) => sum + size, 0));
      assert.deepEqual(
        index.weight_map,
        Object.fromEntries(tensors.map(({ name, shard }) => [name, shard])),
      );
    });
  }
});
