/** What the console, the page, the summary and a comparison say of a run of another phase than baseline. */

import assert from "node:assert/strict";
import { compareReports } from "../lib/compare/compare_reports.ts";
import { parseArgs } from "../lib/cli/parse_args.ts";
import { listPhase, type PhaseSettings } from "../lib/render/describe_phase.ts";
import { modelSeries } from "../lib/render/html_series.ts";
import { compareWithPhaseBaseline } from "../lib/compare/compare_with_phase_baseline.ts";
import { renderConsole } from "../lib/render/render_console.ts";
import { renderComparisonHtml, renderHtml } from "../lib/render/render_html.ts";
import { renderSummary } from "../lib/render/render_summary.ts";
import { repeatArguments } from "../lib/render/repeat_command.ts";
import { inventPhase, inventReport, layerNames, OPTIMIZE, SMOOTH } from "./invent_report.ts";
import { makeLayer, makeReport } from "./make_report.ts";
import type { Report } from "../mod.ts";

const PLAIN = inventReport({ names: layerNames(12) });
const SMOOTHED = inventPhase(PLAIN, SMOOTH);
const OPTIMIZED = inventPhase(PLAIN, OPTIMIZE);

const RULE = "=".repeat(80);

/** The middle of the results block of `makeReport`, the same in every phase. */
const MIDDLE = `${RULE}

Verdict: POOR
  Quality: poor (SQNR of the weights 10.00 dB: models like it hold, much in them is other)
  Smoothness: good (score 0.9000, 1 violation)

Markov Smoothness Metrics:
  Overall smoothness score: 0.9000
  Violation count: 1
  Layers with violations of their own: 0 of 2
  Smoothness threshold: 0.3

Boundary Score Statistics:
  Min: 0.7500
  Max: 1.0000
  Mean: 0.9000
  Std: 0.1080
  Total boundaries: 3

Quantization Quality:
  Cosine similarity: 0.9500
  SQNR of the weights: 10.00 dB
  Compression ratio: 4.00x
  Model size: 2.00 MB
  Quantization time: 1.50s

`;

const END = `Common Violation Patterns:
  - Medium severity violations: 1 (100.0%)
${RULE}
`;

Deno.test("renderConsole() writes these bytes when the phase is baseline", () => {
  const title = `${RULE}\nBASELINE METRICS ESTABLISHED\n`;
  assert.equal(renderConsole(makeReport()), title + MIDDLE + END);
});

Deno.test("renderConsole() adds what the phase changed when it is another one", () => {
  const report = makeReport({
    ...OPTIMIZE,
    baseline: {
      smoothness_score: 0.81314,
      violation_count: 3,
      cosine_similarity: 0.95001,
      sqnr_db: -3.204,
      model_size_mb: 2,
    },
    change: {
      smoothness_score: 0.08686,
      violation_count: -2,
      cosine_similarity: -0.00001,
      sqnr_db: 13.204,
      model_size_mb: 0,
    },
  });
  const change = `Against Baseline (same run):
  Smoothness score: 0.8131 -> 0.9000 (+0.0869)
  Violation count: 3 -> 1 (-2)
  Cosine similarity: 0.9500 -> 0.9500 (-0.0000)
  SQNR: -3.20 dB -> 10.00 dB (+13.20 dB)
  Model size: 2.00 MB -> 2.00 MB (+0.00 MB)

`;
  const title = `${RULE}\nOPTIMIZE METRICS ESTABLISHED\n`;
  assert.equal(renderConsole(report), title + MIDDLE + change + END);
});

Deno.test("renderConsole() shows the score as stored first, and says what it was before", () => {
  const text = renderConsole(makeReport({ ...SMOOTH, stored_smoothness_score: 0.81 }));
  assert.ok(text.includes("\n  Smoothness: fair (score 0.8100, 1 violation)\n"), text);
  assert.ok(text.includes(
    "\n  Overall smoothness score: 0.8100\n  Before zero points were rounded: 0.9000\n",
  ));
});

Deno.test("renderConsole() praises no smoothness where there is one time group", () => {
  const single = makeReport({ num_time_groups: 1, boundary_scores: [], violation_count: 0 });
  const text = renderConsole(single);
  assert.ok(text.includes("\n  Smoothness: not scored (one time group has no boundary)\n"), text);
});

