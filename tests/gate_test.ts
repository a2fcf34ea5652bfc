import assert from "node:assert/strict";
import {
  BadInputError,
  BaselineError,
  chooseRules,
  type Finding,
  type GateTolerances,
  judgeReports,
  parseRules,
  type Report,
} from "../mod.ts";
import { renderFindings } from "../lib/render/render_findings.ts";
import { makeLayer, makeReport } from "./make_report.ts";

/** What is expected: `pass`, or the broken rules as `LEVEL METRIC[ LAYER][: PROBLEM]`. */
type Outcome = "pass" | string[];

interface Case {
  what: string;
  baseline?: Partial<Report>;
  current?: Partial<Report>;
  /** Entries of a rules file. */
  rules?: Record<string, unknown>[];
  flags?: GateTolerances;
  outcome: Outcome;
}

/** Parts of a report that are not as its type says: what a program may hand over. */
const broken = (parts: Record<string, unknown>) => parts as Partial<Report>;

const layers = (parts: Partial<Report["layers"][number]>) => ({
  layers: [makeLayer("blocks.0.fc", parts), makeReport().layers[1]!],
});

const CASES: Case[] = [
  // Better, equal, worse.
  { what: "nothing moved", outcome: "pass" },
  {
    what: "everything is better",
    current: { smoothness_score: 1, cosine_similarity: 1, sqnr_db: 20, violation_count: 0 },
    outcome: "pass",
  },
  { what: "the model is smaller", current: { model_size_mb: 1 }, outcome: "pass" },
  {
    what: "the score is worse",
    current: { smoothness_score: 0.5 },
    outcome: ["fail smoothness_score"],
  },
  {
    what: "the cosine is worse",
    current: { cosine_similarity: 0.5 },
    outcome: ["fail cosine_similarity"],
  },
  { what: "the SQNR is worse", current: { sqnr_db: 5 }, outcome: ["fail sqnr_db"] },
  { what: "violations rose", current: { violation_count: 2 }, outcome: ["fail violation_count"] },
  { what: "the model is larger", current: { model_size_mb: 3 }, outcome: ["fail model_size_mb"] },
  {
    what: "several figures are worse",
    current: { smoothness_score: 0, sqnr_db: -3, model_size_mb: 4 },
    outcome: ["fail smoothness_score", "fail sqnr_db", "fail model_size_mb"],
  },
  {
    what: "figures without a rule are worse",
    current: { min_boundary_score: 0, std_boundary_score: 0.5, compression_ratio: 1 },
    outcome: "pass",
  },

  // On the edge of each tolerance, and just past it.
  { what: "the score is on its edge", current: { smoothness_score: 0.89 }, outcome: "pass" },
  {
    what: "the score is past its edge",
    current: { smoothness_score: 0.889999 },
    outcome: ["fail smoothness_score"],
  },
  {
    what: "the score is on its edge in binary fractions that do not add up",
    baseline: { smoothness_score: 0.3 },
    current: { smoothness_score: 0.29 },
    outcome: "pass",
  },
  { what: "the cosine is on its edge", current: { cosine_similarity: 0.948 }, outcome: "pass" },
  {
    what: "the cosine is past its edge",
    current: { cosine_similarity: 0.947999 },
    outcome: ["fail cosine_similarity"],
  },
  { what: "the SQNR is on its edge", current: { sqnr_db: 9.8 }, outcome: "pass" },
  { what: "the SQNR is past its edge", current: { sqnr_db: 9.7999 }, outcome: ["fail sqnr_db"] },
  { what: "the size is on its edge", current: { model_size_mb: 2.02 }, outcome: "pass" },
  {
    what: "the size is past its edge",
    current: { model_size_mb: 2.02001 },
    outcome: ["fail model_size_mb"],
  },
  {
    what: "the score moved in the 7th digit and may not fall at all",
    current: { smoothness_score: 0.8999999 },
    flags: { maxScoreDrop: 0 },
    outcome: "pass",
  },
  {
    what: "the score moved in the 6th digit and may not fall at all",
    current: { smoothness_score: 0.899999 },
    flags: { maxScoreDrop: 0 },
    outcome: ["fail smoothness_score"],
  },

  // Flags.
  {
    what: "a flag allows a lower score",
    current: { smoothness_score: 0.8 },
    flags: { maxScoreDrop: 0.1 },
    outcome: "pass",
  },
  {
    what: "a flag allows a lower cosine",
    current: { cosine_similarity: 0.9 },
    flags: { maxCosineDrop: 0.05 },
    outcome: "pass",
  },
  {
    what: "a flag allows a lower SQNR",
    current: { sqnr_db: 8 },
    flags: { maxSqnrDrop: 2 },
    outcome: "pass",
  },
  {
    what: "a flag allows a larger model",
    current: { model_size_mb: 3 },
    flags: { maxSizeGrowth: 0.5 },
    outcome: "pass",
  },
  {
    what: "a flag allows one violation more",
    current: { violation_count: 2 },
    flags: { maxNewViolations: 1 },
    outcome: "pass",
  },
  {
    what: "a flag allows one violation more and there are two",
    current: { violation_count: 3 },
    flags: { maxNewViolations: 1 },
    outcome: ["fail violation_count"],
  },
  {
    what: "a flag is stricter than the built-in rule",
    current: { smoothness_score: 0.895 },
    flags: { maxScoreDrop: 0.001 },
    outcome: ["fail smoothness_score"],
  },
  {
    what: "a flag overrules the file and leaves its warning",
    current: { smoothness_score: 0.85 },
    rules: [
      { metric: "smoothness_score", absolute: 0.02, level: "warn" },
      { metric: "smoothness_score", absolute: 0.03 },
    ],
    flags: { maxScoreDrop: 0.1 },
    outcome: ["warn smoothness_score"],
  },

  // Layers that come, go and change their names.
  {
    what: "a layer vanished",
    current: { layers: [makeLayer("blocks.0.fc")] },
    outcome: ["fail vanished_layers blocks.1.fc"],
  },
  {
    what: "all layers vanished",
    current: { layers: [] },
    outcome: ["fail vanished_layers blocks.0.fc", "fail vanished_layers blocks.1.fc"],
  },
  {
    what: "a layer vanished and may",
    current: { layers: [makeLayer("blocks.0.fc")] },
    flags: { allowVanishedLayers: true },
    outcome: "pass",
  },
  {
    what: "one layer vanished and one may",
    current: { layers: [makeLayer("blocks.0.fc")] },
    rules: [{ metric: "vanished_layers", absolute: 1 }],
    outcome: "pass",
  },
  {
    what: "a layer was renamed",
    current: { layers: [makeLayer("model.0.fc"), makeReport().layers[1]!] },
    outcome: "pass",
  },
  {
    what: "a layer was renamed and may not be",
    current: { layers: [makeLayer("model.0.fc"), makeReport().layers[1]!] },
    rules: [{ metric: "renamed_layers", must_not_move: true }],
    outcome: ["fail renamed_layers model.0.fc"],
  },
  {
    what: "a layer was renamed and got worse",
    current: { layers: [makeLayer("model.0.fc", { sqnr_db: 1 }), makeReport().layers[1]!] },
    outcome: ["fail vanished_layers blocks.0.fc"],
  },
  {
    what: "a layer is new",
    current: { layers: [...makeReport().layers, makeLayer("head")] },
    outcome: "pass",
  },
  {
    what: "a layer is new and may not be",
    current: { layers: [...makeReport().layers, makeLayer("head")] },
    rules: [{ metric: "new_layers" }],
    outcome: ["fail new_layers head"],
  },

  // Values that are no numbers.
  { what: "there is no noise any more", current: { sqnr_db: null }, outcome: "pass" },
  {
    what: "there never was noise",
    baseline: { sqnr_db: null },
    current: { sqnr_db: null },
    outcome: "pass",
  },
  {
    what: "noise came where there was none",
    baseline: { sqnr_db: null },
    current: { sqnr_db: 90 },
    flags: { maxSqnrDrop: 1000 },
    outcome: ["fail sqnr_db"],
  },
  {
    what: "the score is NaN",
    current: { smoothness_score: NaN },
    flags: { maxScoreDrop: 1000 },
    outcome: ["fail smoothness_score: no number in the report"],
  },
  {
    what: "the score is NaN in both",
    baseline: { smoothness_score: NaN },
    current: { smoothness_score: NaN },
    outcome: ["fail smoothness_score: no number in the baseline"],
  },
  {
    what: "the SQNR is NaN and not null",
    current: { sqnr_db: NaN },
    outcome: ["fail sqnr_db: no number in the report"],
  },
  {
    what: "a figure is missing in the report",
    current: broken({ cosine_similarity: undefined }),
    outcome: ["fail cosine_similarity: no number in the report"],
  },
  {
    what: "a figure is missing in both",
    baseline: broken({ sqnr_db: undefined }),
    current: broken({ sqnr_db: undefined }),
    outcome: ["fail sqnr_db: no number in the baseline"],
  },
  {
    what: "a boundary figure is asked for and there is no boundary",
    baseline: { min_boundary_score: null },
    current: { min_boundary_score: null },
    rules: [{ metric: "min_boundary_score", level: "warn" }],
    outcome: ["warn min_boundary_score: no number in the baseline"],
  },

  // Rules of a file.
  {
    what: "a rule only warns",
    current: { smoothness_score: 0.5 },
    rules: [{ metric: "smoothness_score", level: "warn" }],
    outcome: ["warn smoothness_score"],
  },
  {
    what: "a rule warns and another one fails",
    current: { sqnr_db: 8 },
    rules: [
      { metric: "sqnr_db", absolute: 0.1, level: "warn" },
      { metric: "sqnr_db", absolute: 1 },
    ],
    outcome: ["warn sqnr_db", "fail sqnr_db"],
  },
  {
    what: "a relative tolerance is kept",
    current: { sqnr_db: 9 },
    rules: [{ metric: "sqnr_db", relative: 0.1 }],
    outcome: "pass",
  },
  {
    what: "a relative tolerance is exceeded",
    current: { sqnr_db: 8.99 },
    rules: [{ metric: "sqnr_db", relative: 0.1 }],
    outcome: ["fail sqnr_db"],
  },
  {
    what: "a relative tolerance is of the amount of a negative figure",
    baseline: { sqnr_db: -10 },
    current: { sqnr_db: -11 },
    rules: [{ metric: "sqnr_db", relative: 0.1 }],
    outcome: "pass",
  },
  {
    what: "the larger of two tolerances counts",
    current: { sqnr_db: 8 },
    rules: [{ metric: "sqnr_db", relative: 0.01, absolute: 2 }],
    outcome: "pass",
  },
  {
    what: "a figure without a built-in rule has one",
    current: { min_boundary_score: 0.7 },
    rules: [{ metric: "min_boundary_score", absolute: 0.01 }],
    outcome: ["fail min_boundary_score"],
  },
  {
    what: "a direction is turned round",
    current: { compression_ratio: 5 },
    rules: [{ metric: "compression_ratio", direction: "lower" }],
    outcome: ["fail compression_ratio"],
  },
  {
    what: "a figure must not move and does not",
    rules: [{ metric: "parameter_count", must_not_move: true }],
    outcome: "pass",
  },
  {
    what: "a figure must not move and does",
    current: { parameter_count: 1001 },
    rules: [{ metric: "parameter_count", must_not_move: true }],
    outcome: ["fail parameter_count"],
  },
  {
    what: "a figure must not move and gets better",
    current: { smoothness_score: 0.95 },
    rules: [{ metric: "smoothness_score", must_not_move: true }],
    outcome: ["fail smoothness_score"],
  },

  // Rules about layers.
  {
    what: "a layer is worse, and named by no rule",
    current: layers({ sqnr_db: 1 }),
    outcome: ["fail sqnr_db blocks.0.fc", "fail quality_grade blocks.0.fc"],
  },
  {
    what: "a layer is on the edge of 1 dB",
    baseline: layers({ sqnr_db: 15.95 }),
    current: layers({ sqnr_db: 14.95 }),
    outcome: "pass",
  },
  {
    what: "a layer is past the edge of 1 dB",
    baseline: layers({ sqnr_db: 15.95 }),
    current: layers({ sqnr_db: 14.9499 }),
    outcome: ["fail sqnr_db blocks.0.fc"],
  },
  {
    what: "a layer falls from 15.95 to 11.16 dB, and to another grade",
    baseline: layers({ sqnr_db: 15.95 }),
    current: layers({ sqnr_db: 11.16 }),
    outcome: ["fail sqnr_db blocks.0.fc", "fail quality_grade blocks.0.fc"],
  },
  {
    what: "a flag lets layers fall by 5 dB",
    baseline: layers({ sqnr_db: 35 }),
    current: layers({ sqnr_db: 30.2 }),
    flags: { maxLayerDrop: 5 },
    outcome: ["fail quality_grade blocks.0.fc"],
  },
  {
    what: "a file's rule for every layer takes the place of the built-in one",
    baseline: layers({ sqnr_db: 25 }),
    current: layers({ sqnr_db: 22 }),
    rules: [{ metric: "layers[*].sqnr_db", absolute: 3 }],
    outcome: "pass",
  },
  {
    what: "a file's rule for grades warns",
    baseline: layers({ sqnr_db: 12.5 }),
    current: layers({ sqnr_db: 11.9 }),
    rules: [{ metric: "layers[*].quality_grade", level: "warn" }],
    outcome: ["warn quality_grade blocks.0.fc"],
  },
  {
    what: "a file's rule for some layers takes the place of the built-in one for these alone",
    baseline: layers({ sqnr_db: 25 }),
    current: layers({ sqnr_db: 22 }),
    rules: [{ metric: "layers[blocks.0.*].sqnr_db", absolute: 3 }],
    outcome: "pass",
  },
  {
    what: "two rules of a file are about the same layer",
    baseline: layers({ sqnr_db: 25 }),
    current: layers({ sqnr_db: 23 }),
    rules: [
      { metric: "layers[blocks.*].sqnr_db", absolute: 1 },
      { metric: "layers[blocks.0.*].sqnr_db", absolute: 3 },
    ],
    outcome: ["fail sqnr_db blocks.0.fc"],
  },
  {
    what: "there is no layer in either report",
    baseline: { layers: [] },
    current: { layers: [] },
    outcome: "pass",
  },
  {
    what: "a layer that a regular expression matches is worse",
    baseline: layers({ sqnr_db: 10 }),
    current: layers({ sqnr_db: 9.4 }),
    rules: [{ metric: "layers[re:blocks\\.\\d+\\.fc$].sqnr_db", absolute: 0.5 }],
    outcome: ["fail sqnr_db blocks.0.fc"],
  },
  {
    what: "a layer that a glob matches is on the edge",
    current: layers({ sqnr_db: 7.5 }),
    rules: [{ metric: "layers[blocks.*].sqnr_db", absolute: 0.5 }],
    outcome: "pass",
  },
  {
    what: "a worse layer is not matched",
    current: layers({ sqnr_db: 7.5 }),
    rules: [{ metric: "layers[blocks.1.*].sqnr_db" }],
    outcome: "pass",
  },
  {
    what: "a pattern with brackets matches",
    current: layers({ violation_count: 3 }),
    rules: [{ metric: "layers[re:blocks.[0-9]].violation_count", level: "warn" }],
    outcome: ["warn violation_count blocks.0.fc"],
  },
  {
    what: "a pattern matches no layer",
    rules: [{ metric: "layers[head].sqnr_db" }],
    outcome: ["fail sqnr_db head: no layer matches"],
  },
  {
    what: "a renamed layer is matched by its former name",
    current: { layers: [makeLayer("new", { sqnr_db: 7.99 }), makeReport().layers[1]!] },
    rules: [{ metric: "layers[blocks.0.*].sqnr_db" }],
    outcome: ["fail sqnr_db new"],
  },
  {
    what: "a layer's bytes must not move",
    current: layers({ output_bytes: 121 }),
    rules: [{ metric: "layers[*].output_bytes", must_not_move: true }],
    outcome: ["fail output_bytes blocks.0.fc"],
  },
  {
    what: "a layer's figure is NaN",
    current: layers({ sqnr_db: NaN }),
    rules: [{ metric: "layers[*].sqnr_db", absolute: 100 }],
    outcome: [
      "fail quality_grade blocks.0.fc",
      "fail sqnr_db blocks.0.fc: no number in the report",
    ],
  },
  {
    what: "a layer's rule leaves the model's",
    current: { sqnr_db: 5 },
    rules: [{ metric: "layers[*].sqnr_db" }],
    outcome: ["fail sqnr_db"],
  },
];

