import assert from "node:assert/strict";
import {
  appendToHistory,
  type HistoryEntry,
  makeBadge,
  makeHistoryEntry,
  parseFigures,
  parseHistory,
  parseReport,
} from "../mod.ts";
import { formatBaseline } from "../lib/gate/format_baseline.ts";
import { BaselineError } from "../lib/base/errors.ts";
import { listBreaches } from "../lib/history/entry.ts";
import { nameIdentities } from "../lib/history/identify.ts";
import { GRADES } from "../lib/report/grades.ts";
import { rangeOf } from "../templates/client/history_chart.js";
import { assertBadInput } from "./assert_bad_input.ts";
import { inventCalibrated, inventReport, layerNames, SMOOTH } from "./invent_report.ts";
import { formatReport, makeLayer, makeReport } from "./make_report.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** Of the report of tests, whose SQNR of 10 dB is poor. */
const ENTRY: HistoryEntry = {
  schema_version: 1,
  commit: COMMIT,
  model_name: "tiny",
  settings: {
    source: "positional",
    phase: "baseline",
    format: "compressed-tensors",
    bit_width: 2,
    modulation: 8,
    num_time_groups: 4,
    granularity: "slice",
    smoothness_threshold: 0.3,
    ignore: ["a.*", "b.*"],
    default_ignore: true,
  },
  smoothness_score: 0.9,
  violation_count: 1,
  layers_with_violations: 0,
  grade: "poor",
  measure: "weights",
  sqnr_db: 10,
  model_size_mb: 2,
  bits_per_weight: 16000,
  quantization_time_s: 1.5,
};

const entryOf = (parts: Partial<HistoryEntry> = {}): HistoryEntry => ({ ...ENTRY, ...parts });

const lineOf = (parts: Partial<HistoryEntry> = {}) => `${JSON.stringify(entryOf(parts))}\n`;

Deno.test("makeHistoryEntry() keeps commit, identity and figures of a report", () => {
  assert.deepEqual(makeHistoryEntry(makeReport(), { commit: COMMIT }), ENTRY);
  assert.deepEqual(makeHistoryEntry(makeReport(), { commit: COMMIT.toUpperCase() }), ENTRY);
  assert.equal(makeHistoryEntry(makeReport()).commit, null);
  const other = makeReport({ layers: makeReport().layers.toReversed(), ignore: ["a.*", "b.*"] });
  assert.equal(
    JSON.stringify(makeHistoryEntry(other, { commit: COMMIT })),
    JSON.stringify(ENTRY),
  );
});

Deno.test("makeHistoryEntry() rounds to 6 digits and counts the layers that have violations", () => {
  const layers = [0, 2, 1].map((violation_count, i) => makeLayer(`l.${i}`, { violation_count }));
  const entry = makeHistoryEntry(makeReport({
    layers,
    smoothness_score: 0.12345678,
    sqnr_db: 20.30000049,
    model_size_mb: 1.23456789,
    bits_per_weight: 4.25000001,
    quantization_time_s: 12.3456789,
  }));
  const { smoothness_score, sqnr_db, model_size_mb, bits_per_weight } = entry;
  assert.deepEqual(
    [smoothness_score, sqnr_db, model_size_mb, bits_per_weight, entry.quantization_time_s],
    [0.123457, 20.3, 1.23457, 4.25, 12.3457],
  );
  assert.deepEqual([entry.layers_with_violations, entry.grade], [2, "good"]);
});

Deno.test("makeHistoryEntry() grades a calibrated report by its outputs and keeps the calibration apart", () => {
  const report = inventCalibrated(inventReport({ names: layerNames(4) }));
  const entry = makeHistoryEntry(report);
  assert.deepEqual([entry.measure, entry.output_sqnr_db, entry.sqnr_db], ["outputs", 17.54, 2.5]);
  assert.equal(
    entry.settings.calibration,
    "100 timesteps, rank 64, weights snr, 3 layers compensated",
  );
});

Deno.test("makeHistoryEntry() scores the parameters as they are stored, and nothing where there is no boundary", () => {
  const smooth = makeReport({ ...SMOOTH, stored_smoothness_score: 0.8 });
  assert.equal(makeHistoryEntry(smooth).smoothness_score, 0.8);
  const single = makeReport({ num_time_groups: 1, smoothness_score: 1 });
  const { smoothness_score, baseline } = makeHistoryEntry(single, { baseline: single });
  assert.equal(smoothness_score, null);
  assert.deepEqual([baseline!.smoothness_score, baseline!.least_smoothness_score], [null, null]);
});

