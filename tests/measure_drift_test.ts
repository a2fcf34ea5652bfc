/** How inputs change over time, as it is measured from a calibration. */

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  encodeCalibration,
  type RecordedCalibration,
  type RecordedLayer,
} from "../lib/calibration/encode_calibration.ts";
import { type Drift, kindOfLayer, measureDrift } from "../lib/calibration/measure_drift.ts";
import { openCalibration } from "../lib/calibration/open_calibration.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import { withFiles } from "./make_model.ts";

/** Measures the drift of the named layers, or of all. */
async function measure(
  recorded: RecordedCalibration,
  names?: string[],
): Promise<Drift | undefined> {
  let drift: Drift | undefined;
  await withFiles({ "c.safetensors": encodeCalibration(recorded) }, (directory) => {
    const calibration = openCalibration(join(directory, "c.safetensors"));
    drift = measureDrift(calibration, names ?? calibration.layers.keys());
  });
  return drift;
}

const one = (layer: RecordedLayer, timesteps = [10, 20, 30, 40]): RecordedCalibration => ({
  timesteps,
  layers: new Map([["blocks.0.fc", layer]]),
});

/** Ranges of 1, 2, 4 and 1. */
const RANGES = {
  min: Float32Array.of(-0.5, -1, 0, 3),
  max: Float32Array.of(0.5, 1, 4, 4),
};

Deno.test("measureDrift() gives ranges relative to their mean, and the largest over the smallest", async () => {
  assert.deepEqual(await measure(one(RANGES)), {
    timesteps: [10, 20, 30, 40],
    kinds: [{
      kind: "fc",
      layers: 1,
      range: [0.5, 1, 2, 0.5],
      range_ratio: 4,
      rms: null,
      rms_ratio: null,
    }],
  });
});

Deno.test("measureDrift() takes mean squares of timesteps, then of segments, then of histograms", async () => {
  const rms = async (layer: RecordedLayer) => {
    const [kind] = (await measure(one(layer)))!.kinds;
    return [kind!.rms, kind!.rms_ratio];
  };
  const curve = [[0.5, 1, 1.5, 1], 3];
  // Two columns each: mean squares of 1, 4, 9 and 4.
  const square = Float32Array.of(0, 2, 4, 4, 18, 0, 4, 4);
  assert.deepEqual(await rms({ square, segments: 4 }), curve);
  const halves = Float32Array.of(1, 1, 9, 9);
  assert.deepEqual(await rms({ square: halves, segments: 2 }), [[0.5, 0.5, 1.5, 1.5], 3]);
  // Bins of width 2 from -2 to 6: their middles are -1, 1, 3 and 5.
  const ends = { min: Float32Array.of(-2, 0, 2, 0), max: Float32Array.of(0, 2, 6, 2) };
  const histogram = Int32Array.of(7, 0, 0, 0, 0, 5, 0, 0, 0, 0, 3, 0, 2, 2, 0, 0);
  const found = await rms({ ...ends, histogram });
  assert.deepEqual(found, [[0.6667, 0.6667, 2, 0.6667], 3]);
  // Squares that were added up over time say nothing of it, so that the histogram counts.
  const both = await rms({ ...ends, histogram, square: Float32Array.of(1, 2) });
  assert.deepEqual(both, found);
});

Deno.test("measureDrift() counts every layer of a kind the same, however large its inputs", async () => {
  const flat = { min: new Float32Array(4), max: new Float32Array(4).fill(1000) };
  const recorded = {
    timesteps: [1, 2, 3, 4],
    sameInput: new Map([["blocks.1.k", "blocks.0.fc"], ["blocks.2.fc", "blocks.1.fc"]]),
    layers: new Map([["blocks.0.fc", RANGES], ["blocks.1.fc", flat], ["out", flat]]),
  };
  const shown = (drift: Drift | undefined) =>
    drift!.kinds.map(({ kind, layers, range_ratio }) => [kind, layers, range_ratio]);
  // A third of 0.5, 1, 2, 0.5, and twice a third of 1.
  assert.deepEqual(shown(await measure(recorded)), [["k", 1, 4], ["fc", 3, 1.6], ["out", 1, 1]]);
  assert.deepEqual(shown(await measure(recorded, ["blocks.0.fc", "nowhere"])), [["fc", 1, 4]]);
});

Deno.test("measureDrift() has no ratio where the smallest is 0, and no curve where all are", async () => {
  const dead = { min: new Float32Array(4), max: new Float32Array(4) };
  const half = { min: new Float32Array(4), max: Float32Array.of(0, 1, 2, 1) };
  const [kind] = (await measure(one(half)))!.kinds;
  assert.deepEqual([kind!.range, kind!.range_ratio], [[0, 1, 2, 1], null]);
  assert.equal(await measure(one(dead)), undefined);
  assert.equal(await measure(one({ square: Float32Array.of(1, 2) })), undefined);
  const alone = { min: Float32Array.of(0), max: Float32Array.of(1) };
  assert.equal(await measure(one(alone, [5])), undefined);
  assert.equal(await measure(one(RANGES), []), undefined);
});

Deno.test("measureDrift() keeps to 50 points and 12 kinds, and to finite numbers at the end of F32", async () => {
  const count = 1000;
  const most = 3.4e38;
  const layer = (peak: number): RecordedLayer => ({
    min: new Float32Array(count).fill(-most),
    max: Float32Array.from({ length: count }, (_, t) => t === 999 ? most : most / peak),
  });
  const drift = (await measure({
    timesteps: Array.from({ length: count }, (_, t) => t),
    layers: new Map(Array.from({ length: 20 }, (_, i) => [`b.0.kind${i}`, layer(i + 2)])),
  }))!;
  assert.deepEqual([drift.timesteps.length, drift.kinds.length], [50, 12]);
  assert.deepEqual([drift.timesteps[0], drift.timesteps.at(-1)], [9.5, 989.5]);
  assert.deepEqual([drift.kinds[0]!.kind, drift.kinds[11]!.kind], ["kind19", "kind8"]);
  for (const { range, range_ratio } of drift.kinds) {
    assert.equal(range!.length, 50);
    assert.ok(range!.every(Number.isFinite) && range_ratio! > 1 && range_ratio! < 2);
  }
});

Deno.test("measureDrift() refuses a file that has changed", () =>
  withFiles({ "c.safetensors": encodeCalibration(one(RANGES)) }, (directory) => {
    const path = join(directory, "c.safetensors");
    const calibration = openCalibration(path);
    Deno.writeFileSync(path, encodeCalibration(one({ ...RANGES, square: Float32Array.of(1) })));
    assertBadInput(
      () => measureDrift(calibration, ["blocks.0.fc"]),
      "it has changed since it was checked",
    );
  }));

Deno.test("kindOfLayer() leaves out numbers and what stands before the first", () => {
  for (
    const [name, kind] of [
      ["blocks.0.attn.qkv", "attn.qkv"],
      ["model.layers.11.mlp.down_proj", "mlp.down_proj"],
      ["transformer_blocks.3.attn.to_out.0", "attn.to_out"],
      ["proj_out", "proj_out"],
      ["blocks.7", "blocks.7"],
      ["", ""],
      ["__proto__", "__proto__"],
    ] as const
  ) assert.equal(kindOfLayer(name), kind);
});