const describe = ({ level, metric, layer, problem }: Finding) =>
  `${level} ${metric}${layer === null ? "" : ` ${layer}`}${problem === null ? "" : `: ${problem}`}`;

for (const { what, baseline, current, rules = [], flags, outcome } of CASES) {
  const word = outcome === "pass" ? "passes" : `says ${outcome.join(", ")}`;
  Deno.test(`judgeReports() ${word} when ${what}`, () => {
    const { passed, findings } = judgeReports(makeReport(baseline), makeReport(current), {
      rules: chooseRules(parseRules(JSON.stringify({ rules })), flags),
    });
    const found = findings.filter((finding) => !finding.passed).map(describe);
    assert.deepEqual(found, outcome === "pass" ? [] : outcome);
    assert.equal(passed, !found.some((finding) => finding.startsWith("fail")));
  });
}

Deno.test("judgeReports() writes a finding with all its values when a rule is broken", () => {
  const { findings } = judgeReports(makeReport(), makeReport({ model_size_mb: 2.1 }));
  assert.deepEqual(findings.map(({ metric }) => metric), [
    "smoothness_score",
    "cosine_similarity",
    "sqnr_db",
    "violation_count",
    "model_size_mb",
    "vanished_layers",
    "sqnr_db",
    "sqnr_db",
    "quality_grade",
    "quality_grade",
  ]);
  assert.deepEqual(findings[4], {
    metric: "model_size_mb",
    layer: null,
    baseline: 2,
    current: 2.1,
    allowed: 2.02,
    operator: "<=",
    level: "fail",
    passed: false,
    problem: null,
  });
  assert.deepEqual(findings[0], {
    metric: "smoothness_score",
    layer: null,
    baseline: 0.9,
    current: 0.9,
    allowed: 0.89,
    operator: ">=",
    level: "fail",
    passed: true,
    problem: null,
  });
});

