import assert from "node:assert/strict";
import { compareFigure } from "../lib/compare/compare_reports.ts";
import { renderComparison } from "../lib/render/render_comparison.ts";
import { compareReports, type Report } from "../mod.ts";
import { cpuSeconds } from "./cpu_seconds.ts";
import { SMOOTH } from "./invent_report.ts";
import { makeLayer, makeReport } from "./make_report.ts";

const SCORE = { name: "smoothness_score", better: "higher" } as const;
const SIZE = { name: "model_size_mb", better: "lower" } as const;
const SQNR = { name: "sqnr_db", better: "higher", nullIs: Infinity } as const;
const COUNT = { name: "parameter_count", better: null } as const;

const FIGURES: [
  what: string,
  metric: Parameters<typeof compareFigure>[0],
  baseline: number | null | undefined,
  current: number | null | undefined,
  difference: number | null,
  direction: string,
][] = [
  ["it rose and higher is better", SCORE, 0.8, 0.9, 0.1, "better"],
  ["it fell and higher is better", SCORE, 0.9, 0.8, -0.1, "worse"],
  ["it rose and lower is better", SIZE, 2, 2.5, 0.5, "worse"],
  ["it fell and lower is better", SIZE, 2.5, 2, -0.5, "better"],
  ["it is equal", SCORE, 0.9, 0.9, 0, "same"],
  ["it is equal to 6 digits", SCORE, 0.864316, 0.8643162826753258, 0, "same"],
  ["it differs in the 6th digit", SCORE, 0.864316, 0.864317, 0.000001, "better"],
  ["whole numbers differ by one in seven digits", COUNT, 1257988, 1257989, 1, "changed"],
  ["neither way is better", COUNT, 10, 5, -5, "changed"],
  ["the noise went away", SQNR, 10, null, null, "better"],
  ["the noise came", SQNR, null, 10, null, "worse"],
  ["there is no noise in either", SQNR, null, null, null, "same"],
  ["it is null in both", SCORE, null, null, null, "same"],
  ["it became null", SCORE, 0.9, null, null, "changed"],
  ["it became NaN", SCORE, 0.9, NaN, null, "changed"],
  ["it is NaN in both", SCORE, NaN, NaN, null, "changed"],
  ["it is missing in the baseline", SCORE, undefined, 0.9, null, "changed"],
  ["it is missing in both", SQNR, undefined, undefined, null, "changed"],
];

for (const [what, metric, baseline, current, difference, direction] of FIGURES) {
  Deno.test(`compareFigure() says ${direction} when ${what}`, () => {
    assert.deepEqual(compareFigure(metric, baseline, current), {
      metric: metric.name,
      baseline: baseline === undefined ? NaN : baseline,
      current: current === undefined ? NaN : current,
      difference,
      direction,
    });
  });
}

Deno.test("compareReports() finds nothing when a report is compared with itself", () => {
  const comparison = compareReports(makeReport(), makeReport());
  assert.deepEqual(comparison.differing_settings, []);
  assert.ok(
    comparison.metrics.every(({ direction, difference }) =>
      direction === "same" && difference === 0
    ),
  );
  assert.deepEqual(comparison.metrics.map(({ metric }) => metric), [
    "smoothness_score",
    "violation_count",
    "cosine_similarity",
    "sqnr_db",
    "min_boundary_score",
    "max_boundary_score",
    "mean_boundary_score",
    "std_boundary_score",
    "compression_ratio",
    "model_size_mb",
    "bits_per_weight",
    "parameter_count",
    "quantized_parameter_count",
  ]);
  assert.deepEqual(comparison.layers.map(({ name, direction }) => [name, direction]), [
    ["blocks.0.fc", "same"],
    ["blocks.1.fc", "same"],
  ]);
  assert.deepEqual(comparison.boundaries.map(({ violation }) => violation), [null, "kept", null]);
});

