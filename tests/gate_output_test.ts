/** Comparison, gate and baseline where figures of the layers' outputs are known. */

import assert from "node:assert/strict";
import {
  BaselineError,
  type CalibrationReport,
  chooseRules,
  compareReports,
  formatBaseline,
  type GateTolerances,
  judgeReports,
  parseFigures,
  parseReport,
  parseRules,
  type Report,
} from "../mod.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import { makeLayer, makeReport } from "./make_report.ts";

const CALIBRATION: CalibrationReport = {
  timesteps: 100,
  segments: 1,
  rank: 64,
  weights: "snr",
  compensated_layers: 1,
  other_layers: 1,
};

/** A calibrated report: one layer's output is known, the other's is not. */
function calibrated(parts: Partial<Report> = {}, output = 20): Report {
  return makeReport({
    phase: "optimize",
    markov_weight: 0,
    calibration: CALIBRATION,
    output_sqnr_db: output,
    layers: [
      makeLayer("blocks.0.fc", { output_sqnr_db: output, compensation_rank: 64 }),
      makeReport().layers[1]!,
    ],
    ...parts,
  });
}

/** Names of the figures that rules were about, and the broken ones. */
function judge(
  baseline: Report,
  current: Report,
  flags: GateTolerances = {},
  file = '{"rules": []}',
): { judged: string[]; broken: string[]; passed: boolean } {
  const rules = chooseRules(parseRules(file), flags);
  const { findings, passed } = judgeReports(baseline, current, { rules });
  const names = (list: typeof findings) =>
    list.map(({ metric, layer }) => layer === null ? metric : `${metric} ${layer}`);
  return { judged: names(findings), broken: names(findings.filter((one) => !one.passed)), passed };
}

Deno.test("a gate judges outputs where both reports have them, and weights where they have not", () => {
  const rest = ["violation_count", "model_size_mb", "vanished_layers"];
  const grades = ["quality_grade blocks.0.fc", "quality_grade blocks.1.fc"];
  // Nothing is known of the inputs of the second layer.
  assert.deepEqual(judge(calibrated(), calibrated()), {
    judged: [
      "smoothness_score",
      "output_sqnr_db",
      ...rest,
      "sqnr_db blocks.1.fc",
      "output_sqnr_db blocks.0.fc",
      ...grades,
    ],
    broken: [],
    passed: true,
  });
  assert.deepEqual(judge(makeReport(), makeReport()).judged, [
    "smoothness_score",
    "cosine_similarity",
    "sqnr_db",
    ...rest,
    "sqnr_db blocks.0.fc",
    "sqnr_db blocks.1.fc",
    ...grades,
  ]);
});

Deno.test("a gate holds a layer's output, not its weights, where the baseline knows it", () => {
  const [first, second] = calibrated().layers;
  const after = (parts: object) => calibrated({ layers: [{ ...first!, ...parts }, second!] });
  assert.deepEqual(judge(calibrated(), after({ sqnr_db: 1 })).broken, []);
  const output = first!.output_sqnr_db!;
  assert.deepEqual(judge(calibrated(), after({ output_sqnr_db: output - 1 })).broken, []);
  assert.deepEqual(judge(calibrated(), after({ output_sqnr_db: output - 1.01 })).broken, [
    "output_sqnr_db blocks.0.fc",
  ]);
  const { output_sqnr_db: _lost, ...unknown } = first!;
  const lost = judge(calibrated(), calibrated({ layers: [unknown, second!] }));
  assert.deepEqual(lost.broken, ["output_sqnr_db blocks.0.fc"]);
  const found = { ...unknown, sqnr_db: 12 };
  const gained = judge(calibrated({ layers: [found, second!] }), calibrated());
  assert.deepEqual(gained.broken, []);
});