Deno.test("judgeReports() tells improvements when figures got better", () => {
  const { passed, improvements } = judgeReports(makeReport(), makeReport({ sqnr_db: 11 }));
  assert.equal(passed, true);
  assert.deepEqual(improvements, [
    { metric: "sqnr_db", baseline: 10, current: 11, difference: 1, direction: "better" },
  ]);
});

const UNLIKE: [Partial<Report>, string][] = [
  [{ model_name: "x\n\x1b[31m" }, 'model_name is "x\\n\\u001b[31m", the baseline has "tiny"'],
  [{ bit_width: 4 }, "bit_width is 4, the baseline has 2"],
  [{ num_time_groups: 8 }, "num_time_groups is 8, the baseline has 4"],
  [{ format: "sdnq" }, 'format is "sdnq", the baseline has "compressed-tensors"'],
  [{ symmetric: true }, "symmetric is true, the baseline has false"],
  [{ modulation: "keep" }, 'modulation is "keep", the baseline has 8'],
  [{ modulation: null }, "modulation is null, the baseline has 8"],
  [{ granularity: "row" }, 'granularity is "row", the baseline has "slice"'],
  [{ group_size: 16 }, "group_size is 16, the baseline has null"],
  [{ smoothness_threshold: 0.31 }, "smoothness_threshold is 0.31, the baseline has 0.3"],
  [broken({ source: "calibrated" }), 'source is "calibrated", the baseline has "positional"'],
  [{ phase: "smooth" }, 'phase is "smooth", the baseline has "baseline"'],
  [{ smoothing_window: 5 }, "smoothing_window is 5, the baseline has null"],
  [{ smoothing_method: "sigmoid" }, 'smoothing_method is "sigmoid", the baseline has null'],
  [{ markov_weight: 0 }, "markov_weight is 0, the baseline has null"],
  [{ ignore: [] }, 'ignore is [], the baseline has ["b.*","a.*"]'],
  [{ default_ignore: false }, "default_ignore is false, the baseline has true"],
  [
    { bit_width: 8, phase: "optimize" },
    'phase is "optimize", the baseline has "baseline"; bit_width is 8, the baseline has 2',
  ],
];