Deno.test("compareReports() names every setting that differs when the runs are unlike", () => {
  const other = makeReport({
    model_name: "other",
    bit_width: 4,
    phase: "optimize",
    smoothing_window: 5,
    smoothing_method: "linear",
    markov_weight: 0.5,
    num_time_groups: 8,
    granularity: "row",
    group_size: 32,
    smoothness_threshold: 0.5,
    ignore: ["a.*"],
    default_ignore: false,
  });
  assert.deepEqual(compareReports(makeReport(), other).differing_settings, [
    { setting: "model_name", baseline: "tiny", current: "other" },
    { setting: "phase", baseline: "baseline", current: "optimize" },
    { setting: "smoothing_window", baseline: null, current: 5 },
    { setting: "smoothing_method", baseline: null, current: "linear" },
    { setting: "markov_weight", baseline: null, current: 0.5 },
    { setting: "bit_width", baseline: 2, current: 4 },
    { setting: "num_time_groups", baseline: 4, current: 8 },
    { setting: "granularity", baseline: "slice", current: "row" },
    { setting: "group_size", baseline: null, current: 32 },
    { setting: "smoothness_threshold", baseline: 0.3, current: 0.5 },
    { setting: "ignore", baseline: ["b.*", "a.*"], current: ["a.*"] },
    { setting: "default_ignore", baseline: true, current: false },
  ]);
});

Deno.test("compareReports() does not mind when ignore patterns stand in another order", () => {
  const other = makeReport({ ignore: ["a.*", "b.*"] });
  assert.deepEqual(compareReports(makeReport(), other).differing_settings, []);
});

/** Names of the layers of a comparison by what became of them. */
function layersOf(baseline: Report["layers"], current: Report["layers"]) {
  const comparison = compareReports(
    makeReport({ layers: baseline }),
    makeReport({ layers: current }),
  );
  const { new_layers, vanished_layers, renamed_layers } = comparison;
  return {
    both: comparison.layers.map(({ name, direction }) => `${name} ${direction}`),
    new_layers,
    vanished_layers,
    renamed_layers,
  };
}

Deno.test("compareReports() lists layers as new and vanished when their shapes differ", () => {
  assert.deepEqual(
    layersOf([makeLayer("a"), makeLayer("gone")], [makeLayer("a"), makeLayer("new", { rows: 16 })]),
    { both: ["a same"], new_layers: ["new"], vanished_layers: ["gone"], renamed_layers: [] },
  );
});

Deno.test("compareReports() sees a rename when shape and figures are equal or nearly so", () => {
  assert.deepEqual(
    layersOf(
      [makeLayer("a"), makeLayer("b", { sqnr_db: 3 })],
      [makeLayer("model.b", { sqnr_db: 3.01 }), makeLayer("model.a")],
    ),
    {
      both: ["model.b same", "model.a same"],
      new_layers: [],
      vanished_layers: [],
      renamed_layers: [{ from: "b", to: "model.b" }, { from: "a", to: "model.a" }],
    },
  );
});

Deno.test("compareReports() sees no rename when the figures are others", () => {
  for (
    const parts of [
      { smoothness_score: 0.928 },
      { cosine_similarity: 0.898 },
      { sqnr_db: 7.97 },
      { sqnr_db: null },
      { violation_count: 1 },
      { dtype: "BF16" as const },
      { group_size: 16 },
    ]
  ) {
    assert.deepEqual(
      layersOf([makeLayer("a")], [makeLayer("b", parts)]),
      { both: [], new_layers: ["b"], vanished_layers: ["a"], renamed_layers: [] },
      JSON.stringify(parts),
    );
  }
});

Deno.test("compareReports() uses each vanished layer once when several could be one", () => {
  assert.deepEqual(layersOf([makeLayer("a")], [makeLayer("b"), makeLayer("c")]), {
    both: ["b same"],
    new_layers: ["c"],
    vanished_layers: [],
    renamed_layers: [{ from: "a", to: "b" }],
  });
});

Deno.test("compareReports() takes less than 2 s of processor time when 10,000 layers were renamed", () => {
  const layers = (prefix: string) =>
    Array.from({ length: 10_000 }, (_, i) => makeLayer(`${prefix}${i}`, { sqnr_db: i % 100 }));
  let found!: ReturnType<typeof layersOf>;
  assert.ok(cpuSeconds(() => found = layersOf(layers("a"), layers("b"))) < 2);
  assert.equal(found.renamed_layers.length, 10_000);
  assert.deepEqual(found.renamed_layers[1234], { from: "a1234", to: "b1234" });
});