Deno.test("renderConsole() lists the layers by their share of the error when asked for details", () => {
  const layers = [
    makeLayer("a", { error_share: 0.25, sqnr_db: 20, source_bytes: 4000, output_bytes: 1000 }),
    makeLayer("b\n", { error_share: 0.75, sqnr_db: 3, source_bytes: 4000, output_bytes: 1000 }),
    makeLayer("c", { error_share: 0, sqnr_db: null, source_bytes: 100, output_bytes: 200 }),
  ];
  assert.ok(
    renderConsole(makeReport({ layers }), true).includes(`
Share of the Error, by Layer:
   75.0%    3.00 dB  broken        3.0 kB saved  b\\u{a}
   25.0%   20.00 dB  good          3.0 kB saved  a
    0.0%   no error  excellent        0 B saved  c

Common`),
  );
  const many = Array.from({ length: 25 }, (_, i) => makeLayer(`n${i}`, { error_share: 0.04 }));
  const text = renderConsole(makeReport({ layers: many }), true);
  assert.ok(text.includes("\n  and 5 more: the report lists all\n"));
  assert.ok(!renderConsole(makeReport({ layers })).includes("Share of the Error"));
});

Deno.test("renderConsole() shows n/a when there is no noise", () => {
  const report = inventPhase(makeReport({ sqnr_db: null }), SMOOTH);
  const text = renderConsole(report);
  assert.ok(text.startsWith(`${RULE}\nSMOOTH METRICS ESTABLISHED\n`));
  assert.ok(text.includes("\n  SQNR: n/a -> n/a (n/a)\n"));
});

Deno.test("compareWithPhaseBaseline() finds again what phase baseline came to", () => {
  const { baseline, comparison } = compareWithPhaseBaseline(OPTIMIZED)!;
  assert.deepEqual(baseline.layers, PLAIN.layers);
  assert.deepEqual(baseline.boundary_jumps, PLAIN.boundary_jumps);
  assert.deepEqual(baseline.violations, PLAIN.violations);
  assert.equal(baseline.phase, "baseline");
  assert.deepEqual(
    comparison.metrics.map(({ metric, baseline, current, direction }) => [
      metric,
      baseline,
      current,
      direction,
    ]),
    [
      ["smoothness_score", PLAIN.smoothness_score, OPTIMIZED.smoothness_score, "better"],
      ["violation_count", PLAIN.violation_count, 0, PLAIN.violation_count > 0 ? "better" : "same"],
      ["cosine_similarity", 0.71, OPTIMIZED.cosine_similarity, "better"],
      ["sqnr_db", 2.5, 5.5, "better"],
      ["model_size_mb", 0.48, 0.48, "same"],
    ],
  );
  assert.deepEqual(comparison.differing_settings, []);
  assert.deepEqual(comparison.boundaries.map(({ baseline }) => baseline), PLAIN.boundary_scores);
  assert.ok(comparison.layers.every(({ direction }) => direction === "better"));
  assert.equal(compareWithPhaseBaseline(PLAIN), undefined);
});

Deno.test("compareWithPhaseBaseline() takes a layer for new when the report keeps no baseline of it", () => {
  const [first, second, ...rest] = SMOOTHED.layers;
  const { baseline: _baseline, ...bare } = first!;
  const short = { ...second!, baseline: { ...second!.baseline!, scale: [1] } };
  const report = { ...SMOOTHED, layers: [bare, short, ...rest] };
  const { comparison } = compareWithPhaseBaseline(report)!;
  assert.deepEqual(comparison.new_layers, [bare.name, short.name]);
});

/** The embedded data of a page. */
function dataOf(page: string) {
  const [, text] = /<script type="application\/json" id="page-data">(.*?)<\/script>/s.exec(page)!;
  return JSON.parse(text!);
}

/** A page without its style, data and script. */
function markupOf(page: string): string {
  return page.replaceAll(/<(style|script)[^>]*>.*?<\/\1>/gs, "");
}

Deno.test("renderHtml() says nothing of another phase when the phase is baseline", async () => {
  const page = markupOf(await renderHtml(PLAIN));
  assert.doesNotMatch(
    page,
    /id="phase"|Against|class="moved|class="before|Markov weight|window \d/,
  );
  assert.ok(page.includes("<li>phase baseline</li>"));
  assert.deepEqual(dataOf(await renderHtml(PLAIN)).reports, ["This report"]);
});