for (const [parts, what] of UNLIKE) {
  Deno.test(`judgeReports() refuses when ${JSON.stringify(parts)} differs`, () => {
    assert.throws(
      () => judgeReports(makeReport(), makeReport(parts), { baselineName: 'b".json' }),
      new BaselineError(
        `Cannot judge the report by the baseline "b\\".json": ${what}: ` +
          "quantize with the baseline's settings, or write it again with isotherm baseline update",
      ),
    );
  });
}

Deno.test("judgeReports() refuses when two runs of a phase differ in window or weight", () => {
  const smooth = makeReport({ phase: "smooth", smoothing_window: 5, smoothing_method: "linear" });
  const refuse = (baseline: Report, current: Report, what: string) =>
    assert.throws(
      () => judgeReports(baseline, current),
      (error) => error instanceof BaselineError && error.message.includes(`baseline: ${what}: `),
    );
  refuse(smooth, { ...smooth, smoothing_window: 6 }, "smoothing_window is 6, the baseline has 5");
  const optimize = makeReport({ phase: "optimize", markov_weight: 0.1 });
  const heavy = { ...optimize, markov_weight: 0.2 };
  refuse(optimize, heavy, "markov_weight is 0.2, the baseline has 0.1");
  assert.equal(judgeReports(heavy, heavy).passed, true);
});

