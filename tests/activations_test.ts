/** Quantizers of layer inputs: errors from histograms, ranges, time groups, and what a run makes of them. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { encodeCalibration, type RecordedLayer } from "../lib/calibration/encode_calibration.ts";
import { openCalibration } from "../lib/calibration/open_calibration.ts";
import {
  hasHistogram,
  type InputHistograms,
  withHistograms,
} from "../lib/calibration/read_histograms.ts";
import {
  chooseInputParams,
  coupleInputs,
  paramsOfRange,
  rateInputs,
} from "../lib/params/choose_input_range.ts";
import { costAt, createCosts, groupPoints } from "../lib/params/group_timesteps.ts";
import { addUp, errorOf, quantileOf, signalOf } from "../lib/params/input_errors.ts";
import type { ActivationRecord } from "../lib/layer/activation_record.ts";
import { middlesOf, planPoints } from "../lib/params/plan_points.ts";
import { driftOf, reportActivations } from "../lib/report/report_activations.ts";
import { histogramBytes } from "../lib/run/plan_activations.ts";
import { openPlan } from "../lib/run/plan_run.ts";
import { findOutlying, planInputQuantizer } from "../lib/params/plan_input_quantizer.ts";
import { costOfPath } from "../lib/params/optimize_path.ts";
import {
  BadInputError,
  DEFAULT_SETTINGS,
  judgeReports,
  parseReport,
  quantizeModel,
  type QuantizeSettings,
  readTimeGroups,
  type Report,
} from "../mod.ts";
import { renderConsole } from "../lib/render/render_console.ts";
import { repeatArguments } from "../lib/render/repeat_command.ts";
import { namesIn } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";
import { formatReport } from "./make_report.ts";

/** A histogram like that of real inputs: most near 0, a long tail above. */
const COUNTS = Array.from(
  { length: 60 },
  (_, bin) => Math.round(400 * Math.exp(-(((bin - 20) / 5) ** 2)) + 40 * Math.exp(-bin / 25)),
);
const SUMS = addUp({ from: -1, width: 0.05, counts: COUNTS, lo: -1, hi: 2 });

/** Nearly all near 0, and a few far away. */
const TAILED = Array.from({ length: 2000 }, (_, i) => i < 3 ? 1e6 : i === 1999 ? 1 : 0);

/** What a quantizer does to inputs that lie finely and evenly in their bins. */
function bruteError(scale: number, zero: number, bits: number) {
  const fine = 400;
  let [error, signal] = [0, 0];
  for (const [bin, count] of COUNTS.entries()) {
    for (let i = 0; i < fine; i++) {
      const x = -1 + 0.05 * (bin + (i + 0.5) / fine);
      const code = Math.min(2 ** bits - 1, Math.max(0, Math.round(x / scale) + zero));
      error += count / fine * (x - (code - zero) * scale) ** 2;
      signal += count / fine * x * x;
    }
  }
  return { error, signal };
}

Deno.test("errorOf() is what inputs spread evenly over their bins come to", () => {
  for (
    const [scale, zero, bits] of [
      [0.2, 5, 4],
      [0.05, 3, 4],
      [0.31, 0, 4],
      [0.047, 21, 6],
      [0.012, 84, 8],
      [5, 7, 4],
      [0.001, 255, 8],
    ] as const
  ) {
    const found = errorOf(SUMS, { scale, zero_point: zero }, bits);
    const expected = bruteError(scale, zero, bits);
    const near = (a: number, b: number) => Math.abs(a - b) <= 2e-4 * (expected.error + 1e-9);
    assert.ok(near(found, expected.error), `${scale}: ${found}, not ${expected.error}`);
    assert.ok(Math.abs(signalOf(SUMS) / expected.signal - 1) < 1e-5);
  }
});

Deno.test("quantileOf() finds the input below which a share lies", () => {
  const sums = addUp({ from: 10, width: 2, counts: [1, 0, 3, 0], lo: 10, hi: 18 });
  assert.equal(quantileOf(sums, 0.125), 11);
  assert.ok(Math.abs(quantileOf(sums, 0.5) - (14 + 2 / 3)) < 1e-12);
  assert.equal(quantileOf(sums, 1), 16);
  assert.equal(quantileOf(sums, 0), 10);
});

Deno.test("inputs of a bin lie between the least and the largest input", () => {
  const sums = addUp({ from: 0, width: 1, counts: [1, 0, 1, 2], lo: 0.5, hi: 3.5 });
  assert.equal(sums.first.at(-1), 0.75 + 2.5 + 2 * 3.25);
  assert.equal(quantileOf(sums, 0), 0.5);
  assert.equal(quantileOf(sums, 1), 3.5);
  const third = addUp({ from: 0, width: 1, counts: [0, 0, 4, 0], lo: 2.5, hi: 2.5 });
  assert.equal(errorOf(third, { scale: 0.5, zero_point: 0 }, 8), 0);
  assert.equal(signalOf(third), 25);
});

Deno.test("paramsOfRange() keeps 0 representable and rounds the scale to F32", () => {
  assert.deepEqual(paramsOfRange(0.5, 1.5, 4), { scale: Math.fround(0.1), zero_point: 0 });
  assert.deepEqual(paramsOfRange(-3, -1, 4), { scale: Math.fround(0.2), zero_point: 15 });
  assert.deepEqual(paramsOfRange(-1, 2, 8), { scale: Math.fround(3 / 255), zero_point: 85 });
  assert.deepEqual(paramsOfRange(0, 0, 4), { scale: 1, zero_point: 0 });
});