Deno.test("renderHtml() shows the baseline beside the figures when the phase is another one", async () => {
  const page = await renderHtml(OPTIMIZED);
  const markup = markupOf(page);
  const score = PLAIN.smoothness_score.toFixed(4);
  for (
    const text of [
      "<li>phase optimize</li><li>Markov weight 0.1</li>",
      "<dt>Markov weight</dt><dd>0.1</dd>",
      "for the least error plus 0.1 times the jumps",
      '<a href="#phase">Phase</a>',
      "Against phase baseline, in the same run</h2>",
      '<span class="moved better">+0.04 better</span><span class="note">baseline 0.7100</span>',
      '<span class="moved better">+3 better</span><span class="note">baseline 2.50 dB</span>',
      '<span class="moved same">same</span><span class="note">baseline 480.0 kB</span>',
      "Better and worse: against phase baseline of the same run.",
      `phase baseline has ${score}`,
      `as this model with ${score}`,
      ">phase baseline expected 0.70 to 0.80</text>",
      "series-1&quot;></span>Phase baseline".replaceAll("&quot;", '"'),
      "--phase optimize --markov-weight 0.1",
    ]
  ) assert.ok(markup.includes(text), text);
  assert.doesNotMatch(markup, /Settings differ|no other --phase|Smoothing window/);
  const { reports, model, series, changes } = dataOf(page);
  assert.deepEqual(reports, ["This report", "Phase baseline"]);
  assert.deepEqual(model[1], JSON.parse(JSON.stringify(modelSeries(PLAIN))));
  assert.deepEqual(series[1], dataOf(await renderHtml(PLAIN)).series[0]);
  assert.deepEqual([...new Set(changes.direction)], ["better"]);
});

Deno.test("renderHtml() draws how parameters move when they were smoothed", async () => {
  const page = await renderHtml(SMOOTHED);
  const markup = markupOf(page);
  for (
    const text of [
      "<li>phase smooth</li><li>window 3, cubic</li>",
      "<dt>Smoothing window</dt><dd>3 steps on each side of a boundary</dd>",
      "<dt>Smoothing method</dt><dd>cubic</dd>",
      "Along a cubic curve the parameters move from group to group over up to 3 steps",
      '<span class="moved worse">-0.05 worse</span>',
    ]
  ) assert.ok(markup.includes(text), text);
  // 64 rows in 8 groups: 3 of the 8 rows of a group on each side of a boundary.
  const { model, series } = dataOf(page);
  assert.deepEqual(series[0][0][7], Array(7).fill(0.375));
  assert.deepEqual(model[0][7], Array(7).fill(0.375));
  assert.deepEqual([series[1][0][7], model[1][7]], [[], []]);
});

Deno.test("renderHtml() keeps phase baseline apart from the baseline of a comparison", async () => {
  const stored = inventPhase(inventReport({ names: layerNames(12), seed: 2 }), OPTIMIZE);
  const comparison = compareReports(stored, OPTIMIZED);
  const page = await renderHtml(OPTIMIZED, { comparison });
  const markup = markupOf(page);
  const [own, other] = [
    "Against phase baseline, in the same run</h2>",
    "Against the baseline</h2>",
  ];
  assert.ok(markup.indexOf(own!) > 0 && markup.indexOf(own!) < markup.indexOf(other!));
  assert.ok(markup.includes("Better and worse: against the baseline."));
  assert.deepEqual(dataOf(page).reports, ["This report", "Phase baseline"]);
  const score = comparison.layers[0]!.metrics[0]!.difference!;
  assert.equal(dataOf(page).changes.score[0], Number(score.toFixed(4)));
});

Deno.test("renderComparisonHtml() names the phases when they differ", async () => {
  const reports = [PLAIN, SMOOTHED, OPTIMIZED];
  const comparisons = [SMOOTHED, OPTIMIZED].map((report) => compareReports(PLAIN, report));
  const page = await renderComparisonHtml(reports, comparisons);
  assert.deepEqual(dataOf(page).reports, [
    "Report 2, phase optimize",
    "Baseline, phase baseline",
    "Report 1, phase smooth",
  ]);
  const markup = markupOf(page);
  assert.match(markup, /<th scope="row">Phase<\/th><td class="numeric">baseline<\/td>/);
  assert.ok(markup.includes('<th scope="col" class="numeric">Report 1, phase smooth</th>'));
});

Deno.test("renderHtml() stays below 4 MB when there are 10,000 layers of another phase", async () => {
  const large = inventPhase(inventReport({ names: layerNames(10_000) }), SMOOTH);
  const page = await renderHtml(large);
  assert.ok(page.length < 4_000_000, `${page.length} bytes`);
});

