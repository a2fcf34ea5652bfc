import assert from "node:assert/strict";
import { Ajv2020 } from "npm:ajv@8.20.0/dist/2020.js";
import { findProblem } from "../lib/report/check_schema.ts";
import schema from "../lib/report/report.schema.json" with { type: "json" };
import {
  BadInputError,
  compareReports,
  formatBaseline,
  judgeReports,
  parseFigures,
  parseReport,
  type Report,
  type ReportIdentity,
} from "../mod.ts";
import { listPhase } from "../lib/render/describe_phase.ts";
import { inventPhase, inventReport, layerNames, OPTIMIZE, SMOOTH } from "./invent_report.ts";
import { makeLayer, makeReport } from "./make_report.ts";

const BASELINE = `{
  "schema_version": 1,
  "tool_version": "0.1.0",
  "model_name": "tiny",
  "source": "positional",
  "phase": "baseline",
  "smoothing_window": null,
  "smoothing_method": null,
  "markov_weight": null,
  "format": "compressed-tensors",
  "bit_width": 2,
  "symmetric": false,
  "modulation": 8,
  "num_time_groups": 4,
  "granularity": "slice",
  "group_size": null,
  "smoothness_threshold": 0.3,
  "activation_bits": null,
  "activation_range": null,
  "grouping": null,
  "outlier_inputs": null,
  "ignore": ["a.*", "b.*"],
  "default_ignore": true,
  "parameter_count": 1000,
  "quantized_parameter_count": 512,
  "bits_per_weight": 16000,
  "smoothness_score": 0.9,
  "violation_count": 1,
  "violations": [{"boundary_idx": 1, "scale_jump": 0.4, "zero_point_jump": 0.1, "severity": "medium"}],
  "boundary_scores": [0.95, 0.75, 1],
  "min_boundary_score": 0.75,
  "max_boundary_score": 1,
  "mean_boundary_score": 0.9,
  "std_boundary_score": 0.108012,
  "cosine_similarity": 0.95,
  "sqnr_db": 10,
  "compression_ratio": 4,
  "model_size_mb": 2,
  "layers": [
    {"name": "blocks.0.fc", "rows": 8, "columns": 32, "dtype": "F32", "bits": 2, "group_size": null, "smoothness_score": 0.93, "violation_count": 0, "cosine_similarity": 0.9, "sqnr_db": 8, "output_bytes": 120},
    {"name": "blocks.1.fc", "rows": 16, "columns": 32, "dtype": "F32", "bits": 2, "group_size": null, "smoothness_score": 0.87, "violation_count": 0, "cosine_similarity": 0.9, "sqnr_db": 8, "output_bytes": 240}
  ]
}
`;

Deno.test("formatBaseline() writes these bytes when given the report of a small model", () => {
  assert.equal(formatBaseline(makeReport()), BASELINE);
});

Deno.test("formatBaseline() writes the same bytes when only machine, time and order differ", () => {
  const other = makeReport({
    backend: "webgpu",
    quantization_time_s: 99,
    ignore: ["a.*", "b.*"],
    layers: makeReport().layers.toReversed(),
    smoothness_score: 0.9000000004,
    common_violation_patterns: ["in other words"],
    skipped: [{ name: "x", reason: "y" }],
  });
  assert.equal(formatBaseline(other), BASELINE);
});

Deno.test("formatBaseline() writes other bytes when a figure moved by a part in 100,000", () => {
  assert.notEqual(formatBaseline(makeReport({ sqnr_db: 10.0001 })), BASELINE);
});

Deno.test("formatBaseline() writes what parseFigures() reads back", () => {
  const report = makeReport({ sqnr_db: null, smoothness_threshold: 0.123456789, ignore: ["é\n"] });
  const read = parseFigures(formatBaseline(report));
  assert.equal(formatBaseline(read), formatBaseline(report));
  assert.equal(read.smoothness_threshold, 0.123456789);
  const { findings, passed, comparison } = judgeReports(read, report);
  assert.equal(passed, true);
  assert.ok(findings.every((finding) => finding.passed));
  assert.ok(comparison.metrics.every(({ direction }) => direction === "same"));
});

