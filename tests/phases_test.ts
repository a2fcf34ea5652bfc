/** The phases on small models: odd groups, every backend, what is written and what is refused. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { openSource, readHeader } from "../lib/safetensors/read.ts";
import type { FloatDtype } from "../lib/safetensors/dtype.ts";
import { GRANULARITIES } from "../lib/settings/settings.ts";
import {
  DEFAULT_SETTINGS,
  quantizeModel,
  type QuantizeSettings,
  scoreSteps,
  verifyCheckpoint,
} from "../mod.ts";
import { contentOf, namesIn, withSmallModel } from "./directories.ts";
import { withAdapter } from "./find_adapter.ts";
import { encodeFile, matrix, noise, type TestTensor, withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

const PHASES = [
  { phase: "baseline" },
  { phase: "smooth" },
  { phase: "smooth", smoothingWindow: 20, smoothingMethod: "sigmoid" },
  { phase: "optimize" },
  { phase: "optimize", smoothingWindow: 2, smoothingMethod: "cubic", markovWeight: 0 },
] satisfies Partial<QuantizeSettings>[];

const BY_SLICES = { ...DEFAULT_SETTINGS, granularity: "slice" } satisfies QuantizeSettings;

const sample = noise(11);

/** Weights of which some time groups are odd; groups of 8 rows of 32. */
const ODD: Record<string, (index: number) => number> = {
  "plain": (i) => sample(i),
  "first group all zero": (i) => i < 8 * 32 ? 0 : sample(i),
  "a middle group all zero": (i) => i >= 8 * 32 && i < 16 * 32 ? 0 : sample(i),
  "all zero": () => 0,
  "all zero, some of them negative": (i) => i % 3 === 0 ? -0 : 0,
  "one value": () => 0.5,
  "a group of one value": (i) => i < 8 * 32 ? -0.25 : sample(i),
  "a group of two values": (i) => i < 8 * 32 ? (i % 2) - 0.5 : sample(i),
  "none below zero": (i) => Math.abs(sample(i)),
  "one outlier": (i) => i === 300 ? 40 : sample(i) / 100,
  "groups of very different size": (i) => sample(i) * 10 ** Math.floor(i / 256),
};

async function withModel(
  tensors: TestTensor[],
  use: (model: string, root: string) => Promise<void>,
): Promise<void> {
  const files = { "model/model.safetensors": encodeFile(tensors), "model/config.json": "{}" };
  await withFiles(files, (root) => use(join(root, "model"), root));
}

Deno.test("quantizeModel() takes more blocks in phase optimize than are rated at once", async () => {
  const value = (i: number) => sample(i);
  await withModel([matrix("a.weight", 500, 160, value, "BF16")], async (model, root) => {
    const report = await quantizeModel(model, join(root, "out"), {
      ...BY_SLICES,
      phase: "optimize",
      timeGroups: 500,
      groupSize: 16,
    });
    assert.equal(report.layers.length, 1);
    assert.ok(report.sqnr_db! > report.baseline!.sqnr_db!);
  });
});

Deno.test("quantizeModel() gives all-zero time groups in phase optimize what their nearest neighbour has", async () => {
  const rows = (i: number) => Math.floor(i / (8 * 32));
  // Zero, a group with outliers, zero, another scale, zero: each of its own kind in both blocks.
  const value = (i: number) => {
    const group = rows(i);
    if (group % 2 === 0) return 0;
    const x = sample(i) * (group === 1 ? 1 : 0.25) * (i % 32 < 16 ? 1 : 3);
    return i % 97 === 0 ? 5 * x : x;
  };
  for (const dtype of ["BF16", "F32"] satisfies FloatDtype[]) {
    await withModel([matrix("a.weight", 40, 32, value, dtype)], async (model, root) => {
      const output = join(root, "out");
      const { layers: [layer] } = await quantizeModel(model, output, {
        ...BY_SLICES,
        phase: "optimize",
        timeGroups: 5,
        groupSize: 16,
        // Each group takes what is best for it.
        markovWeight: 0,
      });
      const { scale, zero_point, baseline } = layer!;
      assert.notEqual(scale[1], scale[3]);
      assert.deepEqual([scale[0], scale[2], scale[4]], [scale[1], scale[1], scale[3]]);
      assert.deepEqual(
        [zero_point[0], zero_point[2], zero_point[4]],
        [zero_point[1], zero_point[1], zero_point[3]],
      );
      assert.notEqual(scale[1], baseline!.scale[1]);
      const source = openSource(join(output, "model.safetensors"), "out");
      const { begin, end } = readHeader(source, "out").tensors.find(({ name }) =>
        name === "a.weight_scale"
      )!;
      const bytes = new Uint8Array(end - begin);
      source.readInto(begin, bytes);
      source.close();
      // Block by block, not only in the mean: [40, 2] scales.
      const bandBytes = bytes.length / 5;
      const band = (g: number) => bytes.subarray(g * bandBytes, (g + 1) * bandBytes);
      for (const [zero, neighbour] of [[0, 1], [2, 1], [4, 3]] as const) {
        assert.deepEqual(band(zero), band(neighbour), `${dtype} group ${zero}`);
      }
    });
  }
});