Deno.test("chooseInputParams() takes all inputs, nearly all, or what errs least", () => {
  const minmax = chooseInputParams(SUMS, "minmax", 4);
  assert.deepEqual([minmax.scale, minmax.zero_point], [Math.fround(0.2), 5]);
  assert.equal(minmax.error, errorOf(SUMS, minmax, 4));
  const tails = chooseInputParams(SUMS, "p99.9", 4);
  const [low, high] = [quantileOf(SUMS, 0.0005), quantileOf(SUMS, 0.9995)];
  assert.deepEqual(
    [tails.scale, tails.zero_point],
    Object.values(paramsOfRange(low, high, 4)),
  );
  const best = chooseInputParams(SUMS, "optimize", 4);
  assert.equal(best.error, errorOf(SUMS, best, 4));
  assert.ok(best.error <= tails.error);
  assert.ok(best.error < minmax.error, `${best.error}, not below ${minmax.error}`);
  // No pair of ends on the grid is better by more than the search gives away.
  for (let i = 0; i < 24; i++) {
    for (let j = 0; j < 24; j++) {
      const other = paramsOfRange(-(1 - i / 25), 2 * (1 - j / 25), 4);
      assert.ok(errorOf(SUMS, other, 4) > 0.97 * best.error, `${i}, ${j}`);
    }
  }
});

Deno.test("coupleInputs() weighs jumps as optimizePath() does", () => {
  const counts = COUNTS.map((c, i) => i < 25 ? c : 0);
  const groups = [SUMS, addUp({ from: -1, width: 0.05, counts, lo: -1, hi: 0.25 })];
  const free = coupleInputs(groups, 4, 0);
  const tied = coupleInputs(groups, 4, 1);
  const jump = ([a, b]: { scale: number; zero_point: number }[]) =>
    Math.abs(b!.scale - a!.scale) / a!.scale + Math.abs(b!.zero_point - a!.zero_point) / 15;
  assert.ok(jump(tied) < jump(free), `${jump(tied)}, ${jump(free)}`);
  const cost = (chosen: typeof free) =>
    costOfPath(
      chosen.map((one, g) => ({
        scale: [one.scale],
        zero_point: [one.zero_point],
        error: [one.error / signalOf(groups[g]!)],
      })),
      [0, 0],
      4,
      1,
    );
  assert.ok(cost(tied) <= cost(free));
});

/** The least cost of all ways to cut points into runs. */
function bruteGroups(points: number, groups: number, cost: (a: number, b: number) => number) {
  let best = Infinity;
  const cut = (from: number, left: number, sum: number) => {
    if (left === 1) best = Math.min(best, sum + cost(from, points));
    else {for (let to = from + 1; to <= points - left + 1; to++) {
        cut(to, left - 1, sum + cost(from, to));
      }}
  };
  cut(0, groups, 0);
  return best;
}

Deno.test("groupPoints() is as good as the best of all ways", () => {
  for (
    const [points, groups, seed] of [[1, 1, 0], [6, 1, 1], [6, 6, 2], [9, 3, 3], [
      11,
      4,
      4,
    ]] as const
  ) {
    const costs = createCosts(points);
    for (let i = 0; i < costs.values.length; i++) costs.values[i] = 1 + noise(seed)(i);
    const { boundaries, cost } = groupPoints(costs, groups);
    const costOf = (a: number, b: number) => costs.values[costAt(a, b)]!;
    assert.equal(boundaries.length, groups + 1);
    assert.deepEqual([boundaries[0], boundaries.at(-1)], [0, points]);
    const sum = boundaries.slice(1).reduce((all, to, g) => all + costOf(boundaries[g]!, to), 0);
    assert.ok(Math.abs(sum - cost) < 1e-12);
    assert.ok(Math.abs(bruteGroups(points, groups, costOf) - cost) < 1e-12);
  }
});

const T = 12;
const BINS = 40;

/** Inputs whose range grows with the timestep, and jumps in the middle. */
function recordInput(seed: number): RecordedLayer {
  const spread = Array.from({ length: T }, (_, t) => (t < 5 ? 1 : 3) + t / 10 + seed);
  const min = Float32Array.from(spread, (s) => -0.4 * s);
  const max = Float32Array.from(spread);
  const [from, end] = [Math.min(...min), Math.max(...max)];
  const histogram = new Int32Array(T * BINS);
  for (let t = 0; t < T; t++) {
    for (let i = 0; i < 500; i++) {
      const u = noise(100 * seed + t)(i) * noise(7)(i);
      const x = u < 0 ? -u * min[t]! : u * max[t]!;
      histogram[t * BINS + Math.min(BINS - 1, Math.floor((x - from) / (end - from) * BINS))]! += 1;
    }
  }
  return { min, max, histogram };
}

const CALIBRATION = encodeCalibration({
  timesteps: Array.from({ length: T }, (_, t) => 40 + 80 * t),
  sameInput: new Map([["blocks.0.k", "blocks.0.q"]]),
  layers: new Map([["blocks.0.q", recordInput(0)], ["blocks.0.fc", recordInput(1)]]),
});

const FILES = {
  "model/model.safetensors": encodeFile([
    ...["blocks.0.q", "blocks.0.k", "blocks.0.fc", "blocks.0.other"].map((name, i) =>
      matrix(`${name}.weight`, 16, 32, noise(i + 1))
    ),
  ]),
  "c.safetensors": CALIBRATION,
};

const SETTINGS = { groupSize: 32, activationBits: 8, phase: "baseline" } as const;