Deno.test("formatBaseline() keeps names exact and shows none that a reviewer cannot see", () => {
  const names = ["<script>", '"\\', "\x1b[31m", "a\nb", "\u202ec", "\u{e0041}", "__proto__", "é"];
  const report = makeReport({ layers: names.map((name) => makeLayer(name)) });
  const text = formatBaseline(report);
  assert.deepEqual(parseFigures(text).layers.map(({ name }) => name).sort(), names.sort());
  assert.ok(text.includes('{"name": "\\u202ec", '));
  assert.ok(text.includes('{"name": "\\udb40\\udc41", '));
  assert.equal(/[^\n\P{C}]|[\p{Zl}\p{Zp}]/u.exec(text), null);
  const { layers } = compareReports(parseFigures(text), report);
  assert.equal(layers.length, names.length);
});

Deno.test("parseReport() reads a report and all its keys when it is whole", () => {
  const report = makeReport();
  assert.deepEqual(parseReport(JSON.stringify(report)), report);
});

Deno.test("parseReport() and parseFigures() read slices when a report does not say what shares parameters", () => {
  const report = makeReport({ granularity: "row" });
  const { granularity, ...old } = report;
  assert.equal(granularity, "row");
  assert.deepEqual(parseReport(JSON.stringify(old)), { ...old, granularity: "slice" });
  assert.equal(parseFigures(JSON.stringify(old)).granularity, "slice");
  assert.equal(
    parseFigures(BASELINE.replace('  "granularity": "slice",\n', "")).granularity,
    "slice",
  );
  assert.deepEqual(parseReport(JSON.stringify(report)), report);
  assert.equal(parseFigures(formatBaseline(report)).granularity, "row");
});

/** A report as it was before formats were told apart. */
function withoutFormats(report: Report): Record<string, unknown> {
  const added = ["format", "symmetric", "modulation", "bits_per_weight"];
  return {
    ...Object.fromEntries(Object.entries(report).filter(([key]) => !added.includes(key))),
    layers: report.layers.map(({ bits: _bits, ...layer }) => layer),
  };
}

Deno.test("parseReport() reads what was the only way when a report does not tell formats apart", () => {
  const old = withoutFormats(makeReport({ bit_width: 4 }));
  const expected = {
    ...old,
    format: "compressed-tensors",
    symmetric: false,
    modulation: "keep",
    bits_per_weight: 16000,
    layers: makeReport().layers.map((layer) => ({ ...layer, bits: 4 })),
  };
  assert.deepEqual(parseReport(JSON.stringify(old)), expected);
  const all = withoutFormats(makeReport({ default_ignore: false }));
  assert.equal(parseReport(JSON.stringify(all)).modulation, null);
});

Deno.test("parseFigures() reads a baseline of before formats were told apart, which judges a run that keeps modulation", () => {
  const text = formatBaseline(makeReport({ modulation: "keep" }));
  const old = JSON.stringify(withoutFormats(JSON.parse(text)));
  assert.deepEqual(parseFigures(old), JSON.parse(text));
  assert.equal(judgeReports(parseFigures(old), makeReport({ modulation: "keep" })).passed, true);
  assert.throws(() => judgeReports(parseFigures(old), makeReport()), {
    name: "BaselineError",
    message: /: modulation is 8, the baseline has "keep": /,
  });
});

Deno.test("parseReport() completes the comparison in a report of before formats were told apart", () => {
  const baseline = makeReport({ granularity: "row" });
  const report = makeReport();
  const comparison = compareReports(baseline, report);
  const strip = ({ format: _format, granularity: _granularity, ...rest }: ReportIdentity) => rest;
  const old = {
    ...withoutFormats(report),
    comparison: {
      ...comparison,
      baseline: strip(comparison.baseline),
      current: strip(comparison.current),
    },
  };
  assert.deepEqual(parseReport(JSON.stringify(old)).comparison, comparison);
});

Deno.test("parseFigures() names the figure that is missing, not what follows from it", () => {
  for (const key of ["model_size_mb", "parameter_count", "bit_width"] as const) {
    const { [key]: _left, ...rest } = withoutFormats(makeReport());
    assert.throws(() => parseFigures(JSON.stringify(rest)), new BadInputError(`${key} is missing`));
  }
});