const PICTURES = {
  title: "Digits <drawn>",
  text: 'Drawn by the "model".',
  rows: [
    { label: "<unquantized>", svg: '<svg role="img" aria-label="a"></svg>', note: "95 % & more" },
    { label: "INT2", svg: '<svg role="img" aria-label="b"></svg>', note: "12 dB" },
  ],
  table: { headings: ["Run", "Score<"], rows: [["INT2", "0.95"], ["<b>", "</td>"]] },
  credit: "Digits: UCI, <CC BY 4.0>",
};

Deno.test("renderHtml() shows pictures, their figures and a credit when it is given some", async () => {
  const page = markupOf(await renderHtml(PLAIN, { pictures: PICTURES }));
  for (
    const text of [
      '<a href="#pictures">Pictures</a>',
      '<h2 id="pictures-title">Digits &lt;drawn&gt;</h2>',
      "<p>Drawn by the &quot;model&quot;.</p>",
      '<figcaption><b>&lt;unquantized&gt;</b> <span class="note">95 % &amp; more</span></figcaption>' +
      '<svg role="img" aria-label="a"></svg></figure>',
      '<th scope="col">Run</th><th scope="col" class="numeric">Score&lt;</th>',
      '<tr><th scope="row">INT2</th><td class="numeric">0.95</td></tr>',
      '<tr><th scope="row">&lt;b&gt;</th><td class="numeric">&lt;/td&gt;</td></tr>',
      '<p class="note">Digits: UCI, &lt;CC BY 4.0&gt;</p>',
    ]
  ) assert.ok(page.includes(text), text);
  const { title, rows } = PICTURES;
  const bare = markupOf(await renderHtml(PLAIN, { pictures: { title, rows } }));
  const [section] = /<section id="pictures"[\s\S]*?<\/section>/.exec(bare)!;
  assert.doesNotMatch(section, /<table|<p/);
  assert.doesNotMatch(markupOf(await renderHtml(PLAIN)), /pictures/);
});