/** Quantizes the model, and hands over its report, schedules and paths. */
async function withRun(
  settings: Partial<QuantizeSettings>,
  use: (report: Report, output: string, root: string) => void | Promise<void>,
): Promise<void> {
  await withFiles(FILES, async (root) => {
    const output = join(root, "out");
    const report = await quantizeModel(join(root, "model"), output, {
      ...DEFAULT_SETTINGS,
      ...SETTINGS,
      calibration: join(root, "c.safetensors"),
      ...settings,
    });
    await use(report, output, root);
  });
}

Deno.test("a run stores a quantizer of inputs for each time group, of phase baseline by their range", () =>
  withRun({}, (report, output) => {
    const { inputs } = readTimeGroups(output)!;
    assert.equal(inputs!.bits, 8);
    assert.deepEqual(inputs!.timesteps, Array.from({ length: T }, (_, t) => 40 + 80 * t));
    assert.deepEqual(inputs!.layers.map(({ name }) => name), [
      "blocks.0.fc",
      "blocks.0.k",
      "blocks.0.q",
    ]);
    const { min, max } = recordInput(0);
    const expected = [0, 3, 6, 9].map((from) =>
      paramsOfRange(
        Math.min(...min!.slice(from, from + 3)),
        Math.max(...max!.slice(from, from + 3)),
        8,
      )
    );
    for (const name of ["blocks.0.q", "blocks.0.k"]) {
      const layer = inputs!.layers.find((one) => one.name === name)!;
      assert.deepEqual(layer.boundaries, [0, 3, 6, 9, 12]);
      assert.deepEqual(layer.scale, expected.map(({ scale }) => scale));
      assert.deepEqual(layer.zero_point, expected.map(({ zero_point }) => zero_point));
    }
    const { activations } = report;
    assert.equal(activations!.other_layers, 1);
    assert.deepEqual(activations!.boundaries, [0, 3, 6, 9, 12]);
    assert.equal(report.activation_sqnr_db, activations!.grouped_sqnr_db);
    assert.equal(report.activation_smoothness_score, activations!.smoothness_score);
    const [one, groups, each] = [
      activations!.static_sqnr_db!,
      activations!.grouped_sqnr_db!,
      activations!.timestep_sqnr_db!,
    ];
    assert.ok(one + 1 < groups && groups < each, `${one}, ${groups}, ${each}`);
    // The range of the input jumps from group to group.
    assert.ok(activations!.smoothness_score < 0.9);
    // Each input once, and its range at each timestep.
    const drawn = activations!.layers.filter(({ range }) => range !== undefined);
    assert.deepEqual(drawn.map(({ name }) => name).sort(), ["blocks.0.fc", "blocks.0.k"]);
    assert.deepEqual(
      drawn.find(({ name }) => name === "blocks.0.k")!.range,
      Array.from(max!, (most, t) => Number((most - min![t]!).toPrecision(4))),
    );
    for (const layer of activations!.layers) assert.equal(layer.moving_scale, undefined);
    assert.deepEqual(parseReport(formatReport(report)).activations, activations);
  }));

Deno.test("expected errors are those of the histograms, each timestep by its own signal", () =>
  withRun({ timeGroups: 3 }, (report, _output, root) => {
    const calibration = openCalibration(join(root, "c.safetensors"));
    const statistics = calibration.layers.get("blocks.0.fc")!;
    assert.ok(hasHistogram(statistics));
    let [error, alone] = [0, 0];
    const { scale, zero_point } = report.activations!.layers.find(({ name }) =>
      name === "blocks.0.fc"
    )!;
    withHistograms(calibration, statistics, ({ from, width, min, max, visit }) => {
      visit((counts, t) => {
        const sums = addUp({ from, width, counts, lo: min[t]!, hi: max[t]! });
        const g = Math.floor(t / 4);
        const own = { scale: scale[g]!, zero_point: zero_point[g]! };
        // In a group, inputs lie between its least and its largest.
        const lo = Math.min(...min.subarray(4 * g, 4 * g + 4));
        const hi = Math.max(...max.subarray(4 * g, 4 * g + 4));
        error += errorOf(addUp({ from, width, counts, lo, hi }), own, 8) / signalOf(sums) / T;
        alone += errorOf(sums, paramsOfRange(min[t]!, max[t]!, 8), 8) / signalOf(sums) / T;
      });
    });
    const layer = report.activations!.layers.find(({ name }) => name === "blocks.0.fc")!;
    const near = (db: number | null, value: number) =>
      assert.ok(Math.abs(db! + 10 * Math.log10(value)) < 1e-9, `${db}`);
    near(layer.grouped_sqnr_db, error);
    near(layer.timestep_sqnr_db, alone);
  }));

