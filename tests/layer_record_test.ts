/** A finished layer is plain data: report and time groups can be built from what was written to a disk. */

import assert from "node:assert/strict";
import { type LayerRecord, recordLayer } from "../lib/layer/layer_record.ts";
import { storedParams, trackOf } from "../lib/params/score_track.ts";
import { smoothParams } from "../lib/params/smooth_params.ts";
import { COMPRESSED_TENSORS } from "../lib/format/compressed_tensors/format.ts";
import { selectLayers } from "../lib/plan/select_layers.ts";
import { buildReport } from "../lib/report/build_report.ts";
import { encodeTimeGroups } from "../lib/run/encode_time_groups.ts";
import { CODE_BINS, type LayerParams } from "../lib/types.ts";
import { DEFAULT_SETTINGS, type Phase, type QuantizeSettings } from "../mod.ts";
import { noise } from "./make_model.ts";

const { layers: [LAYER] } = selectLayers(
  [{
    name: "model.safetensors",
    tensors: [{ name: "a.fc.weight", dtype: "BF16", shape: [24, 64], begin: 8, end: 3080 }],
  }],
  { ...DEFAULT_SETTINGS, granularity: "slice", bits: 4, timeGroups: 3, groupSize: 32 },
  COMPRESSED_TENSORS.storage,
);

const GROUPS: LayerParams = {
  bands: [0, 8, 16, 24],
  blocks: 2,
  scale: Float32Array.from({ length: 6 }, (_, i) => Math.fround(0.1 + noise(1)(i) / 30)),
  zero_point: Uint8Array.of(7, 8, 6, 9, 8, 8),
};

/** The means of parameters over the blocks of each band. */
function meansOf(params: LayerParams) {
  const { scale, zero_point } = trackOf(params);
  return { scale, zero_point };
}

/** The parameters of each step, before and after rounding. */
function scheduleOf(params: LayerParams) {
  return { exact: trackOf(params), stored: trackOf(storedParams(params)) };
}

/** A layer as each phase leaves it. */
function recordOf(phase: Phase): LayerRecord {
  const sums = { signal: 1 / 3, decoded: 0.3, error: 1 / 700 };
  const means = meansOf(GROUPS);
  const smooth = smoothParams(GROUPS, { window: 2, method: "linear", dtype: "BF16" });
  const found = {
    ...means,
    sums,
    schedule: phase === "smooth" ? scheduleOf(smooth) : null,
    weight_histogram: new Array<number>(CODE_BINS).fill(3),
    baseline: phase === "baseline" ? null : { ...means, sums: { ...sums, error: 1 / 90 } },
  };
  return recordLayer(LAYER!, found, 1000, undefined);
}

/** The report and the time groups of a run on these records. */
function outcomeOf(records: LayerRecord[], phase: Phase) {
  const settings: QuantizeSettings = { ...DEFAULT_SETTINGS, bits: 4, timeGroups: 3, phase };
  const report = buildReport({
    modelName: "model",
    parts: [{
      component: "",
      sourceBytes: 4000,
      outputBytes: 1100,
      parameterCount: 1600,
      records,
      skipped: [],
    }],
    settings,
    backend: "wasm",
    elapsedSeconds: () => 1,
  });
  return { report, timeGroups: encodeTimeGroups(records, report.source, report.phase) };
}

for (const phase of ["baseline", "smooth", "optimize"] as const) {
  Deno.test(`a record of phase ${phase} gives the same report and time groups after it was written to a disk`, () => {
    const record = recordOf(phase);
    const read = JSON.parse(JSON.stringify(record)) as LayerRecord;
    assert.deepEqual(read, record);
    assert.deepEqual(outcomeOf([read], phase), outcomeOf([record], phase));
  });
}

Deno.test("encodeTimeGroups() has the zero points that are stored, not those before rounding", () => {
  const params: LayerParams = {
    bands: [0, 12, 24],
    blocks: 4,
    scale: new Float32Array(8).fill(0.5),
    zero_point: Uint8Array.of(0, 0, 0, 0, 7, 7, 7, 10),
  };
  const layer = { ...LAYER!, axis: { source: "positional" as const, boundaries: [0, 12, 24] } };
  const smooth = smoothParams(params, { window: 2, method: "linear", dtype: "BF16" });
  const sums = { signal: 1, decoded: 1, error: 0.1 };
  const found = {
    ...meansOf(params),
    sums,
    schedule: scheduleOf(smooth),
    baseline: null,
    weight_histogram: [],
  };
  const record = recordLayer(layer, found, 1, undefined);
  const [, values] = encodeTimeGroups([record], "positional", "smooth");
  // The zero points are the last of its tensors: one for each of 24 steps.
  const zeroPoints = new Int32Array(values.slice(-24 * 4).buffer);
  // A fifth of the way from 0, 0, 0, 0 to 7, 7, 7, 10 is 1.55 in the mean, and 1.25 as stored.
  assert.deepEqual([...zeroPoints.subarray(9, 15)], [0, 1, 3, 5, 7, 8]);
});

Deno.test("a record keeps the means over the blocks of each time group, and of each step where it has its own", () => {
  const [a, b] = [GROUPS.scale[0]!, GROUPS.scale[1]!];
  const plain = recordOf("baseline");
  assert.equal(plain.scale[0], (a + b) / 2);
  assert.deepEqual(plain.zero_point, [7.5, 7.5, 8]);
  assert.equal(plain.schedule, null);
  assert.equal(plain.baseline, null);
  assert.deepEqual(plain.axis, { source: "positional", boundaries: [0, 8, 16, 24] });
  const { schedule, baseline } = recordOf("smooth");
  assert.deepEqual(baseline!.zero_point, [7.5, 7.5, 8]);
  assert.deepEqual(schedule!.exact.starts, [0, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 24]);
  assert.deepEqual(schedule!.stored.starts, schedule!.exact.starts);
  // From 6 to 8 and from 9 to 8 in fifths: a fifth of the way on, before and after rounding.
  const step = schedule!.exact.starts.indexOf(14);
  assert.equal(schedule!.exact.zero_point[step]!.toFixed(4), ((6.4 + 8.8) / 2).toFixed(4));
  assert.equal(schedule!.stored.zero_point[step], (6 + 9) / 2);
});