Deno.test("parseFigures() reads a report when it has keys of a later version", () => {
  const text = JSON.stringify({ ...makeReport(), added_later: { a: 1 } });
  assert.equal(parseFigures(text).smoothness_score, 0.9);
});

/** The text of a report of which one key is replaced, or left out. */
function reportWith(key: string, value?: unknown): string {
  return JSON.stringify({ ...makeReport(), [key]: value });
}

const layerWith = (parts: Record<string, unknown>) =>
  reportWith("layers", [makeLayer("a"), { ...makeLayer("b"), ...parts }]);

const BROKEN: [what: string, text: string, message: string][] = [
  ["is empty", "", "it is not JSON: Expected a value, but the text ends at byte 0"],
  [
    "is cut",
    '{"a": 1',
    "it is not JSON: Expected a comma or a closing brace, but the text ends at byte 7",
  ],
  ["is a page", "<!DOCTYPE html>", "it is not JSON: Expected a value at byte 0"],
  ["is a list", "[]", "it is no report of Isotherm: it has no schema_version"],
  ["is another JSON", '{"name": "x"}', "it is no report of Isotherm: it has no schema_version"],
  ["holds NaN", '{"a": NaN}', "it is not JSON: Expected a value at byte 6"],
  [
    "holds an endless number",
    JSON.stringify(makeReport()).replace('"sqnr_db":10', '"sqnr_db":1e999'),
    "the number 1e999 is out of range",
  ],
  [
    "holds a key twice",
    '{"schema_version": 1, "schema_version": 2}',
    'it is not JSON: Duplicate key "schema_version" at byte 38',
  ],
  [
    "is of a later schema",
    reportWith("schema_version", 2),
    "its schema_version is 2, this version of Isotherm reads 1",
  ],
  [
    "is of an older schema",
    '{"schema_version": 0}',
    "its schema_version is 0, this version of Isotherm reads 1",
  ],
  [
    "has a version in words",
    reportWith("schema_version", "1"),
    "its schema_version is no number, this version of Isotherm reads 1",
  ],
  ["lacks a figure", reportWith("sqnr_db"), "sqnr_db is missing"],
  [
    "is of a time before the settings of the phases",
    BASELINE.replace('  "smoothing_window": null,\n', ""),
    "smoothing_window is missing",
  ],
  [
    "has an unknown phase",
    reportWith("phase", "rotate"),
    'phase is "rotate", must be "baseline" or "smooth" or "optimize"',
  ],
  ["lacks its layers", reportWith("layers"), "layers is missing"],
  [
    "has a figure as text",
    reportWith("smoothness_score", "0.9\x1b[31m"),
    'smoothness_score is "0.9\\u001b[31m", must be a number',
  ],
  [
    "has a score above 1",
    reportWith("smoothness_score", 1.5),
    "smoothness_score is 1.5, must be at most 1",
  ],
  [
    "has a count below 0",
    reportWith("violation_count", -1),
    "violation_count is -1, must be at least 0",
  ],
  [
    "has half a violation",
    reportWith("violation_count", 0.5),
    "violation_count is 0.5, must be a whole number",
  ],
  [
    "has a null that means nothing",
    reportWith("cosine_similarity", null),
    "cosine_similarity is null, must be a number",
  ],
  ["has another width", reportWith("bit_width", 3), "bit_width is 3, must be 2 or 4 or 8"],
  [
    "has no threshold above 0",
    reportWith("smoothness_threshold", 0),
    "smoothness_threshold is 0, must be above 0",
  ],
  ["has layers as an object", reportWith("layers", {}), "layers is an object, must be a list"],
  [
    "has a layer as a list",
    reportWith("layers", [[]]),
    "layers[0] is a list of 0, must be an object",
  ],
  ["has a layer without a name", layerWith({ name: undefined }), "layers[1].name is missing"],
  ["has a layer without rows", layerWith({ rows: 0 }), "layers[1].rows is 0, must be at least 1"],
  ["has a layer twice", layerWith({ name: "a" }), 'it holds the layer "a" twice'],
];