Deno.test("compareReports() says how a layer moved when several of its figures did", () => {
  const moved = (parts: Parameters<typeof makeLayer>[1]) =>
    layersOf([makeLayer("a")], [makeLayer("a", parts)]).both[0];
  assert.equal(moved({ sqnr_db: 9.1 }), "a better");
  assert.equal(moved({ sqnr_db: 9.1, cosine_similarity: 0.8 }), "a worse");
  assert.equal(moved({ sqnr_db: 9.1, output_bytes: 500 }), "a better");
  assert.equal(moved({ output_bytes: 500 }), "a worse");
});

Deno.test("compareReports() takes a layer for moved only beyond what a gate tolerates", () => {
  const moved = (parts: Parameters<typeof makeLayer>[1], before = {}) =>
    layersOf([makeLayer("a", before)], [makeLayer("a", parts)]).both[0];
  assert.equal(moved({ sqnr_db: 10 }, { sqnr_db: 11 }), "a same");
  assert.equal(moved({ sqnr_db: 9.99 }, { sqnr_db: 11 }), "a worse");
  assert.equal(moved({ sqnr_db: null }, { sqnr_db: 11 }), "a better");
  assert.equal(moved({ smoothness_score: 0.92 }), "a same");
  assert.equal(moved({ smoothness_score: 0.919 }), "a worse");
  assert.equal(moved({ cosine_similarity: 0.88 }), "a same");
  assert.equal(moved({ cosine_similarity: 0.8799 }), "a worse");
  assert.equal(moved({ violation_count: 1 }), "a worse");
});

Deno.test("compareReports() moves a grade only with an SQNR that moves by more than 0.2 dB", () => {
  const gradeOf = (before: number, after: number) =>
    compareReports(
      makeReport({ layers: [makeLayer("a", { sqnr_db: before })] }),
      makeReport({ layers: [makeLayer("a", { sqnr_db: after })] }),
    ).layers[0]!.metrics.find(({ metric }) => metric === "quality_grade");
  const change = { metric: "quality_grade", baseline: 2 };
  assert.deepEqual(gradeOf(12.1, 11.9), {
    ...change,
    current: 2,
    difference: 0,
    direction: "same",
  });
  assert.deepEqual(gradeOf(12.1, 11.89), {
    ...change,
    current: 1,
    difference: -1,
    direction: "worse",
  });
  assert.deepEqual(gradeOf(17.9, 18.2), {
    ...change,
    current: 3,
    difference: 1,
    direction: "better",
  });
});

Deno.test("compareReports() says which violations came and went when boundaries moved", () => {
  const current = makeReport({
    boundary_scores: [0.5, 0.8, 1],
    violations: [{ boundary_idx: 0, scale_jump: 0.9, zero_point_jump: 0.1, severity: "high" }],
  });
  assert.deepEqual(compareReports(makeReport(), current).boundaries, [
    {
      boundary_idx: 0,
      baseline: 0.95,
      current: 0.5,
      difference: -0.45,
      direction: "worse",
      violation: "new",
    },
    {
      boundary_idx: 1,
      baseline: 0.75,
      current: 0.8,
      difference: 0.05,
      direction: "better",
      violation: "gone",
    },
    {
      boundary_idx: 2,
      baseline: 1,
      current: 1,
      difference: 0,
      direction: "same",
      violation: null,
    },
  ]);
});

Deno.test("renderComparison() shows every figure and layer when one report is compared", () => {
  const current = makeReport({
    smoothness_score: 0.85,
    sqnr_db: null,
    min_boundary_score: 0.5,
    boundary_scores: [0.5, 0.8, 1],
    violations: [{ boundary_idx: 0, scale_jump: 0.9, zero_point_jump: 0.1, severity: "high" }],
    layers: [
      makeLayer("blocks.0.fc", { smoothness_score: 0.5, sqnr_db: 9 }),
      makeLayer("blocks.2.fc", { rows: 4 }),
    ],
  });
  const labels = { baseline: "b.json", currents: ["c.json"] };
  const text = renderComparison([compareReports(makeReport(), current)], labels);
  assert.deepEqual(text.split("\n"), [
    "baseline b.json: tiny, INT2, 4 time groups, positional, phase baseline",
    "current  c.json: tiny, INT2, 4 time groups, positional, phase baseline",
    "",
    "metric                     baseline   current  difference",
    "smoothness_score                0.9      0.85       -0.05  worse",
    "violation_count                   1         1           0  same",
    "cosine_similarity              0.95      0.95           0  same",
    "sqnr_db                          10  no noise              better",
    "min_boundary_score             0.75       0.5       -0.25  worse",
    "max_boundary_score                1         1           0  same",
    "mean_boundary_score             0.9       0.9           0  same",
    "std_boundary_score         0.108012  0.108012           0  same",
    "compression_ratio                 4         4           0  same",
    "model_size_mb                     2         2           0  same",
    "bits_per_weight               16000     16000           0  same",
    "parameter_count                1000      1000           0  same",
    "quantized_parameter_count       512       512           0  same",
    "",
    "1 layer in both: 1 worse, 0 better, 0 the same",
    "New violations at boundaries: [0]",
    "Former violations at boundaries: [1]",
    "Vanished layers (1):",
    "  blocks.1.fc",
    "New layers (1):",
    "  blocks.2.fc",
    "Worse layers (1):",
    "  blocks.0.fc: smoothness_score 0.93 -> 0.5, sqnr_db 8 -> 9 (better)",
    "",
  ]);
});