Deno.test("makeHistoryEntry() says what the gate's rules make of a baseline", () => {
  const baseline = parseFigures(
    formatBaseline(makeReport({ sqnr_db: 20, smoothness_score: 0.95, model_size_mb: 3 })),
  );
  assert.deepEqual(makeHistoryEntry(makeReport(), { baseline }).baseline, {
    smoothness_score: 0.95,
    least_smoothness_score: 0.94,
    measure: "weights",
    sqnr_db: 20,
    least_sqnr_db: 19.8,
    model_size_mb: 3,
    most_model_size_mb: 3.03,
  });
  const exact = makeHistoryEntry(makeReport(), { baseline: makeReport({ sqnr_db: null }) });
  assert.deepEqual([exact.baseline!.sqnr_db, exact.baseline!.least_sqnr_db], [null, null]);
  const calibrated = inventCalibrated(inventReport({ names: layerNames(4) }));
  const outputs = makeHistoryEntry(calibrated, { baseline: calibrated }).baseline!;
  assert.deepEqual([outputs.measure, outputs.sqnr_db, outputs.least_sqnr_db], [
    "outputs",
    17.54,
    17.34,
  ]);
});

Deno.test("makeHistoryEntry() has no band for a score that the gate does not judge", () => {
  const report = makeReport({ ...SMOOTH, stored_smoothness_score: 0.8 });
  const { baseline } = makeHistoryEntry(report, { baseline: report });
  assert.deepEqual([baseline!.smoothness_score, baseline!.least_smoothness_score], [0.9, null]);
  const same = makeReport({ ...SMOOTH, stored_smoothness_score: 0.9000000001 });
  assert.equal(makeHistoryEntry(same, { baseline: same }).baseline!.least_smoothness_score, 0.89);
});

Deno.test("makeHistoryEntry() refuses a commit that is no hash and a baseline of other settings", () => {
  for (const commit of ["", "main", "123456", "0".repeat(65), "012345g"]) {
    assertBadInput(
      () => makeHistoryEntry(makeReport(), { commit }),
      "must be a commit's hash, 7 to 64 hexadecimal digits",
    );
  }
  assert.throws(
    () => makeHistoryEntry(makeReport(), { baseline: makeReport({ bit_width: 4 }) }),
    (error) => error instanceof BaselineError && error.message.includes("bit_width is 2"),
  );
});

Deno.test("makeHistoryEntry() reads reports of any version the same", () => {
  const report = parseReport(formatReport(makeReport()));
  assert.deepEqual(makeHistoryEntry(report, { commit: COMMIT }), ENTRY);
});

Deno.test("listBreaches() names the figures outside of the band, and those on its edge are inside", () => {
  const baseline = {
    smoothness_score: 0.95,
    least_smoothness_score: 0.9,
    measure: "weights",
    sqnr_db: 10.2,
    least_sqnr_db: 10,
    model_size_mb: 2,
    most_model_size_mb: 2,
  } as const;
  assert.equal(listBreaches(entryOf()), undefined);
  assert.deepEqual(listBreaches(entryOf({ baseline })), []);
  assert.deepEqual(
    listBreaches(
      entryOf({ baseline, smoothness_score: 0.89, sqnr_db: 9.99, model_size_mb: 2.001 }),
    ),
    ["score", "SQNR", "size"],
  );
  assert.deepEqual(listBreaches(entryOf({ baseline, sqnr_db: null })), []);
  const exact = { ...baseline, least_sqnr_db: null, least_smoothness_score: null };
  assert.deepEqual(listBreaches(entryOf({ baseline: exact, smoothness_score: 0 })), ["SQNR"]);
  const outputs = { baseline: { ...baseline, measure: "outputs" as const }, output_sqnr_db: 9 };
  assert.deepEqual(listBreaches(entryOf({ ...outputs, measure: "outputs" })), ["SQNR"]);
});

Deno.test("appendToHistory() adds a line and leaves the others as they are", () => {
  const first = appendToHistory("", ENTRY);
  assert.deepEqual(first, { text: lineOf(), replaced: false, count: 1 });
  // Another program's order of keys, and no line break at the end.
  const odd = JSON.stringify(Object.fromEntries(Object.entries(ENTRY).toReversed()), null, " ")
    .replaceAll("\n", "");
  const next = entryOf({ commit: "fedcba9" });
  assert.deepEqual(appendToHistory(odd, next), {
    text: `${odd}\n${JSON.stringify(next)}\n`,
    replaced: false,
    count: 2,
  });
});