Deno.test("a gate passes worse weights where outputs are known, and refuses worse outputs", () => {
  const worseWeights = calibrated({ sqnr_db: 1, cosine_similarity: 0.5 });
  assert.deepEqual(judge(calibrated(), worseWeights).broken, []);
  assert.equal(judge(calibrated(), calibrated({ output_sqnr_db: 19.8 })).passed, true);
  const worse = judge(calibrated(), calibrated({ output_sqnr_db: 19.79, sqnr_db: 30 }));
  assert.deepEqual(worse.broken, ["output_sqnr_db"]);
  assert.equal(worse.passed, false);
});

Deno.test("a gate judges weights where only one of two has outputs", () => {
  // A calibration without squares gives no output figures.
  const without = { ...calibrated() };
  delete without.output_sqnr_db;
  const { judged } = judge(without, calibrated());
  assert.ok(judged.includes("sqnr_db") && !judged.includes("output_sqnr_db"), String(judged));
});

Deno.test("a rule of a file applies whatever is known, a flag to the outputs where they are", () => {
  const worse = calibrated({ sqnr_db: 1 });
  const file = '{"rules": [{"metric": "sqnr_db", "absolute": 0.5}]}';
  assert.deepEqual(judge(calibrated(), worse, {}, file).broken, ["sqnr_db"]);
  assert.deepEqual(judge(calibrated(), worse, { maxSqnrDrop: 1 }).broken, []);
  const quieter = calibrated({ output_sqnr_db: 15 });
  assert.deepEqual(judge(calibrated(), quieter, { maxSqnrDrop: 1 }).broken, ["output_sqnr_db"]);
  assert.deepEqual(judge(calibrated(), quieter, { maxSqnrDrop: 9 }).broken, []);
  const outputs = '{"rules": [{"metric": "output_sqnr_db", "absolute": 5}]}';
  const lower = calibrated({ output_sqnr_db: 15 });
  assert.deepEqual(judge(calibrated(), lower, {}, outputs).broken, []);
  const layer = '{"rules": [{"metric": "layers[blocks.0.*].output_sqnr_db", "absolute": 1}]}';
  assert.deepEqual(judge(calibrated(), calibrated({}, 15), {}, layer).broken, [
    "output_sqnr_db",
    "quality_grade blocks.0.fc",
    "output_sqnr_db blocks.0.fc",
  ]);
});

Deno.test("a rule about outputs is broken where there are none", () => {
  const rules = chooseRules(parseRules('{"rules": [{"metric": "output_sqnr_db"}]}'));
  const { findings, passed } = judgeReports(makeReport(), makeReport(), { rules });
  const finding = findings.find(({ metric }) => metric === "output_sqnr_db");
  assert.equal(finding?.problem, "no number in the baseline");
  assert.equal(passed, false);
});

Deno.test("a gate refuses to judge where only one run, or another calibration, was calibrated", () => {
  assert.throws(
    () => judgeReports(makeReport({ phase: "optimize", markov_weight: 0 }), calibrated()),
    (error) =>
      error instanceof BaselineError &&
      error.message.includes(
        'calibration is "100 timesteps, rank 64, weights snr, 1 layer compensated", the baseline has null',
      ),
  );
  const other = calibrated({ calibration: { ...CALIBRATION, rank: 32 } });
  assert.throws(() => judgeReports(other, calibrated()), BaselineError);
  const fewer = calibrated({ calibration: { ...CALIBRATION, compensated_layers: 0 } });
  assert.throws(() => judgeReports(calibrated(), fewer), BaselineError);
  // Curves are no setting, nor are layers that were never compensated.
  const drift = { timesteps: [0], kinds: [] };
  const more = calibrated({ calibration: { ...CALIBRATION, other_layers: 2, drift } });
  assert.equal(judgeReports(calibrated(), more).passed, true);
});