for (const [what, text, message] of BROKEN) {
  Deno.test(`parseFigures() refuses a text when it ${what}`, () => {
    assert.throws(() => parseFigures(text), new BadInputError(message));
  });
}

Deno.test("parseReport() refuses a baseline, which lacks what a page draws", () => {
  assert.throws(() => parseReport(BASELINE), new BadInputError("backend is missing"));
});

const accepts = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(schema);

for (const settings of [SMOOTH, OPTIMIZE, { ...OPTIMIZE, smoothing_window: 5 }]) {
  Deno.test(`the schema accepts a report of ${listPhase(settings).join(", ")}`, () => {
    const report = inventPhase(inventReport({ names: layerNames(3) }), settings);
    assert.ok(accepts(report), JSON.stringify(accepts.errors));
    assert.deepEqual(parseReport(JSON.stringify(report)), report);
    const { baseline, change, layers: [layer], ...rest } = report;
    assert.ok(baseline && change && layer?.baseline);
    const { scale: _scale, ...part } = layer.baseline;
    for (
      const [key, wrong] of Object.entries({
        phase: "polish",
        smoothing_window: 21,
        smoothing_method: "quadratic",
        markov_weight: -1,
        baseline: { ...baseline, smoothness_score: -0.1 },
        change: { ...change, cosine_similarity: null },
        layers: [{ ...layer, baseline: part }],
      })
    ) assert.equal(accepts({ ...rest, layers: [layer], [key]: wrong }), false, key);
    for (const key of ["smoothing_window", "smoothing_method", "markov_weight"]) {
      assert.throws(
        () => parseReport(JSON.stringify({ ...report, [key]: undefined })),
        new BadInputError(`${key} is missing`),
      );
    }
  });
}

Deno.test("formatBaseline() keeps the phase's settings and nothing of what it was compared with", () => {
  const report = inventPhase(inventReport({ names: layerNames(3) }), SMOOTH);
  const text = formatBaseline(report);
  const settings =
    '  "smoothing_window": 3,\n  "smoothing_method": "cubic",\n  "markov_weight": null,\n';
  assert.ok(text.includes(`  "phase": "smooth",\n${settings}`), text);
  assert.doesNotMatch(text, /"baseline"|"change"/);
  assert.equal(judgeReports(parseFigures(text), report).passed, true);
});

Deno.test("findProblem() agrees with ajv when one value of a report is replaced", () => {
  const report: Report = {
    ...inventPhase(makeReport(), OPTIMIZE),
    comparison: compareReports(makeReport(), makeReport({ sqnr_db: 9 })),
    components: [{
      name: "transformer",
      parameter_count: 1000,
      quantized_parameter_count: 512,
      bits_per_weight: 4.5,
      compression_ratio: 3,
      model_size_mb: 2,
      smoothness_score: 0.9,
      violation_count: 1,
      cosine_similarity: 0.95,
      sqnr_db: 10,
      layer_count: 2,
    }],
  };
  let refused = 0;
  let tried = 0;
  const compare = (root: unknown, path: string) => {
    // ajv refuses unknown keys, and nothing here adds one.
    const problem = findProblem(root, schema);
    assert.equal(problem === undefined, accepts(root), `${path}: ${problem}`);
    tried++;
    if (problem !== undefined) refused++;
  };
  const visit = (value: unknown, path: string, put: (other: unknown) => unknown) => {
    for (
      const other of [null, -1, 0, 0.5, 1, 300, "x", "smooth", "cubic", true, [], [1, 2, 3], {}]
    ) {
      compare(put(other), `${path} = ${JSON.stringify(other)}`);
    }
    if (typeof value !== "object" || value === null) return;
    for (const [key, part] of Object.entries(value)) {
      visit(part, `${path}.${key}`, (other) => {
        if (!Array.isArray(value)) return put({ ...value, [key]: other });
        return put(value.with(Number(key), other));
      });
      if (!Array.isArray(value)) {
        const { [key]: _left, ...rest } = value as Record<string, unknown>;
        compare(put(rest), `${path} without ${key}`);
      }
    }
  };
  compare(report, "report");
  assert.equal(refused, 0);
  visit(report, "report", (other) => other);
  assert.ok(refused > 500 && tried - refused > 200, `${refused} of ${tried} refused`);
});