Deno.test("appendToHistory() replaces the entry of the same commit, model and settings in its place", () => {
  const other = lineOf({ commit: "fedcba9" });
  const again = entryOf({ quantization_time_s: 99 });
  const reordered = Object.fromEntries(Object.entries(ENTRY.settings).toReversed());
  for (const settings of [ENTRY.settings, reordered]) {
    assert.deepEqual(appendToHistory(lineOf({ settings }) + other, again), {
      text: `${JSON.stringify(again)}\n${other}`,
      replaced: true,
      count: 2,
    });
  }
  const kept: Partial<HistoryEntry>[] = [
    { commit: null },
    { model_name: "other" },
    { settings: { ...ENTRY.settings, bit_width: 4 } },
    { settings: { ...ENTRY.settings, symmetric: true } },
  ];
  for (const parts of kept) {
    assert.equal(appendToHistory(lineOf(), entryOf(parts)).count, 2);
    assert.equal(appendToHistory(lineOf(parts), entryOf({ ...parts, commit: null })).count, 2);
  }
});

Deno.test("parseHistory() reads what was appended, and leaves out keys of later versions", () => {
  const baseline = makeHistoryEntry(makeReport(), { baseline: makeReport() }).baseline!;
  const entries = [ENTRY, entryOf({ commit: null, baseline, sqnr_db: null, output_sqnr_db: 3 })];
  const text = entries.reduce((text, entry) => appendToHistory(text, entry).text, "");
  assert.deepEqual(parseHistory(text), entries);
  assert.deepEqual(parseHistory(text.replaceAll("\n", "\r\n")), entries);
  assert.deepEqual(parseHistory(""), []);
  assert.deepEqual(parseHistory(lineOf().replace("{", '{"later":1,')), [ENTRY]);
});

/** Lines that are no entries, each after one that is, and what is said of them. */
const REFUSED: [line: string, message: string][] = [
  ["\n", "line 2: it is not JSON: "],
  ["SECRET\n", "line 2: it is not JSON: "],
  ["[]\n", "line 2: it is no entry of a history: it has no schema_version"],
  ["{}\n", "line 2: it is no entry of a history: it has no schema_version"],
  [lineOf().slice(0, 99), "line 2, cut short: it is not JSON: Unterminated string at "],
  [
    lineOf({ schema_version: 2 }),
    "line 2: its schema_version is 2, this version of Isotherm reads 1",
  ],
  [
    lineOf().replace('"schema_version":1', '"schema_version":"1"'),
    "line 2: its schema_version is no number, this version of Isotherm reads 1",
  ],
  [lineOf().replace('"grade":"poor",', ""), "line 2: grade is missing"],
  [lineOf({ smoothness_score: 1.1 }), "line 2: smoothness_score is 1.1, must be at most 1"],
  [lineOf({ violation_count: 0.5 }), "line 2: violation_count is 0.5, must be a whole number"],
  [lineOf({ model_size_mb: -1 }), "line 2: model_size_mb is -1, must be at least 0"],
  [
    lineOf().replace('"poor"', '"bad"'),
    'line 2: grade is "bad", must be "excellent" or "good" or "fair" or "poor" or "broken"',
  ],
  [
    lineOf({ commit: "main" }),
    'line 2: commit is the text "main", must be a commit\'s hash, 7 to 64 hexadecimal digits',
  ],
  [
    lineOf({ settings: { "a\n": {} } } as unknown as Partial<HistoryEntry>),
    'line 2: settings holds "a\\u{a}", which must be text, a number, a switch or a list of texts',
  ],
  [
    lineOf({ measure: "outputs" }),
    "line 2: output_sqnr_db is missing, and measure says that it was graded",
  ],
  [
    lineOf({ baseline: {} } as unknown as Partial<HistoryEntry>),
    "line 2: baseline.smoothness_score is missing",
  ],
];

for (const [line, message] of REFUSED) {
  Deno.test(`parseHistory() and appendToHistory() refuse a history: ${message}`, () => {
    const text = lineOf() + line;
    assertBadInput(() => parseHistory(text), message);
    assertBadInput(() => appendToHistory(text, ENTRY), message);
  });
}