Deno.test("a timestep counts by the weights of the calibration, unless the run says otherwise", async () => {
  // The first third of the time counts 9 times as much; its inputs fill a narrower range.
  const weights = Array.from({ length: T }, (_, t) => t < 4 ? 9 : 1);
  const { min, max } = recordInput(1);
  const recording = {
    timesteps: Array.from({ length: T }, (_, t) => 40 + 80 * t),
    layers: new Map([["blocks.0.fc", recordInput(1)]]),
  };
  const files = {
    ...FILES,
    "weighed.safetensors": encodeCalibration({ ...recording, weights }),
    "plain.safetensors": encodeCalibration(recording),
  };
  await withFiles(files, async (root) => {
    const run = async (calibration: string, settings: Partial<QuantizeSettings> = {}) => {
      const report = await quantizeModel(join(root, "model"), join(root, "out"), {
        ...{ ...DEFAULT_SETTINGS, ...SETTINGS, ...settings, overwrite: true },
        calibration: join(root, calibration),
      });
      return report.activations!;
    };
    const relative = (db: number | null) => 10 ** (-db! / 10);
    const one = { timeGroups: 1 } as const;
    const [weighed, plain] = [
      await run("weighed.safetensors", one),
      await run("plain.safetensors", one),
    ];
    // One range over all of the time is worst where inputs are small: there the weights lie.
    assert.deepEqual(weighed.layers[0]!.scale, plain.layers[0]!.scale);
    const [a, b] = [relative(weighed.grouped_sqnr_db), relative(plain.grouped_sqnr_db)];
    assert.ok(a > 1.3 * b, `${a}, ${b}`);
    const calibration = openCalibration(join(root, "weighed.safetensors"));
    const statistics = calibration.layers.get("blocks.0.fc")!;
    assert.ok(hasHistogram(statistics));
    const own = {
      scale: weighed.layers[0]!.scale[0]!,
      zero_point: weighed.layers[0]!.zero_point[0]!,
    };
    let error = 0;
    withHistograms(calibration, statistics, ({ from, width, visit }) => {
      const [lo, hi] = [from, from + BINS * width];
      visit((counts, t) => {
        const sums = addUp({ from, width, counts, lo, hi });
        const signal = signalOf(
          addUp({ from, width, counts, lo: min![t]!, hi: max![t]! }),
        );
        error += weights[t]! * errorOf(sums, own, 8) / signal;
      });
    });
    const total = weights.reduce<number>((sum, weight) => sum + weight, 0);
    assert.ok(Math.abs(a / (error / total) - 1) < 1e-9, `${a}, ${error / total}`);
    const searched = { activationRange: "optimize", activationBits: 4, timeGroups: 1 } as const;
    const narrow = (await run("weighed.safetensors", searched)).layers[0]!.scale[0]!;
    assert.ok(narrow < (await run("plain.safetensors", searched)).layers[0]!.scale[0]!);
    const smooth = { phase: "smooth", smoothingWindow: 1 } as const;
    const moved = (await run("weighed.safetensors", smooth)).grouped_sqnr_db!;
    assert.ok(Math.abs(moved - (await run("weighed.safetensors")).grouped_sqnr_db!) < 2);
  });
});

Deno.test("boundaries go where errors count, by the calibration or by what the run says", async () => {
  // The range doubles after 3 timesteps, and is four times as large after 9.
  const max = Float32Array.from({ length: T }, (_, t) => t < 3 ? 1 : t < 9 ? 2 : 8);
  const histogram = Int32Array.from(
    { length: T * 64 },
    (_, i) => (i % 64 + 1) / 8 <= max[Math.floor(i / 64)]! ? 10 : 0,
  );
  const squares = { square: new Float32Array(2 * 32).fill(1), segments: 2 };
  const files = {
    ...FILES,
    "c.safetensors": encodeCalibration({
      timesteps: Array.from({ length: T }, (_, t) => 40 + 80 * t),
      weights: Array.from({ length: T }, (_, t) => t < 3 ? 1000 : 1),
      layers: new Map([["blocks.0.fc", { min: new Float32Array(T), max, histogram, ...squares }]]),
    }),
  };
  await withFiles(files, async (root) => {
    const calibration = join(root, "c.safetensors");
    const cut = async (settings: Partial<QuantizeSettings>) => {
      const report = await quantizeModel(join(root, "model"), join(root, "out"), {
        ...{ ...DEFAULT_SETTINGS, ...SETTINGS, timeGroups: 2, activationBits: 4, calibration },
        ...{ grouping: "optimal", overwrite: true, ...settings },
      });
      return report.activations!.boundaries[1];
    };
    assert.equal(await cut({}), 3);
    assert.equal(await cut({ timestepWeights: "uniform" }), 9);
    const { kinds } = JSON.parse(
      (await runMain(
        ...["inspect", join(root, "model"), "--json", "--calibration", calibration],
      )).stdout,
    ).calibration.predicted_groups;
    // Almost all that counts lies in the first quarter, which two equal groups do not set apart.
    assert.ok(kinds[0].sqnr_db[2] > kinds[0].sqnr_db[1] + 3, JSON.stringify(kinds));
  });
});

Deno.test("rateInputs() takes the better range at 8 bits, whatever the run's width", () => {
  for (const inputs of [SUMS, addUp({ from: 0, width: 1, counts: TAILED, lo: 0, hi: 2000 })]) {
    const errors = (["minmax", "p99.9"] as const).map((range) =>
      chooseInputParams(inputs, range, 8).error
    );
    assert.equal(rateInputs(inputs), Math.min(...errors) / signalOf(inputs));
  }
  // Of the two, the first is better for one and the second for the other.
  const tailed = addUp({ from: 0, width: 1, counts: TAILED, lo: 0, hi: 2000 });
  assert.ok(rateInputs(tailed) < chooseInputParams(tailed, "minmax", 8).error / signalOf(tailed));
  assert.equal(rateInputs(addUp({ from: 0, width: 1, counts: [3], lo: 0, hi: 0 })), 0);
});