for (const granularity of GRANULARITIES) {
  for (const [place, [name, value]] of Object.entries(ODD).entries()) {
    withAdapter.test(`every phase, width and backend takes weights by ${granularity}s: ${name}`, async () => {
      await assertAllAgree(value, { ...DEFAULT_SETTINGS, granularity }, place);
    });
  }
}

/**
 * Quantizes weights in every phase and width, and holds the backends against each other and the reports. Dtypes take
 * turns, so that three kinds of weights meet every phase, width and backend with each of them.
 *
 * @param turn Which kind of weights they are.
 */
async function assertAllAgree(
  value: (index: number) => number,
  common: QuantizeSettings,
  turn: number,
): Promise<void> {
  const dtypes = ["BF16", "F16", "F32"] satisfies FloatDtype[];
  for (const [i, phase] of PHASES.entries()) {
    for (const [j, bits] of ([2, 4, 8] as const).entries()) {
      const weights = matrix("a.weight", 32, 32, value, dtypes[(turn + i + j) % dtypes.length]!);
      for (const groupSize of [undefined, 16]) {
        const settings = { ...common, ...phase, bits, groupSize };
        // The software adapter takes a while to open: one width and phase of each kind will do.
        const withDevice = bits === 4 && i % 2 === 1;
        await withModel([weights], async (model, root) => {
          const written = new Map<string, unknown>();
          for (const backend of ["reference", "wasm", "webgpu"] as const) {
            if (backend === "webgpu" && !withDevice) continue;
            const output = join(root, backend);
            const report = await quantizeModel(model, output, { ...settings, backend });
            assert.ok(report.smoothness_score >= 0 && report.smoothness_score <= 1);
            const found = await verifyCheckpoint(output, model);
            const near = Math.abs(found.cosine_similarity - report.cosine_similarity);
            assert.ok(near < 1e-5, `cosine off by ${near}`);
            written.set(backend, contentOf(output));
          }
          for (const [backend, content] of written) {
            assert.deepEqual(content, written.get("reference"), backend);
          }
        });
      }
    }
  }
}

/** The values of a tensor of a file, by default of time_groups.isotherm. */
function readTensor(output: string, name: string, file = "time_groups.isotherm"): number[] {
  const source = openSource(join(output, file), file);
  try {
    const { tensors } = readHeader(source, file);
    const { begin, end, dtype } = tensors.find((tensor) => tensor.name === name)!;
    const bytes = new Uint8Array(end - begin);
    source.readInto(begin, bytes);
    return [...(dtype === "F32" ? new Float32Array(bytes.buffer) : new Int32Array(bytes.buffer))];
  } finally {
    source.close();
  }
}

Deno.test("phase smooth writes the parameters of each step, which give the score as stored", async () => {
  await withModel(
    [matrix("a.weight", 40, 32, (i) => sample(i) * (1 + i / 500))],
    async (model, root) => {
      const output = join(root, "out");
      const settings = { ...BY_SLICES, bits: 4 as const, phase: "smooth" as const };
      const report = await quantizeModel(model, output, settings);
      const [layer] = report.layers;
      const boundaries = readTensor(output, "a.boundaries");
      assert.deepEqual(boundaries, [0, 10, 20, 30, 40]);
      const scale = readTensor(output, "a.scale");
      const zeroPoint = readTensor(output, "a.zero_point");
      assert.deepEqual([scale.length, zeroPoint.length], [40, 40]);
      // Window of 5 around row 10: step i has (i + 1) / 11 of the right group's parameters.
      const [left, right] = [layer!.scale[0]!, layer!.scale[1]!];
      for (let i = 0; i < 10; i++) {
        const expected = left + (i + 1) / 11 * (right - left);
        assert.ok(Math.abs(scale[5 + i]! - expected) < 1e-6 * expected, `step ${5 + i}`);
      }
      const steps = scale.map((scale, step) => ({ scale, zero_point: zeroPoint[step]! }));
      const stored = scoreSteps(steps, boundaries, 4);
      assert.ok(Math.abs(stored.smoothness_score - report.stored_smoothness_score!) < 1e-9);
    },
  );
});