Deno.test("nameIdentities() says only what is needed to tell lines apart", () => {
  const settings = { ...ENTRY.settings };
  const name = (...all: Partial<HistoryEntry>[]) =>
    nameIdentities(all.map((parts) => entryOf({ settings, ...parts })));
  assert.deepEqual(name({}), ["tiny, INT2"]);
  assert.deepEqual(name({}, { settings: { ...settings, bit_width: 4, phase: "optimize" } }), [
    "tiny, INT2",
    "tiny, INT4",
  ]);
  assert.deepEqual(
    name(
      {
        settings: { ...settings, phase: "smooth", smoothing_window: 3, smoothing_method: "cubic" },
      },
      { settings: { ...settings, symmetric: true, group_size: 128, granularity: "row" } },
      { model_name: "other" },
    ),
    [
      "tiny, INT2, phase smooth, window 3, cubic, with zero points, by slices, no blocks",
      "tiny, INT2, phase baseline, no window, no smoothing, symmetric, by rows, blocks of 128",
      "other, INT2",
    ],
  );
  assert.deepEqual(
    name(
      { settings: { ...settings, ignore: ["x"], markov_weight: 0.1, modulation: "keep" } },
      { settings: { bit_width: 2, calibration: "of 3 timesteps", later: "new" } },
    ),
    [
      "tiny, INT2, positional source, phase baseline, Markov weight 0.1, compressed-tensors, " +
      "modulation kept, 4 time groups, by slices, threshold 0.3, without x, " +
      "sensitive layers left alone, no calibration, no later",
      "tiny, INT2, no source, no phase, no Markov weight, no format, modulation like the rest, " +
      "no time groups, no granularity, no threshold, nothing ignored, sensitive layers too, " +
      "calibration of 3 timesteps, later new",
    ],
  );
});

Deno.test("nameIdentities() takes settings of any name", () => {
  const own = JSON.parse('{"__proto__": "p", "constructor": 1, "toString": "t"}');
  const names = [own, {}].map((parts) => entryOf({ settings: { bit_width: 2, ...parts } }));
  assert.deepEqual(nameIdentities(names), [
    "tiny, INT2, __proto__ p, constructor 1, toString t",
    "tiny, INT2, no __proto__, no constructor, no toString",
  ]);
});

Deno.test("nameIdentities() escapes names, cuts them and shows those that are empty", () => {
  const names = ["a\n\x1b", "", " ", "x".repeat(300)];
  assert.deepEqual(nameIdentities(names.map((model_name) => entryOf({ model_name }))), [
    "a\\u{a}\\u{1b}, INT2",
    '"", INT2',
    '" ", INT2',
    `${"x".repeat(200)}…, INT2`,
  ]);
});

Deno.test("makeBadge() gives the grade, the SQNR that was graded and a color for each grade", () => {
  assert.deepEqual(makeBadge(entryOf({ grade: "good", sqnr_db: 20.349 })), {
    schemaVersion: 1,
    label: "isotherm",
    message: "good, 20.3 dB",
    color: "green",
  });
  const outputs = entryOf({ grade: "fair", measure: "outputs", output_sqnr_db: 17.5 });
  assert.equal(makeBadge(outputs).message, "fair, 17.5 dB");
  const exact = entryOf({ grade: "excellent", sqnr_db: null });
  assert.equal(makeBadge(exact).message, "excellent, no error");
  assert.deepEqual(GRADES.map(({ grade }) => makeBadge(entryOf({ grade })).color), [
    "brightgreen",
    "green",
    "yellow",
    "orange",
    "red",
  ]);
});

Deno.test("rangeOf() holds figures and bands of the lines that are shown, and the limit below", () => {
  const chart = {
    values: [[20, null, 22], [40, null, null]],
    bands: [[[19, 24], null, null], [null, null, null]] as ([number, number] | null)[][],
    limits: [35, 18, 12].map((at) => ({ at, grade: "good", words: "" })),
  };
  const shows = (...lines: number[]) => rangeOf(chart, (line: number) => lines.includes(line));
  assert.deepEqual(shows(0, 1), [18 - 2.2, 40 + 2.2]);
  assert.deepEqual(shows(0).map((end: number) => end.toFixed(6)), ["17.400000", "24.600000"]);
  assert.deepEqual(shows(1), [34.5, 40.5]);
  assert.deepEqual(shows(), [0, 1]);
  assert.deepEqual(rangeOf({ values: [[2, 2]], bands: [[null, null]], limits: [] }, () => true), [
    1.9,
    2.1,
  ]);
});