Deno.test("renderComparison() stands reports side by side when there are several", () => {
  const baseline = makeReport();
  const others = [makeReport({ smoothness_score: 0.95 }), makeReport(SMOOTH)];
  const text = renderComparison(others.map((other) => compareReports(baseline, other)), {
    baseline: "b",
    currents: ["c", "d"],
  });
  assert.deepEqual(text.split("\n").slice(0, 10), [
    "baseline b: tiny, INT2, 4 time groups, positional, phase baseline",
    "[1]      c: tiny, INT2, 4 time groups, positional, phase baseline",
    "[2]      d: tiny, INT2, 4 time groups, positional, phase smooth, window 3, cubic",
    '         phase is "smooth", the baseline has "baseline"',
    "         smoothing_window is 3, the baseline has null",
    '         smoothing_method is "cubic", the baseline has null',
    "",
    "metric                     baseline       [1]  difference               [2]  difference",
    "smoothness_score                0.9      0.95       +0.05  better       0.9           0  same",
    "violation_count                   1         1           0  same           1           0  same",
  ]);
});

Deno.test("renderComparison() shows a figure that only some reports have as missing in the others", () => {
  const baseline = makeReport();
  const others = [
    baseline,
    makeReport({ activation_smoothness_score: 0.875, activation_sqnr_db: 15.25 }),
    makeReport({ activation_smoothness_score: 0.9, activation_sqnr_db: null }),
  ];
  const text = renderComparison(others.map((other) => compareReports(baseline, other)), {
    baseline: "b",
    currents: ["c", "d", "e"],
  });
  const rowOf = (text: string, metric: string) =>
    text.split("\n").find((line) => line.startsWith(`${metric} `))!.trim().split(/ {2,}/);
  assert.deepEqual(rowOf(text, "activation_smoothness_score"), [
    ...["activation_smoothness_score", "missing", "missing"],
    ...["0.875", "changed", "0.9", "changed"],
  ]);
  assert.deepEqual(rowOf(text, "activation_sqnr_db"), [
    ...["activation_sqnr_db", "missing", "missing"],
    ...["15.25", "changed", "no noise", "changed"],
  ]);
  // And those behind them stand in their own rows.
  assert.deepEqual(rowOf(text, "compression_ratio"), [
    "compression_ratio",
    ...["4", "4", "0", "same", "4", "0", "same", "4", "0", "same"],
  ]);
  const [first, second] = [15.25, 14.75].map((activation_sqnr_db) =>
    makeReport({ activation_smoothness_score: 0.875, activation_sqnr_db })
  );
  const alone = renderComparison([compareReports(first!, second!)], {
    baseline: "b",
    currents: ["c"],
  });
  assert.deepEqual(rowOf(alone, "activation_sqnr_db"), [
    "activation_sqnr_db",
    "15.25",
    "14.75",
    "-0.5",
    "worse",
  ]);
});

Deno.test("renderComparison() lists ten layers of a kind when there are more", () => {
  const layers = Array.from({ length: 12 }, (_, i) => makeLayer(`n${i}`));
  const comparison = compareReports(makeReport({ layers: [] }), makeReport({ layers }));
  const text = renderComparison([comparison], { baseline: "b", currents: ["c"] });
  assert.match(text, /New layers \(12\):\n(?: {2}n\d\n){10} {2}and 2 more: --json lists all\n$/);
});