Deno.test("phase smooth by rows multiplies the scales of a row by how far the mean of its own time group moves", async () => {
  // Groups of very different size, so that it matters which one a row belongs to.
  const value = (i: number) => sample(i) * 4 ** Math.floor(i / 320);
  await withModel([matrix("a.weight", 40, 32, value)], async (model, root) => {
    const scalesOf = async (settings: Partial<QuantizeSettings>) => {
      const output = join(root, settings.phase!);
      const all = { ...DEFAULT_SETTINGS, bits: 4 as const, groupSize: 16, ...settings };
      const report = await quantizeModel(model, output, all);
      return { report, scale: readTensor(output, "a.weight_scale", "model.safetensors") };
    };
    const plain = await scalesOf({ phase: "baseline" });
    const smooth = await scalesOf({ phase: "smooth", smoothingWindow: 3 });
    const [layer] = smooth.report.layers;
    assert.deepEqual(layer!.boundaries, [0, 10, 20, 30, 40]);
    assert.deepEqual(layer!.scale, plain.report.layers[0]!.scale);
    for (const [block, before] of plain.scale.entries()) {
      const row = Math.floor(block / 2);
      const boundary = [10, 20, 30].find((row0) => row >= row0 - 3 && row < row0 + 3);
      let factor = 1;
      if (boundary !== undefined) {
        const [left, right] = [layer!.scale[boundary / 10 - 1]!, layer!.scale[boundary / 10]!];
        const mean = left + (row - boundary + 4) / 7 * (right - left);
        factor = mean / (row < boundary ? left : right);
      }
      const expected = before * factor;
      const off = Math.abs(smooth.scale[block]! - expected);
      assert.ok(off <= 1e-6 * expected, `row ${row}: ${smooth.scale[block]}, expected ${expected}`);
    }
  });
});

Deno.test("phase optimize has one set of parameters for each time group, and less error where there is any to lose", async () => {
  const bell = (i: number) => sample(3 * i) + sample(3 * i + 1) + sample(3 * i + 2);
  await withModel([matrix("a.weight", 64, 64, bell)], async (model, root) => {
    const output = join(root, "out");
    const report = await quantizeModel(model, output, { ...BY_SLICES, phase: "optimize" });
    assert.equal(readTensor(output, "a.scale").length, 4);
    assert.equal("stored_smoothness_score" in report, false);
    assert.ok(report.change!.sqnr_db! > 1, `${report.change!.sqnr_db} dB`);
  });
  // Even weights fill their range: there is nothing to gain, and phase baseline's parameters stay.
  await withModel([matrix("a.weight", 64, 64, sample)], async (model, root) => {
    const settings = { ...BY_SLICES, phase: "optimize" as const };
    const report = await quantizeModel(model, join(root, "out"), settings);
    assert.deepEqual(report.layers[0]!.scale, report.layers[0]!.baseline!.scale);
    assert.equal(report.change!.smoothness_score, 0);
  });
});

Deno.test("a large Markov weight gives all time groups the same parameters", async () => {
  await withModel([matrix("a.weight", 64, 64, sample, "BF16")], async (model, root) => {
    const settings = { ...BY_SLICES, phase: "optimize" as const };
    const loose = await quantizeModel(model, join(root, "0"), { ...settings, markovWeight: 0 });
    const tight = await quantizeModel(model, join(root, "9"), { ...settings, markovWeight: 1000 });
    assert.ok(tight.smoothness_score > 0.99, `${tight.smoothness_score}`);
    assert.ok(loose.smoothness_score <= tight.smoothness_score);
    assert.ok(loose.sqnr_db! >= tight.sqnr_db! - 0.3);
  });
});

Deno.test("main() refuses to smooth one time group, and leaves nothing behind", async () => {
  await withSmallModel(async ({ root, run }) => {
    for (const phase of [["smooth"], ["optimize", "--smoothing-window", "3"]]) {
      const flags = ["--num-time-groups", "1", "--phase", ...phase];
      const { code, stdout, stderr } = await runMain(...run, ...flags);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.equal(
        stderr,
        "error: Cannot smooth 1 time group: it has no boundary: " +
          "give --num-time-groups 2 or more, or leave smoothing out\n",
      );
      assert.deepEqual(namesIn(root), ["model"]);
    }
    assert.equal((await runMain(...run, "--num-time-groups", "1", "--phase", "optimize")).code, 0);
  });
});

Deno.test("every phase names the tensor and how many weights are NaN", async () => {
  for (const dtype of ["BF16", "F16", "F32"] satisfies FloatDtype[]) {
    const value = (i: number) => i === 40 || i === 700 ? NaN : sample(i);
    await withModel([matrix("a.weight", 32, 32, value, dtype)], async (model, root) => {
      for (const granularity of GRANULARITIES) {
        for (const phase of PHASES) {
          await assert.rejects(
            quantizeModel(model, join(root, "out"), { ...DEFAULT_SETTINGS, granularity, ...phase }),
            /tensor "a\.weight" in "model\.safetensors": 2 NaN of 1024 values, the first at \[1, 8\]/,
          );
        }
      }
    });
  }
});