Deno.test("a search looks at both ends twice", () => {
  // What it finds when it leaves out nothing.
  const search = (inputs: typeof SUMS) => {
    let best = chooseInputParams(inputs, "minmax", 4).error;
    let [low, high] = [1, 1];
    for (const end of ["low", "high", "low", "high"]) {
      for (let i = 0; i < 24; i++) {
        const [a, b] = end === "low" ? [1 - i / 25, high] : [low, 1 - i / 25];
        const error = errorOf(inputs, paramsOfRange(a * inputs.lo, b * inputs.hi, 4), 4);
        if (error >= best) continue;
        best = error;
        [low, high] = [a, b];
      }
    }
    return Math.min(best, chooseInputParams(inputs, "p99.9", 4).error);
  };
  for (let seed = 0; seed < 200; seed++) {
    const counts = Array.from({ length: 40 }, (_, i) => Math.max(0, noise(seed)(i)) ** 3);
    const inputs = addUp({
      from: -1 - noise(seed)(41) / 2,
      width: 0.05,
      counts,
      lo: -1.5,
      hi: 1.5,
    });
    assert.equal(chooseInputParams(inputs, "optimize", 4).error, search(inputs), `${seed}`);
  }
});

Deno.test("repeatArguments() says how inputs are cut and what is kept where that is not the default", () =>
  withRun({ phase: "optimize", grouping: "equal", outlierInputs: "quantize" }, async (report) => {
    const words = repeatArguments(report);
    assert.equal(words[words.indexOf("--grouping") + 1], "equal");
    assert.equal(words[words.indexOf("--outlier-inputs") + 1], "quantize");
    await withRun({ phase: "optimize" }, (usual) => {
      const flags = repeatArguments(usual);
      assert.ok(!flags.includes("--grouping") && !flags.includes("--outlier-inputs"));
    });
  }));

Deno.test("renderConsole() names the first four layers whose inputs were left as they are", () =>
  withRun({}, (report) => {
    const kept_layers = Array.from({ length: 6 }, (_, i) => ({
      name: `l\x1b${i}`,
      grouped_sqnr_db: i === 1 ? null : 10 + i,
    }));
    const shown = renderConsole({
      ...report,
      activations: { ...report.activations!, kept_layers },
    });
    assert.ok(
      shown.includes(
        "\n  Outlying inputs of 6 layers left as they are: l\\u{1b}0 (10.00 dB), l\\u{1b}1 (no error), " +
          "l\\u{1b}2 (12.00 dB), l\\u{1b}3 (13.00 dB), and 2 more\n",
      ),
      shown,
    );
  }));

/** Inputs that nearly all lie within a thousandth of their range, but for one outlier in most timesteps. */
function recordOutliers(): RecordedLayer {
  const bins = 2048;
  const histogram = new Int32Array(T * bins);
  const max = new Float32Array(T);
  for (let t = 0; t < T; t++) {
    for (let bin = 0; bin < 4; bin++) histogram[t * bins + bin] = 5000;
    // The last timesteps have none, so that a boundary before them would be worth most to this layer.
    if (t < 10) histogram[t * bins + bins - 1] = 1;
    max[t] = t < 10 ? 1 : 4 / bins;
  }
  return { min: new Float32Array(T), max, histogram };
}

const OUTLYING = {
  ...FILES,
  "c.safetensors": encodeCalibration({
    timesteps: Array.from({ length: T }, (_, t) => 40 + 80 * t),
    sameInput: new Map([["blocks.0.k", "blocks.0.other"]]),
    layers: new Map([
      ["blocks.0.q", recordInput(0)],
      ["blocks.0.fc", recordInput(1)],
      ["blocks.0.other", recordOutliers()],
    ]),
  }),
};

Deno.test("inputs that codes would hold ten times worse than most are left as they are", () =>
  withFiles(OUTLYING, async (root) => {
    const [model, output] = [join(root, "model"), join(root, "out")];
    const argv = [
      ...["quantize", "--model", model, "--output", output, "--report", join(root, "r.json")],
      ...["--calibration", join(root, "c.safetensors"), "--activation-bits", "6"],
      ...["--group-size", "32", "--overwrite"],
    ];
    const told = await runMain(...argv);
    assert.equal(told.code, 0, told.stderr);
    const { activations, ...report } = parseReport(Deno.readTextFileSync(join(root, "r.json")));
    assert.equal(report.outlier_inputs, "keep");
    assert.deepEqual(
      activations!.kept_layers.map(({ name }) => name),
      ["blocks.0.k", "blocks.0.other"],
    );
    const decibel = activations!.kept_layers[0]!.grouped_sqnr_db!;
    const others = activations!.layers.map(({ grouped_sqnr_db }) => grouped_sqnr_db!);
    assert.ok(others.every((other) => other > decibel + 10), `${decibel}, ${others}`);
    assert.ok(report.activation_sqnr_db! > decibel + 10);
    assert.deepEqual(
      readTimeGroups(output)!.inputs!.layers.map(({ name }) => name),
      ["blocks.0.fc", "blocks.0.q"],
    );
    assert.ok(
      told.stdout.includes(
        "\n  Outlying inputs of 2 layers left as they are: " +
          `blocks.0.k (${decibel.toFixed(2)} dB), blocks.0.other (${decibel.toFixed(2)} dB)\n`,
      ),
      told.stdout,
    );
    const all = await runMain(...argv, "--outlier-inputs", "quantize");
    assert.equal(all.code, 0, all.stderr);
    assert.ok(!all.stdout.includes("Outlying"));
    const forced = parseReport(Deno.readTextFileSync(join(root, "r.json")));
    assert.equal(forced.outlier_inputs, "quantize");
    assert.deepEqual(forced.activations!.kept_layers, []);
    assert.equal(readTimeGroups(output)!.inputs!.layers.length, 4);
    assert.ok(forced.activation_sqnr_db! < report.activation_sqnr_db! - 3);
    // Which they are does not depend on the width.
    const coarse = await runMain(...argv.map((word) => word === "6" ? "4" : word));
    assert.equal(coarse.code, 0, coarse.stderr);
    assert.match(coarse.stdout, /Outlying inputs of 2 layers left as they are: blocks\.0\.k /);
  }));