Deno.test("renderSummary() shows what the phase changed when it is not baseline", async () => {
  const text = await renderSummary(OPTIMIZED);
  assert.match(
    text,
    /^`tiny-dit`: INT2, 8 time groups, phase optimize, Markov weight 0.1, 12 layers$/m,
  );
  assert.ok(
    text.includes("\n### Against phase baseline, in the same run\n\n| Figure | Phase baseline |"),
  );
  assert.match(text, /^\| Smoothness score \| 0\.\d+ \| 0\.\d+ \| \+0\.\d+ \| \u2713 better \|$/m);
  assert.match(text, /^\| SQNR of the weights, dB \| 2.5 \| 5.5 \| \+3 \| \u2713 better \|$/m);
  assert.match(text, /^\| Model size, MB \| 0.48 \| 0.48 \| 0 \| same \|$/m);
  const stored = compareReports(OPTIMIZED, OPTIMIZED);
  const both = await renderSummary(OPTIMIZED, { comparison: stored, findings: [] });
  assert.match(both, /### Against phase baseline[\s\S]*### Changed figures\n\nNone: /);
  assert.doesNotMatch(await renderSummary(PLAIN), /Against/);
});

Deno.test("repeatArguments() gives the phase and its settings when they are parsed again", async () => {
  const both: PhaseSettings = { ...OPTIMIZE, smoothing_window: 7, smoothing_method: "sigmoid" };
  for (const phase of [SMOOTH, OPTIMIZE, both]) {
    const { settings } = await parseArgs(repeatArguments({ ...PLAIN, ...phase }));
    assert.deepEqual(
      [settings.phase, settings.smoothingWindow ?? null, settings.smoothingMethod],
      [phase.phase, phase.smoothing_window, phase.smoothing_method ?? "linear"],
      listPhase(phase).join(", "),
    );
    assert.equal(settings.markovWeight, phase.markov_weight ?? undefined);
  }
  const heavy = repeatArguments({ ...PLAIN, ...OPTIMIZE, markov_weight: 2.5 });
  assert.equal((await parseArgs(heavy)).settings.markovWeight, 2.5);
  assert.ok(!repeatArguments(PLAIN).includes("--phase"));
});

// Granularity, columns of a block in the report, and the flags and settings that say so again.
const REPEATED: [Report["granularity"], number | null, string[], number | "row" | undefined][] = [
  ["row", 128, [], undefined],
  ["row", 32, ["--group-size", "32"], 32],
  ["row", null, ["--group-size", "row"], "row"],
  ["slice", null, ["--granularity", "slice"], undefined],
  ["slice", 32, ["--granularity", "slice", "--group-size", "32"], 32],
  ["slice", 128, ["--granularity", "slice", "--group-size", "128"], 128],
];

for (const [granularity, group_size, flags, groupSize] of REPEATED) {
  Deno.test(`repeatArguments() gives blocks of ${group_size} by ${granularity}s when they are parsed again`, async () => {
    const argv = repeatArguments({ ...PLAIN, granularity, group_size });
    const first = argv.indexOf("--num-time-groups") + 2;
    assert.deepEqual(argv.slice(first, argv.indexOf("--smoothness-threshold")), flags);
    const { settings } = await parseArgs(argv);
    assert.deepEqual([settings.granularity, settings.groupSize], [granularity, groupSize]);
  });
}

Deno.test("repeatArguments() gives format, symmetric parameters, modulation and components when they are parsed again", async () => {
  const [component] = [{ ...makeReport(), name: "transformer_2", layer_count: 2 }];
  const report: Report = {
    ...PLAIN,
    granularity: "row",
    format: "sdnq",
    bit_width: 8,
    symmetric: true,
    modulation: "keep",
    group_size: 64,
    components: [component, { ...component, name: "-unet" }],
  };
  const { settings } = await parseArgs(repeatArguments(report));
  assert.deepEqual(
    [settings.format, settings.symmetric, settings.modulation, settings.components],
    ["sdnq", true, "keep", ["transformer_2", "-unet"]],
  );
  const plain = repeatArguments(PLAIN);
  for (const flag of ["--format", "--symmetric", "--modulation", "--component"]) {
    assert.ok(!plain.some((one) => one.startsWith(flag)), flag);
  }
});

// Format, width, columns of a block in the report, and the block size as it is given again.
const USUAL_SIZES: [Report["format"], Report["bit_width"], number | null, string | undefined][] = [
  ["gguf", 2, 256, undefined],
  ["gguf", 4, 32, undefined],
  ["gguf", 4, 256, "256"],
  ["gguf", 4, null, "row"],
  ["comfy", 8, null, undefined],
  ["comfy", 4, 128, undefined],
  ["comfy", 4, null, "row"],
];

for (const [format, bit_width, group_size, expected] of USUAL_SIZES) {
  Deno.test(`repeatArguments() says ${expected} of blocks of ${group_size} at ${bit_width} bits of ${format}`, () => {
    const argv = repeatArguments({ ...PLAIN, granularity: "row", format, bit_width, group_size });
    const at = argv.indexOf("--group-size");
    assert.equal(at < 0 ? undefined : argv[at + 1], expected);
  });
}

Deno.test("compareWithPhaseBaseline() measures jumps by the width of each layer", () => {
  const wide = {
    ...OPTIMIZED,
    layers: OPTIMIZED.layers.map((one) => ({ ...one, bits: 8 as const })),
  };
  const jumpsOf = (report: Report) =>
    compareWithPhaseBaseline(report)!.baseline.layers[0]!.boundary_jumps;
  const [narrow, broad] = [jumpsOf(OPTIMIZED), jumpsOf(wide)];
  assert.ok(narrow.some(({ zero_point_jump }) => zero_point_jump > 0));
  for (const [b, { zero_point_jump }] of narrow.entries()) {
    assert.ok(Math.abs(broad[b]!.zero_point_jump - zero_point_jump * 3 / 255) < 1e-12);
  }
});

Deno.test("modelSeries() takes scales and zero points from the layers of the run's width", () => {
  const [first, ...rest] = PLAIN.layers;
  const other = { ...first!, bits: 8 as const, scale: first!.scale.map((scale) => 1000 * scale) };
  const [scales] = modelSeries({ ...PLAIN, layers: [other, ...rest] })!;
  assert.deepEqual(scales, modelSeries({ ...PLAIN, layers: rest })![0]);
  // Where there is none of it, from what there is.
  const all = [other].map((layer) => ({ ...layer }));
  const expected = other.scale.map((scale) => Number(scale.toPrecision(4)));
  assert.deepEqual(modelSeries({ ...PLAIN, layers: all })![0], expected);
});