const BAD_RULES: [text: string, message: string][] = [
  ["", "it is not JSON: Expected a value, but the text ends at byte 0"],
  ["[]", 'it has no list "rules"'],
  ['{"rules": {}}', 'it has no list "rules"'],
  ['{"rules": [], "a": 1}', 'its key "a" is unknown, must be rules'],
  ['{"rules": [1]}', "rules[0] is no object"],
  ['{"rules": [{}]}', "rules[0].metric is missing or no text"],
  [
    '{"rules": [{"metric": "score"}]}',
    'rules[0].metric "score" is unknown: name a figure of the report',
  ],
  [
    '{"rules": [{"metric": "layers[*].model_size_mb"}]}',
    'rules[0].metric "layers[*].model_size_mb" is unknown: name a figure of the report',
  ],
  [
    '{"rules": [{"metric": "layers[*].new_layers"}]}',
    'rules[0].metric "layers[*].new_layers" is unknown: name a figure of the report',
  ],
  [
    '{"rules": [{"metric": "layers[re:(].sqnr_db"}]}',
    'rules[0].metric: Cannot read the pattern "re:(": missing closing ): ' +
    'give a glob such as "blocks.*.attn.*" or "re:" and a regular expression ' +
    "without lookaround and backreferences",
  ],
  [
    '{"rules": [{"metric": "sqnr_db", "tolerance": 1}]}',
    'rules[0] has the unknown key "tolerance", must be metric, direction, absolute, relative, ' +
    "level, must_not_move",
  ],
  [
    '{"rules": [{"metric": "sqnr_db"}, {"metric": "sqnr_db", "level": "error"}]}',
    'rules[1].level must be "warn" or "fail"',
  ],
  [
    '{"rules": [{"metric": "sqnr_db", "absolute": -1}]}',
    "rules[0].absolute must be a number from 0 on",
  ],
  [
    '{"rules": [{"metric": "sqnr_db", "relative": "1%"}]}',
    "rules[0].relative must be a number from 0 on",
  ],
  ['{"rules": [{"metric": "sqnr_db", "absolute": 1e999}]}', "the number 1e999 is out of range"],
  [
    '{"rules": [{"metric": "sqnr_db", "must_not_move": 1}]}',
    "rules[0].must_not_move must be true or false",
  ],
  [
    '{"rules": [{"metric": "sqnr_db", "must_not_move": true, "absolute": 1}]}',
    "rules[0]: what must not move has no tolerance: leave absolute and relative out",
  ],
  [
    '{"rules": [{"metric": "parameter_count"}]}',
    'rules[0].direction must be "higher" or "lower", whichever is better for "parameter_count"',
  ],
  [
    '{"rules": [{"metric": "sqnr_db", "direction": "up"}]}',
    'rules[0].direction must be "higher" or "lower", whichever is better for "sqnr_db"',
  ],
  [
    '{"rules": [{"metric": "new_layers", "relative": 0.1}]}',
    "rules[0]: a number of layers takes no relative tolerance, and less is better: give absolute",
  ],
  [
    '{"rules": [{"metric": "sqnr_db", "metric": "model_size_mb"}]}',
    'it is not JSON: Duplicate key "metric" at byte 41',
  ],
];