Deno.test("boundaries are not chosen for inputs that are left as they are", () =>
  withFiles(OUTLYING, async (root) => {
    const cut = async (files: string, settings: Partial<QuantizeSettings>) => {
      const { activations } = await quantizeModel(join(root, "model"), join(root, "out"), {
        ...{ ...DEFAULT_SETTINGS, ...SETTINGS, timeGroups: 2, activationBits: 6, ...settings },
        ...{ calibration: join(root, files), grouping: "optimal", overwrite: true },
      });
      return activations!.boundaries;
    };
    Deno.writeFileSync(join(root, "without.safetensors"), CALIBRATION);
    assert.deepEqual(
      await cut("c.safetensors", {}),
      await cut("without.safetensors", { outlierInputs: "quantize" }),
    );
  }));

Deno.test("findOutlying() tells errors of more than ten times the median's", () => {
  assert.deepEqual(findOutlying([1, 10, 1, 11, 0.5]), [false, false, false, true, false]);
  // Of two the better one is the median: never all are outlying.
  assert.deepEqual(findOutlying([1, 11]), [false, true]);
  assert.deepEqual(findOutlying([3]), [false]);
  // Where most have no error, none is far from them.
  assert.deepEqual(findOutlying([0, 0, 1]), [false, false, false]);
  assert.deepEqual(findOutlying([]), []);
});

Deno.test("phase optimize cuts time where errors are least unless told otherwise", async () => {
  const expected = { baseline: "equal", smooth: "equal", optimize: "optimal" } as const;
  for (const phase of ["baseline", "smooth", "optimize"] as const) {
    await withRun({ phase }, ({ activations, grouping }) => {
      assert.equal(grouping, expected[phase]);
      assert.equal(activations!.grouping, expected[phase]);
    });
  }
  await withRun({ phase: "optimize", grouping: "equal" }, ({ activations }) => {
    assert.deepEqual(activations!.boundaries, [0, 3, 6, 9, 12]);
  });
});

Deno.test("phase smooth moves the parameters of inputs over timesteps at nearly the same error", async () => {
  let before: Report | undefined;
  await withRun({}, (report) => void (before = report));
  await withRun({ phase: "smooth", smoothingWindow: 1 }, (report, output) => {
    const { activations } = report;
    assert.equal(activations!.baseline.smoothness_score, before!.activations!.smoothness_score);
    assert.ok(activations!.smoothness_score > before!.activations!.smoothness_score + 0.05);
    assert.ok(
      Math.abs(activations!.grouped_sqnr_db! - before!.activations!.grouped_sqnr_db!) < 1.5,
    );
    const layer = readTimeGroups(output)!.inputs!.layers[0]!;
    assert.equal(layer.scale.length, T);
    assert.deepEqual(
      activations!.layers.find(({ name }) => name === layer.name)!.moving_scale,
      layer.scale.map((scale) => Number(scale.toPrecision(4))),
    );
    // A third of the way on both sides of the first boundary.
    const [a, b, c, d] = layer.scale.slice(1, 5) as [number, number, number, number];
    assert.ok(
      Math.abs((b - a) / (d - a) - 1 / 3) < 1e-6 && Math.abs((c - a) / (d - a) - 2 / 3) < 1e-6,
    );
  });
});

Deno.test("optimal boundaries are never worse than equal ones, and lie where inputs jump", async () => {
  for (const activationRange of ["minmax", "p99.9"] as const) {
    const errors: number[] = [];
    for (const grouping of ["equal", "optimal"] as const) {
      await withRun({ grouping, activationRange, timeGroups: 2, activationBits: 4 }, (report) => {
        const layers = report.activations!.layers.filter(({ name }) => name !== "blocks.0.k");
        errors.push(layers.reduce((sum, one) => sum + 10 ** (-one.grouped_sqnr_db! / 10), 0));
        if (grouping === "optimal" && activationRange === "minmax") {
          assert.deepEqual(report.activations!.boundaries, [0, 5, 12]);
        }
      });
    }
    assert.ok(errors[1]! <= errors[0]! * (1 + 1e-12), `${activationRange}: ${errors}`);
  }
});

Deno.test("planInputQuantizer() says what more groups would come to", () =>
  withFiles({ "c.safetensors": CALIBRATION }, (root) => {
    const calibration = openCalibration(join(root, "c.safetensors"));
    const statistics = calibration.layers.get("blocks.0.q")!;
    assert.ok(hasHistogram(statistics));
    const found = withHistograms(calibration, statistics, (all) =>
      planInputQuantizer(all, {
        boundaries: [0, 3, 6, 9, 12],
        bits: 8,
        range: "minmax",
        smoothing: null,
        weight: 0,
        timestepWeights: undefined,
      }));
    // 1, 2, 4 and 8 groups; 16 are more than there are timesteps.
    assert.equal(found.error_by_groups.length, 4);
    assert.equal(found.error_by_groups[0], found.static_error);
    assert.equal(found.error_by_groups[2], found.error);
    for (let i = 1; i < 4; i++) {
      assert.ok(found.error_by_groups[i]! < found.error_by_groups[i - 1]!);
    }
    assert.ok(found.limit_error < found.error_by_groups[3]!);
    assert.equal(found.signal.toFixed(9), T.toFixed(9));
  }));

/** Histograms of four bins that are alike at every timestep, or by timestep. */
function histogramsOf(timesteps: number, ends: (t: number) => number): InputHistograms {
  const max = Float32Array.from({ length: timesteps }, (_, t) => ends(t));
  return {
    ...{ min: new Float32Array(timesteps), max, from: 0, width: Math.max(...max) / 4, bins: 4 },
    visit: (see) => {
      for (let t = 0; t < timesteps; t++) see(Float64Array.of(5, 3, 2, 1), t);
    },
  };
}

