/** What becomes of modulation layers: their own width by rows, whatever the others have, or nothing. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { FormatName, Granularity } from "../lib/types.ts";
import {
  DEFAULT_SETTINGS,
  type Modulation,
  quantizeModel,
  type QuantizeSettings,
  readTimeGroups,
  type Report,
  verifyCheckpoint,
} from "../mod.ts";
import { namesIn, vector } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

/** A modulation layer between two others, all of BF16. */
const FILES = {
  "model/config.json": '{"_class_name": "FluxTransformer2DModel"}',
  "model/model.safetensors": encodeFile([
    matrix("blocks.0.ff.weight", 16, 256, noise(1), "BF16"),
    matrix("blocks.0.norm1.linear.weight", 48, 512, noise(2), "BF16"),
    vector("blocks.0.norm1.linear.bias", 48),
    matrix("blocks.1.ff.weight", 16, 256, noise(3), "BF16"),
  ]),
};

const MODULATION = "blocks.0.norm1.linear";

/** Elements of the model. */
const ELEMENTS = 2 * 16 * 256 + 48 * 512 + 48;

function withModel(
  use: (
    quantize: (settings: Partial<QuantizeSettings>) => Promise<Report>,
    paths: { root: string; model: string; output: string },
  ) => Promise<void>,
): Promise<void> {
  return withFiles(FILES, (root) => {
    const [model, output] = [join(root, "model"), join(root, "out")];
    const quantize = (settings: Partial<QuantizeSettings>) =>
      quantizeModel(model, output, { ...DEFAULT_SETTINGS, ...settings, overwrite: true });
    return use(quantize, { root, model, output });
  });
}

/** Width, columns of a block and bytes of each layer of a report, by name. */
function layersOf({ layers }: Report): Record<string, [number, number | null, number]> {
  return Object.fromEntries(
    layers.map(({ name, bits, group_size, output_bytes }) => [
      name.replace("blocks.", "").replace(".norm1.linear", ".mod"),
      [bits, group_size, output_bytes],
    ]),
  );
}

/**
 * Bytes of a layer in compressed-tensors: codes, BF16 scales, zero points in words over the rows, and the
 * shape of two I64.
 */
function packedSize(
  [rows, columns]: readonly [number, number],
  bits: number,
  blocks: number,
): number {
  return rows * columns * bits / 8 + rows * blocks * 2 + rows * bits / 8 * blocks + 16;
}

const FF = [16, 256] as const;
const MOD = [48, 512] as const;

/** Settings, and the width, block size and bytes of each layer that follow. */
const CASES: [
  settings: Partial<QuantizeSettings>,
  ff: [number, number | null, number],
  modulation: [number, number | null, number] | undefined,
][] = [
  [{ bits: 2 }, [2, 128, packedSize(FF, 2, 2)], [8, null, packedSize(MOD, 8, 1)]],
  [{ bits: 4 }, [4, 128, packedSize(FF, 4, 2)], [8, null, packedSize(MOD, 8, 1)]],
  [{ bits: 8 }, [8, 128, packedSize(FF, 8, 2)], [8, null, packedSize(MOD, 8, 1)]],
  [
    { bits: 4, granularity: "slice" },
    [4, null, packedSize(FF, 4, 1)],
    [8, null, packedSize(MOD, 8, 1)],
  ],
  [
    { bits: 4, groupSize: 64 },
    [4, 64, packedSize(FF, 4, 4)],
    [8, null, packedSize(MOD, 8, 1)],
  ],
  [
    { bits: 2, modulation: 4 },
    [2, 128, packedSize(FF, 2, 2)],
    [4, 128, packedSize(MOD, 4, 4)],
  ],
  [
    { bits: 8, modulation: 4, granularity: "slice", groupSize: 64 },
    [8, 64, packedSize(FF, 8, 4)],
    [4, 64, packedSize(MOD, 4, 8)],
  ],
  [{ bits: 4, modulation: "keep" }, [4, 128, packedSize(FF, 4, 2)], undefined],
  [
    { bits: 2, defaultIgnore: false },
    [2, 128, packedSize(FF, 2, 2)],
    [2, 128, packedSize(MOD, 2, 4)],
  ],
];

Deno.test("modulation layers have 8 bits by rows, whatever the others have, unless told otherwise", async () => {
  await withModel(async (quantize, { model, output }) => {
    for (const [settings, ff, modulation] of CASES) {
      const what = JSON.stringify(settings);
      const report = await quantize(settings);
      const found = layersOf(report);
      assert.deepEqual(found, {
        "0.ff": ff,
        ...modulation && { "0.mod": modulation },
        "1.ff": ff,
      }, what);
      const expected: Modulation | null = settings.defaultIgnore === false
        ? null
        : settings.modulation ?? 8;
      assert.equal(report.modulation, expected, what);
      assert.equal(report.bit_width, settings.bits, what);
      // By hand: the layers, the copies, and what a file begins with.
      const copies = 48 * 4 + (modulation === undefined ? 48 * 512 * 2 : 0);
      const layers = Object.values(found).reduce((sum, [, , bytes]) => sum + bytes, 0);
      const path = join(output, "model.safetensors");
      const head = new DataView(Deno.readFileSync(path).buffer).getBigUint64(0, true);
      const size = 8 + Number(head) + layers + copies;
      assert.equal(Deno.statSync(path).size, size, what);
      assert.equal(report.bits_per_weight, size * 8 / ELEMENTS, what);
      assert.equal(report.model_size_mb, size / 1e6, what);
      assert.equal(report.parameter_count, ELEMENTS);
      assert.equal(
        report.quantized_parameter_count,
        2 * 16 * 256 + (modulation === undefined ? 0 : 48 * 512),
      );
      const skipped = report.skipped.map(({ name, reason }) => `${name}: ${reason}`);
      assert.deepEqual(skipped, [
        "blocks.0.norm1.linear.bias: not a matrix (rank 1)",
        ...modulation === undefined
          ? ["blocks.0.norm1.linear.weight: sensitive layer: modulation"]
          : [],
      ]);
      const { sqnr_db } = await verifyCheckpoint(output, model);
      assert.ok(Math.abs(sqnr_db! - report.sqnr_db!) < 0.01, what);
    }
  });
});