Deno.test("a layer is better by its output, however worse its weights", () => {
  const better = calibrated({
    layers: [
      makeLayer("blocks.0.fc", { output_sqnr_db: 22, sqnr_db: 1, cosine_similarity: 0.5 }),
      makeLayer("blocks.1.fc", { ...makeReport().layers[1]!, sqnr_db: 1 }),
    ],
  });
  const { layers, metrics } = compareReports(calibrated(), better);
  assert.deepEqual(layers.map(({ name, direction }) => [name, direction]), [
    ["blocks.0.fc", "better"],
    ["blocks.1.fc", "worse"],
  ]);
  const shown = layers.map(({ metrics }) =>
    metrics.some(({ metric }) => metric === "output_sqnr_db")
  );
  assert.deepEqual(shown, [true, false]);
  const output = metrics.find(({ metric }) => metric === "output_sqnr_db");
  assert.deepEqual([output?.baseline, output?.current, output?.direction], [20, 20, "same"]);
  const reversed = compareReports(better, calibrated()).layers;
  assert.deepEqual(reversed.map(({ direction }) => direction), ["worse", "better"]);
});

Deno.test("formatBaseline() keeps calibration and outputs without curves, and parseFigures() reads them back", () => {
  const drift = { timesteps: [1, 2], kinds: [] };
  const report = calibrated({
    calibration: { ...CALIBRATION, drift },
    output_sqnr_db: 20.123456789,
  });
  const text = formatBaseline(report);
  const line = '  "calibration": {"timesteps": 100, "segments": 1, "rank": 64, "weights": "snr", ' +
    '"compensated_layers": 1, "other_layers": 1},\n  "output_sqnr_db": 20.1235,\n';
  assert.ok(text.includes(line), text);
  assert.ok(text.includes('"output_bytes": 120, "output_sqnr_db": 20}'), text);
  assert.ok(!text.includes("drift"));
  const read = parseFigures(text);
  assert.deepEqual(read.calibration, CALIBRATION);
  assert.equal(formatBaseline(read), text);
  assert.equal(judgeReports(read, report).passed, true);
  assert.ok(!formatBaseline(makeReport()).includes("output_sqnr_db"));
});

Deno.test("parseReport() reads a calibrated report with its drift, and refuses what cannot be", () => {
  const kind = {
    kind: "attn.qkv",
    layers: 2,
    range: [1.5, 0.5],
    range_ratio: 3,
    rms: null,
    rms_ratio: null,
  };
  const drift = { timesteps: [100, 900], kinds: [kind] };
  const report = calibrated({ calibration: { ...CALIBRATION, drift } });
  assert.deepEqual(parseReport(JSON.stringify(report)), report);
  const broken: [Record<string, unknown>, string][] = [
    [
      { ...CALIBRATION, rank: -1 },
      "calibration.rank is -1, must be at least 0",
    ],
    [
      { ...CALIBRATION, weights: "log" },
      'calibration.weights is "log", must be "recorded" or "snr" or "uniform"',
    ],
    [
      { ...CALIBRATION, drift: { ...drift, kinds: [{ ...kind, range: ["1"] }] } },
      'calibration.drift.kinds[0].range[0] is "1", must be a number',
    ],
    [
      { ...CALIBRATION, drift: { ...drift, timesteps: Array(51).fill(0) } },
      "calibration.drift.timesteps is a list of 51, must be a list of at most 50",
    ],
  ];
  for (const [calibration, message] of broken) {
    assertBadInput(() => parseReport(JSON.stringify({ ...report, calibration })), message);
  }
  assertBadInput(
    () => parseReport(JSON.stringify({ ...report, output_sqnr_db: null })),
    "output_sqnr_db is null, must be a number",
  );
});

Deno.test("a layer is not worse for a calibration that only one of two reports has", () => {
  const [plain, found] = [makeReport(), calibrated()];
  const worse = { ...found.layers[0]!, sqnr_db: -5, cosine_similarity: 0.1 };
  const current = { ...found, layers: [worse, found.layers[1]!] };
  const layer = compareReports(plain, current).layers.find(({ name }) => name === "blocks.0.fc")!;
  assert.equal(layer.direction, "changed");
});