for (const [text, message] of BAD_RULES) {
  Deno.test(`parseRules() refuses when it reads ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseRules(text), new BadInputError(message));
  });
}

Deno.test("parseRules() fills in what a rule leaves out", () => {
  const text = '{"$schema": "x", "rules": [{"metric": "layers[a[0]].violation_count"}]}';
  assert.deepEqual(parseRules(text), [{
    metric: "violation_count",
    layers: "a[0]",
    direction: "lower",
    absolute: 0,
    relative: 0,
    level: "fail",
    must_not_move: false,
  }]);
});

Deno.test("renderFindings() puts the verdict first when rules are broken", () => {
  const current = makeReport({
    smoothness_score: 0.95,
    sqnr_db: 5,
    layers: [makeLayer("blocks.0.fc", { cosine_similarity: 0.8 })],
  });
  const rules = parseRules(JSON.stringify({
    rules: [
      { metric: "layers[*].cosine_similarity", absolute: 0.01, level: "warn" },
      { metric: "layers[*].sqnr_db", absolute: 0.01 },
      { metric: "layers[head].sqnr_db" },
    ],
  }));
  const text = renderFindings(judgeReports(makeReport(), current, { rules: chooseRules(rules) }));
  assert.deepEqual(text.split("\n"), [
    "GATE FAILED: 3 failures, 1 warning, 6 of 10 checks passed",
    "Next: The model lost quality in no layer that both reports have: look at the new ones.",
    "  FAIL sqnr_db: 10 -> 5, must be >= 9.8",
    '  FAIL vanished_layers: 1, must be <= 0: "blocks.1.fc"',
    '  FAIL sqnr_db: no layer in both reports matches "head"',
    '  warn cosine_similarity of "blocks.0.fc": 0.9 -> 0.8, must be >= 0.89',
    "  ok   smoothness_score: 0.9 -> 0.95, must be >= 0.89",
    "  ok   cosine_similarity: 0.95 -> 0.95, must be >= 0.948",
    "  ok   violation_count: 1 -> 1, must be <= 1",
    "  ok   model_size_mb: 2 -> 2, must be <= 2.02",
    "  ok   quality_grade of 1 layer",
    "  ok   sqnr_db of 1 layer",
    "Better than the baseline:",
    "  smoothness_score: 0.9 -> 0.95 (+0.05)",
    "1 layer in both: 1 worse, 0 better, 0 the same",
    "Vanished layers (1):",
    "  blocks.1.fc",
    "Worse layers (1):",
    "  blocks.0.fc: cosine_similarity 0.9 -> 0.8",
    "",
  ]);
});

Deno.test("renderFindings() lists twenty broken rules when there are more", () => {
  const layers = Array.from({ length: 25 }, (_, i) => makeLayer(`n${i}`));
  const judgement = judgeReports(makeReport({ layers }), makeReport({ layers: [] }));
  const lines = renderFindings(judgement).split("\n");
  assert.equal(lines[0], "GATE FAILED: 25 failures, 5 of 30 checks passed");
  assert.equal(lines.filter((line) => line.startsWith("  FAIL")).length, 20);
  assert.equal(lines[22], "  and 5 more: --json lists all");
});

/** What a gate advises when a report differs from `makeReport()`. */
const adviceOn = (parts: Partial<Report>, baseline: Partial<Report> = {}) =>
  judgeReports(makeReport(baseline), makeReport(parts)).advice;

Deno.test("judgeReports() advises about what failed, the gravest first", () => {
  assert.equal(adviceOn({}), null);
  assert.equal(adviceOn({ sqnr_db: 9.9 }), null);
  const [first, second] = makeReport().layers;
  const lost = [{ ...first!, sqnr_db: 7.2 }, { ...second!, sqnr_db: 1.25 }];
  assert.equal(
    adviceOn({ layers: lost, smoothness_score: 0.5 }),
    '2 layers lost quality, most of all "blocks.1.fc" (8.00 -> 1.25 dB): look at what changed ' +
      "its weights or its settings, or leave it alone with --ignore",
  );
  assert.equal(
    adviceOn({ sqnr_db: 9, layers: [{ ...first!, sqnr_db: 7.6 }, second!] }),
    'The model lost quality, most of it in "blocks.0.fc" (8.00 -> 7.60 dB): look at what ' +
      "changed its weights or its settings, or leave it alone with --ignore",
  );
  assert.equal(
    adviceOn({ layers: [first!], smoothness_score: 0.5 }),
    'Look at why "blocks.1.fc" is not quantized any more: "skipped" in the report has the reason',
  );
  assert.equal(
    adviceOn({ smoothness_score: 0.5, boundary_scores: [0.95, 0.5, 0.9], model_size_mb: 3 }),
    "Parameters jump more than in the baseline at boundaries [1, 2]: look at which layers do, " +
      "the quality is as it was",
  );
  assert.equal(
    adviceOn({ model_size_mb: 3 }),
    "The checkpoint grew: look at which layers are not quantized any more, or in smaller blocks",
  );
});

Deno.test("judgeReports() names the layer whose output lost most where outputs are known", () => {
  const [first, second] = makeReport().layers;
  const measured = (outputs: [number, number]) => ({
    output_sqnr_db: 20,
    layers: [
      { ...first!, sqnr_db: 3, output_sqnr_db: outputs[0] },
      { ...second!, sqnr_db: 9, output_sqnr_db: outputs[1] },
    ],
  });
  assert.match(
    adviceOn(measured([25, 22]), measured([26.5, 25]))!,
    /^2 layers lost quality, most of all "blocks\.1\.fc" \(25\.00 -> 22\.00 dB\): /,
  );
});