Deno.test("the limit of a long calibration is that of some of its timesteps", () => {
  const [short, long] = [3, 100].map((timesteps) =>
    planInputQuantizer(histogramsOf(timesteps, () => 2), {
      ...{
        boundaries: [0, timesteps],
        bits: 8,
        range: "minmax",
        smoothing: null,
        weight: 0,
        timestepWeights: undefined,
      },
    })
  );
  for (const { limit_error, static_error } of [short!, long!]) {
    assert.ok(Math.abs(limit_error / static_error - 1) < 1e-9, `${limit_error} ${static_error}`);
  }
});

Deno.test("neighbouring bins of a fine histogram are joined", async () => {
  const bins = 4096 + 4;
  const histogram = Int32Array.from({ length: bins }, (_, i) => i % 7);
  const layer = { min: Float32Array.of(-1), max: Float32Array.of(3), histogram };
  const file = encodeCalibration({ timesteps: [5], layers: new Map([["a", layer]]) });
  await withFiles({ "c.safetensors": file }, (root) => {
    const calibration = openCalibration(join(root, "c.safetensors"));
    const statistics = calibration.layers.get("a")!;
    assert.ok(hasHistogram(statistics));
    withHistograms(calibration, statistics, ({ from, width, bins: joined, visit }) => {
      assert.deepEqual([from, joined], [-1, 1367]);
      assert.ok(Math.abs(width - 3 * 4 / bins) < 1e-12);
      visit((counts) => {
        assert.deepEqual([...counts.subarray(0, 3)], [0 + 1 + 2, 3 + 4 + 5, 6 + 0 + 1]);
        assert.equal(counts[1366], (4098 % 7) + (4099 % 7));
      });
    });
  });
});

Deno.test("optimal boundaries are chosen for all layers together", async () => {
  // The inputs of the first jump after 3 timesteps and twice as far as those of the second, after 9.
  const record = (at: number, far: number): RecordedLayer => {
    const max = Float32Array.from({ length: T }, (_, t) => t < at ? 1 : far);
    const histogram = Int32Array.from(
      { length: T * 64 },
      (_, i) => (i % 64 + 1) / 64 * far <= max[Math.floor(i / 64)]! ? 10 : 0,
    );
    return { min: new Float32Array(T), max, histogram };
  };
  const layers = new Map([["blocks.0.fc", record(3, 8)], ["blocks.0.q", record(9, 2)]]);
  const timesteps = Array.from({ length: T }, (_, t) => t);
  const files = { ...FILES, "c.safetensors": encodeCalibration({ timesteps, layers }) };
  await withFiles(files, async (root) => {
    const { activations } = await quantizeModel(join(root, "model"), join(root, "out"), {
      ...{ ...DEFAULT_SETTINGS, ...SETTINGS, timeGroups: 2, grouping: "optimal" },
      calibration: join(root, "c.safetensors"),
    });
    assert.deepEqual(activations!.boundaries, [0, 3, 12]);
  });
});

Deno.test("histograms count as work where inputs are quantized", () =>
  withFiles(FILES, async (root) => {
    const settings = {
      ...{ ...DEFAULT_SETTINGS, ...SETTINGS, phase: "optimize" as const },
      calibration: join(root, "c.safetensors"),
    };
    const plan = await openPlan(join(root, "model"), settings);
    // Those of q, which k shares, and of fc.
    assert.equal(histogramBytes(plan, settings), 2 * T * BINS * 4);
    assert.equal(histogramBytes(plan, { activationBits: undefined }), 0);
  }));

Deno.test("phase optimize weighs jumps of inputs by --markov-weight", async () => {
  const scores: number[] = [];
  for (const markovWeight of [0, 100]) {
    await withRun({ phase: "optimize", markovWeight }, ({ activations }) => {
      scores.push(activations!.smoothness_score);
    });
  }
  assert.ok(scores[1]! > scores[0]! + 0.02, `${scores}`);
});

Deno.test("reportActivations() keeps the ranges of the six inputs that drift most, of at most 256 points", () => {
  const ranges = [[1, 4], [1, 3], [0, 9], [2, 4], [1, 8], [5, 5], [1, 6], [1, 5]];
  const shared = ranges[4]!;
  const layers = [...ranges, shared].map((range, i): ActivationRecord => ({
    ...{ name: `l${i}`, rows: 16, columns: 32, range },
    ...{ scale: [1, 2], zero_point: [3, 3], schedule: null },
    baseline: { scale: [1, 2], zero_point: [3, 3], error: 0.01 },
    ...{
      signal: 2,
      error: 0.01,
      static_error: 0.02,
      usual_error: 0.02,
      limit_error: 0.01,
      error_by_groups: [0.02],
    },
  }));
  const axis = { source: "calibrated", boundaries: [0, 1, 2] } as const;
  const report = reportActivations(
    {
      ...{ bits: 8, timesteps: [10, 20], layers, kept: [], missing: 0 },
      axis: { ...axis, boundaries: [...axis.boundaries] },
    },
    { ...DEFAULT_SETTINGS, activationBits: 8 },
  );
  assert.deepEqual(
    report.layers.flatMap(({ name, range }) => range === undefined ? [] : [[name, ...range]]),
    [["l0", 1, 4], ["l1", 1, 3], ["l3", 2, 4], ["l4", 1, 8], ["l6", 1, 6], ["l7", 1, 5]],
  );
  assert.deepEqual([driftOf([2, 5, 4]), driftOf([0, 5])], [2.5, null]);
  assert.deepEqual(planPoints(3), [0, 1, 2, 3]);
  const starts = planPoints(1000);
  assert.deepEqual([starts.length, ...starts.slice(0, 4)], [257, 0, 3, 7, 11]);
  assert.deepEqual(middlesOf([0, 3, 7, 8]), [1, 4, 7]);
});