Deno.test("modulation layers stay by rows in every phase of the others by slices", async () => {
  await withModel(async (quantize, { model, output }) => {
    for (const phase of ["baseline", "smooth", "optimize"] as const) {
      for (const granularity of ["row", "slice"] satisfies Granularity[]) {
        const report = await quantize({ bits: 2, granularity, phase });
        const layer = report.layers.find(({ name }) => name === MODULATION)!;
        assert.deepEqual([layer.bits, layer.group_size], [8, null]);
        // 8 bits lose little, and a scale for each row is not that of a slice.
        assert.ok(layer.sqnr_db! > 40, `${layer.sqnr_db}`);
        const { layers } = await verifyCheckpoint(output, model);
        const verified = layers.find(({ name }) => name === MODULATION)!;
        assert.ok(Math.abs(verified.sqnr_db! - layer.sqnr_db!) < 0.01);
        const schedule = readTimeGroups(output)!.layers.find(({ name }) => name === MODULATION)!;
        assert.deepEqual(schedule.boundaries, [0, 12, 24, 36, 48]);
        assert.equal(schedule.scale.length, phase === "smooth" ? 48 : 4);
        if (phase !== "smooth") assert.deepEqual(schedule.scale, layer.scale.map(Math.fround));
      }
    }
    const bySlice = await quantize({ bits: 2, granularity: "slice", defaultIgnore: false });
    const layer = bySlice.layers.find(({ name }) => name === MODULATION)!;
    assert.deepEqual([layer.bits, layer.group_size], [2, null]);
  });
});

/** Format, settings, and width and block size of the modulation layer. */
const FORMATS: [FormatName, Partial<QuantizeSettings>, [number, number | null]][] = [
  ["sdnq", { bits: 4 }, [8, null]],
  ["sdnq", { bits: 4, modulation: 4 }, [4, 128]],
  ["comfy", { bits: 4 }, [8, null]],
  ["comfy", { bits: 8, symmetric: true, modulation: 4 }, [4, 128]],
  ["gguf", { bits: 2 }, [8, 32]],
  ["gguf", { bits: 4, groupSize: 256 }, [8, 32]],
  ["gguf", { bits: 2, modulation: 4 }, [4, 32]],
  ["gguf", { bits: 2, granularity: "slice" }, [8, 32]],
];

Deno.test("modulation layers have the blocks that a format can hold", async () => {
  await withModel(async (quantize, { model, output }) => {
    for (const [format, settings, [bits, size]] of FORMATS) {
      const what = `${format} ${JSON.stringify(settings)}`;
      const report = await quantize({ format, ...settings });
      const layer = report.layers.find(({ name }) => name === MODULATION);
      assert.deepEqual([layer?.bits, layer?.group_size], [bits, size], what);
      const { layers } = await verifyCheckpoint(output, model);
      const verified = layers.find(({ name }) => name === MODULATION)!;
      assert.ok(Math.abs(verified.sqnr_db! - layer!.sqnr_db!) < 0.01, what);
    }
  });
});

Deno.test("--modulation is refused with --no-default-ignore, in the library unless it is the default", async () => {
  const line = "--modulation needs the default ignore list: with --no-default-ignore modulation " +
    "layers are quantized like the others: leave one of the two out";
  await withModel(async (quantize, { root, model, output }) => {
    const run = ["--model", model, "--output", output, "--report", join(root, "r.json")];
    for (const modulation of ["8", "4", "keep"]) {
      const flags = ["--no-default-ignore", "--modulation", modulation];
      const { code, stderr } = await runMain(...run, ...flags);
      assert.deepEqual([code, stderr], [2, `error: ${line}\n`]);
    }
    for (const modulation of [4, "keep"] satisfies Modulation[]) {
      await assert.rejects(quantize({ defaultIgnore: false, modulation }), { message: line });
    }
    for (const [value, shown] of [["2", '"2"'], ["none", '"none"'], ["08", '"08"']]) {
      const { code, stderr } = await runMain(...run, "--modulation", value!);
      assert.deepEqual(
        [code, stderr],
        [2, `error: --modulation is ${shown}, must be 8, 4 or keep\n`],
      );
    }
    assert.deepEqual(namesIn(root), ["model"]);
  });
});