Deno.test("a gate judges activations where they are quantized, and refuses others", () =>
  withRun({}, (report) => {
    const worse = { ...report, activation_sqnr_db: report.activation_sqnr_db! - 0.21 };
    const broken = judgeReports(report, worse).findings.filter(({ passed }) => !passed);
    assert.deepEqual(broken.map(({ metric }) => metric), ["activation_sqnr_db"]);
    const rough = {
      ...report,
      activation_smoothness_score: report.activation_smoothness_score! - 0.011,
    };
    assert.deepEqual(
      judgeReports(report, rough).findings.filter(({ passed }) => !passed)
        .map(({ metric }) => metric),
      ["activation_smoothness_score"],
    );
    assert.throws(() => judgeReports(report, { ...report, activation_bits: 4 }), {
      message: /activation_bits is 4, the baseline has 8/,
    });
  }));

Deno.test("the verdict of a run is that of its activations where these are worse", () =>
  withRun({ bits: 8, symmetric: true, activationBits: 4, timeGroups: 1 }, (report) => {
    assert.equal(report.quality!.inputs!.sqnr_db, report.activation_sqnr_db);
    assert.equal(report.quality!.quality.grade, report.quality!.inputs!.grade);
    assert.match(report.quality!.reading, /expected of the quantized inputs \d+\.\d\d dB/);
  }));

const REFUSED: [string, Partial<QuantizeSettings>, string][] = [
  [
    "activation bits without a calibration",
    { calibration: undefined },
    "--activation-bits needs --calibration",
  ],
  ["5 bits", { activationBits: 5 as 4 }, '--activation-bits is "5", must be 4, 6 or 8'],
  [
    "a range of inputs that are not quantized",
    { activationBits: undefined, phase: "optimize", activationRange: "minmax" },
    "--activation-range needs --activation-bits",
  ],
  [
    "a grouping of inputs that are not quantized",
    { activationBits: undefined, phase: "optimize", grouping: "optimal" },
    "--grouping needs --activation-bits",
  ],
  [
    "a calibration for neither weights nor inputs",
    { activationBits: undefined },
    "--calibration needs --phase optimize, or --activation-bits",
  ],
  ["more groups than timesteps", { timeGroups: 13 }, "has 12 timesteps: give at most that"],
  ["a layer without histograms, strictly", { strict: true }, "has no statistics of 1 layer"],
];

for (const [what, settings, message] of REFUSED) {
  Deno.test(`a run is refused: ${what}`, () =>
    withFiles(FILES, async (root) => {
      const all = {
        ...DEFAULT_SETTINGS,
        ...SETTINGS,
        calibration: join(root, "c.safetensors"),
        ...settings,
      };
      await assert.rejects(
        quantizeModel(join(root, "model"), join(root, "out"), all),
        (error: unknown) => error instanceof BadInputError && error.message.includes(message),
      );
      assert.equal(namesIn(root).includes("out"), false);
    }));
}

Deno.test("a run is refused whose calibration has no histograms", () =>
  withFiles({
    ...FILES,
    "c.safetensors": encodeCalibration({
      timesteps: [1, 2],
      layers: new Map([["blocks.0.q", { square: new Float32Array(32).fill(1) }]]),
    }),
  }, async (root) => {
    const flags = ["--calibration", join(root, "c.safetensors"), "--activation-bits", "6"];
    const { code, stderr } = await runMain(
      ...["--model", join(root, "model"), "--output", join(root, "out")],
      ...["--report", join(root, "r.json"), "--num-time-groups", "2", ...flags],
    );
    assert.equal(code, 2);
    assert.match(
      stderr,
      /^error: Cannot quantize inputs to 6 bits: calibration ".*" has histograms of none of the layers: record them, or leave --activation-bits out$/m,
    );
  }));

Deno.test("a run and inspect show what time groups of activations are worth", () =>
  withFiles(FILES, async (root) => {
    const paths = ["--model", join(root, "model"), "--output", join(root, "out")];
    const calibration = ["--calibration", join(root, "c.safetensors"), "--group-size", "32"];
    const run = await runMain(
      ...paths,
      ...["--report", join(root, "r.json"), "--activation-bits", "8", ...calibration],
    );
    assert.equal(run.code, 0, run.stderr);
    assert.match(
      run.stdout,
      /\nActivations over 12 timesteps, 8 bits, ranges minmax:\n {2}4 time groups of equal length, 3 layers\n {2}Smoothness score: 0\.\d{4} \(phase baseline 0\.\d{4}\)\n {2}Violation count: \d+\n {2}Expected SQNR: \d+\.\d\d dB; one range for all timesteps \d+\.\d\d dB, one for each \d+\.\d\d dB\n/,
    );
    const inspected = await runMain("inspect", join(root, "model"), ...calibration);
    assert.equal(inspected.code, 0, inspected.stderr);
    assert.match(
      inspected.stdout,
      /\nInputs quantized to 8 bits, expected SQNR in dB by the number of time groups:\n {2}layers +1 +2 +4 +8 +each +suggested\n {2}all( +\d+\.\d){5} +\d+\n {2}fc( +\d+\.\d){5} +\d+\n/,
    );
  }));
