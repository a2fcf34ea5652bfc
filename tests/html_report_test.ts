/** The page as text: what is in it, and what must not be. */

import assert from "node:assert/strict";
import { labelOf } from "../lib/report/metrics.ts";
import { compareReports } from "../lib/compare/compare_reports.ts";
import { modelSeries } from "../lib/render/html_series.ts";
import { HEAT_STEPS } from "../lib/render/heat_steps.ts";
import { pageParts } from "../lib/render/html_page.ts";
import { renderComparisonHtml, renderHtml } from "../lib/render/render_html.ts";
import { repeatArguments, repeatCommand } from "../lib/render/repeat_command.ts";
import { parseArgs } from "../lib/cli/parse_args.ts";
import { HOSTILE_NAMES, inventCalibrated, inventReport, layerNames } from "./invent_report.ts";
import { formatCount } from "../templates/client/format.js";
import type { Report } from "../mod.ts";
import { dataOf, markupOf } from "./read_page.ts";

const PLAIN = inventReport({ names: layerNames(12) });

Deno.test("renderHtml() makes one page that asks for nothing else", async () => {
  const page = await renderHtml(PLAIN);
  assert.ok(page.startsWith('<!DOCTYPE html>\n<html lang="en">'));
  const markup = markupOf(page);
  for (const [, url] of markup.matchAll(/\s(?:src|href)="([^"]*)"/g)) {
    assert.match(url!, /^(#|data:)/);
  }
  assert.doesNotMatch(page, /@import|url\(|fetch\(|XMLHttp|WebSocket|^import /m);
  assert.doesNotMatch(markup, / style=| on\w+=/);
});

Deno.test("renderHtml() allows its own style and script by their hashes and nothing else", async () => {
  const page = await renderHtml(PLAIN);
  const [, policy] = /Content-Security-Policy" content="([^"]*)"/.exec(page)!;
  assert.match(policy!, /^default-src &#39;none&#39;; style-src &#39;sha256-/);
  assert.doesNotMatch(policy!, /unsafe|https?:|\*/);
  const { style, script } = await pageParts();
  assert.ok(page.includes(`<style>${style}</style>`));
  assert.ok(page.includes(`<script type="module">${script}</script>`));
});

Deno.test("renderHtml() gives the same bytes for the same report", async () => {
  assert.equal(await renderHtml(PLAIN), await renderHtml(structuredClone(PLAIN)));
});

Deno.test("renderHtml() takes the limits of scale and colors from the grades", async () => {
  const page = await renderHtml(PLAIN);
  const markup = markupOf(page);
  for (
    const text of [
      "on a scale of 0 to 1: poor below 0.65, fair below 0.82, good below 0.90, excellent from 0.90;",
      '<rect class="zone fair" x="65%" y="14" width="17%" height="8"/>',
      '<text class="middle" x="65%" y="38">0.65</text>',
      '<text class="end" x="82%" y="38">0.82</text>',
      '<text class="start" x="90%" y="38">0.90</text>',
    ]
  ) assert.ok(markup.includes(text), text);
  assert.deepEqual(HEAT_STEPS, [0.9, 0.82, 0.75, 0.65, 0.5, 0.3]);
  assert.deepEqual(dataOf(page).heat, HEAT_STEPS);
  // A color for each step, and one below the last.
  const { style } = await pageParts();
  const colors = new Set([...style.matchAll(/\.heat-(\d+)/g)].map(([, index]) => Number(index)));
  assert.deepEqual([...colors].sort(), [...HEAT_STEPS.keys(), HEAT_STEPS.length]);
  assert.doesNotMatch(markup, /class="[^"]*\bbaseline\b/);
});

Deno.test("renderHtml() shows score, cards, chart, ranges, skipped tensors and settings", async () => {
  const page = markupOf(await renderHtml(PLAIN));
  for (
    const text of [
      PLAIN.smoothness_score.toFixed(4),
      "Cosine similarity",
      "2.50 dB",
      "5.25x",
      "480.0 kB",
      'id="model-groups" class="groups" tabindex="0" role="slider" aria-label="Time group"',
      'aria-valuemin="0" aria-valuemax="7"',
      "not a matrix (rank 3) (1)",
      "<li>pos_embed</li>",
      "3 B to 10 B (Dream 7B)",
      "--num-time-groups 8",
      "runs of rows of the weight matrices",
      "the means over its rows and blocks",
    ]
  ) assert.ok(page.includes(text), text);
});

Deno.test("renderHtml() says how the checkpoint is stored", async () => {
  const row = (name: string, value: string) => new RegExp(`<dt>${name}</dt><dd>${value}</dd>`);
  const plain = markupOf(await renderHtml(PLAIN));
  assert.match(plain, row("Checkpoint format", "compressed-tensors"));
  assert.match(plain, row("Modulation layers", "8 bits"));
  assert.match(plain, row("Zero points", "chosen for each block"));
  assert.match(plain, row("Bits a weight, on disk", "3.84"));
  const gguf = { ...PLAIN, format: "gguf", symmetric: true, modulation: "keep" } as const;
  const page = markupOf(await renderHtml(gguf));
  assert.match(page, row("Checkpoint format", "gguf"));
  assert.match(page, row("Modulation layers", "left as they are"));
  assert.match(page, row("Zero points", "all the middle code"));
  assert.ok(plain.includes("1 tensor was copied byte for byte."));
  assert.ok(page.includes("1 tensor was written with the same values."));
  const all = markupOf(await renderHtml({ ...PLAIN, default_ignore: false, modulation: null }));
  assert.match(all, row("Modulation layers", "quantized like the others"));
});

// Granularity, columns of a block, and what the page says of them.
const BLOCKS: [Report["granularity"], number | null, string][] = [
  ["row", null, "a whole row"],
  ["row", 128, "128 columns of a row"],
  ["slice", null, "the whole slice of a time group"],
  ["slice", 32, "32 columns of the slice of a time group"],
];

for (const [granularity, group_size, text] of BLOCKS) {
  Deno.test(`renderHtml() says that a block is ${text}`, async () => {
    const page = markupOf(await renderHtml({ ...PLAIN, granularity, group_size }));
    assert.deepEqual(page.match(/<dt>Block<\/dt><dd>[^<]*<\/dd>/g), [
      `<dt>Block</dt><dd>${text}</dd>`,
    ]);
  });
}

Deno.test("renderHtml() keeps hostile names text when layers, tensors and settings have them", async () => {
  const hostile = inventReport({ names: HOSTILE_NAMES });
  const plain = inventReport({ names: layerNames(HOSTILE_NAMES.length) });
  const page = await renderHtml({
    ...hostile,
    model_name: HOSTILE_NAMES[0]!,
    tool_version: HOSTILE_NAMES[3]!,
    ignore: HOSTILE_NAMES,
    skipped: HOSTILE_NAMES.map((name) => ({ name, reason: name })),
  });
  const safe = await renderHtml({ ...plain, ignore: ["x"] });
  // No name adds an element but those that list it.
  const tags = (text: string) => new Set([...text.matchAll(/<(\w+)/g)].map(([, tag]) => tag));
  assert.deepEqual([...tags(markupOf(page))].sort(), [...tags(markupOf(safe))].sort());
  assert.equal(page.match(/<script/g)!.length, safe.match(/<script/g)!.length);
  // deno-lint-ignore no-control-regex -- they are what must not be there
  assert.doesNotMatch(page, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\u2066]|alert\(1\)<\/script>/);
  // The JSON has the names as they are: with them its reader can look for them.
  const rest = page.replace(/<script type="application\/json" id="report-json">.*?<\/script>/s, "");
  assert.ok(rest.length < 250_000, `${rest.length} characters`);
  const { layers } = dataOf(page);
  assert.equal(layers.name[0], HOSTILE_NAMES[0]);
  assert.equal(layers.name[4], "ansi\\u{1b}[31m\\u{9b}2J");
  assert.equal(layers.name[7], "__proto__");
  assert.ok(layers.name.at(-1)!.length < 300);
});

Deno.test("renderHtml() stays below 4 MB when there are 10,000 layers", async () => {
  const large = inventReport({ names: layerNames(10_000) });
  const page = await renderHtml(large);
  assert.ok(page.length < 4_000_000, `${page.length} bytes`);
  const { layers, series: [own] } = dataOf(page);
  assert.equal(layers.name.length, 10_000);
  assert.equal(own!.filter((one) => one === null).length, 0);
  const comparison = compareReports(inventReport({ names: layerNames(10_000), seed: 1 }), large);
  const compared = await renderHtml(large, { comparison, others: [large] });
  assert.ok(compared.length < 4_000_000, `${compared.length} bytes`);
  const { series } = dataOf(compared);
  const kept: number[] = large.layers.flatMap(({ smoothness_score: score }, i) =>
    series[0]![i] === null ? [] : [score]
  );
  const left: number[] = large.layers.flatMap(({ smoothness_score: score }, i) =>
    series[0]![i] === null ? [score] : []
  );
  assert.ok(kept.length > 3_000 && left.length > 0, `${kept.length} layers`);
  assert.deepEqual(
    series[1]!.map((one) => one === null),
    series[0]!.map((one) => one === null),
  );
  const most = (scores: number[]) => scores.reduce((a, b) => Math.max(a, b));
  assert.ok(most(kept) <= left.reduce((a, b) => Math.min(a, b)));
  const count = formatCount(kept.length);
  assert.ok(compared.includes(`parameters of the ${count} roughest layers`), count);
});

Deno.test("renderHtml() leaves a boundary out of the chart when there is one time group or no layer", async () => {
  const one = await renderHtml(inventReport({ names: layerNames(3), groups: 1 }));
  assert.ok(one.includes("One time group: there is no boundary"));
  assert.ok(!markupOf(one).includes('id="heat-map"'));
  const none = await renderHtml({ ...PLAIN, layers: [] });
  assert.ok(none.includes("No layer was quantized"));
  assert.equal(modelSeries({ ...PLAIN, layers: [] }), null);
});

Deno.test("renderHtml() shows every figure with its direction when it is given a comparison", async () => {
  const names = layerNames(12);
  const before = inventReport({ names: ["old", ...names.slice(0, 10)], seed: 1 });
  const comparison = compareReports(before, PLAIN);
  const page = markupOf(await renderHtml(PLAIN, { comparison }));
  assert.ok(page.includes("Vanished layers (1)"));
  assert.ok(page.includes("New layers (2)"));
  for (const { metric, direction } of comparison.metrics) {
    assert.match(page, new RegExp(`${labelOf(metric)}</th>.*class="change ${direction}">`));
  }
});

Deno.test("renderComparisonHtml() overlays reports and names those that have other time groups", async () => {
  const names = layerNames(6);
  const [baseline, between, current] = [1, 2, 3].map((seed) => inventReport({ names, seed }));
  const other = inventReport({ names, groups: 4 });
  const reports = [baseline!, between!, other, current!];
  const comparisons = reports.slice(1).map((report) => compareReports(baseline!, report));
  const page = await renderComparisonHtml(reports, comparisons);
  assert.deepEqual(dataOf(page).reports, ["Report 3", "Baseline", "Report 1"]);
  assert.ok(page.includes("Not drawn: Report 2 (4 time groups)."));
  assert.match(markupOf(page), /<span class="key series-2"><\/span>Report 1</);
});

Deno.test("repeatArguments() gives the settings of the run when they are parsed again", async () => {
  const report = { ...PLAIN, group_size: 32, ignore: ["-a*", "it's"], default_ignore: false };
  const { settings, model, output } = await parseArgs(repeatArguments(report));
  assert.deepEqual([model, output], ["tiny-dit", "tiny-dit-int2"]);
  assert.deepEqual({ ...settings }, {
    ...settings,
    bits: 2,
    timeGroups: 8,
    granularity: "slice",
    groupSize: 32,
    threshold: 0.3,
    ignore: ["-a*", "it's"],
    defaultIgnore: false,
    backend: "wasm",
  });
});

Deno.test("repeatCommand() is one line that a shell reads as the same arguments", async () => {
  const ignore = HOSTILE_NAMES.filter((name) => name.isWellFormed());
  const report = { ...PLAIN, model_name: "-- $(id) `id` \\", ignore };
  const command = repeatCommand(report);
  // deno-lint-ignore no-control-regex -- they are what must not be there
  assert.doesNotMatch(command, /[\x00-\x1f\x7f-\x9f\u2028\u202e]/);
  const script = command.replace(/^.* cli\.ts /, "printf '%s\\0' ");
  const { stdout } = await new Deno.Command("bash", {
    args: ["-c", script],
    env: { LC_ALL: "C.UTF-8" },
  }).output();
  assert.deepEqual(
    new TextDecoder().decode(stdout).split("\0").slice(0, -1),
    repeatArguments(report),
  );
});

Deno.test("renderHtml() says of a calibrated run what its outputs come to and how inputs drift", async () => {
  const page = markupOf(await renderHtml(inventCalibrated(PLAIN)));
  for (
    const text of [
      '<a href="#calibration">Inputs</a>',
      "Calibration: 100 timesteps, rank 64, weights snr. The errors of 11 layers were compensated, " +
      "not those of 1 other layer.",
      '<b>attn.qkv</b><br><span class="note">range 3.2x, RMS 1.0x, 4 layers</span>',
      'aria-label="mlp.fc2, inputs over time: range 3.2x, 4 layers"',
      '<span class="label">Output SQNR</span>',
      '<span class="value">17.54 dB</span>',
      "of the weights, lower when compensated",
      "<dt>Calibration</dt><dd>100 timesteps, rank 64, weights snr</dd>",
      "the calibration steers how weights are rounded, not the groups",
      "--calibration calibration.safetensors --timestep-weights snr",
      "that of the calibration after <code>--calibration</code>",
    ]
  ) assert.ok(page.includes(text), text);
  const { drift } = dataOf(await renderHtml(inventCalibrated(PLAIN)));
  assert.deepEqual([drift!.timesteps[0], drift!.timesteps.length], [10, 50]);
  const [first, second] = drift!.kinds;
  const { range } = first!;
  assert.deepEqual([range![0], range![1], range![49]], [0.5, 0.52, 1.5]);
  assert.deepEqual([first!.rms, second!.rms], [Array(50).fill(1), null]);
  const plain = markupOf(await renderHtml(PLAIN));
  for (const text of ["Output SQNR", 'id="calibration"', "<dt>Calibration</dt>"]) {
    assert.ok(!plain.includes(text), text);
  }
  assert.equal(dataOf(await renderHtml(PLAIN)).layers.output, null);
  assert.equal(dataOf(await renderHtml(PLAIN)).drift, null);
  const { output } = dataOf(await renderHtml(inventCalibrated(PLAIN))).layers;
  assert.deepEqual(output!.slice(0, 3), [null, 19.88, 19.75]);
});

Deno.test("renderHtml() draws nothing of a calibration without times, and keeps hostile kinds as text", async () => {
  const { calibration, ...rest } = inventCalibrated(PLAIN);
  const { drift: _, ...timeless } = calibration!;
  const page = markupOf(await renderHtml({ ...rest, calibration: timeless }));
  assert.ok(page.includes("The file has nothing by timestep, so there is nothing to draw."));
  const { drift } = calibration!;
  for (
    const timesteps of [[], [1], drift!.timesteps.toReversed(), drift!.timesteps.map(() => 5)]
  ) {
    const strange = { ...calibration!, drift: { ...drift!, timesteps } };
    const page = markupOf(await renderHtml({ ...rest, calibration: strange }));
    assert.ok(page.includes("there is nothing to draw"), String(timesteps));
    assert.equal(dataOf(await renderHtml({ ...rest, calibration: strange })).drift, null);
  }
  const hostile = markupOf(await renderHtml(inventCalibrated(PLAIN, HOSTILE_NAMES)));
  assert.doesNotMatch(hostile, /<script>alert|<img|<b onmouseover/);
  // deno-lint-ignore no-control-regex -- they are what must not be there
  assert.doesNotMatch(hostile, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\u2066]/);
});

Deno.test("repeatArguments() gives a calibration, by a name in place of its path, and how its timesteps weigh", async () => {
  const phase = { phase: "optimize", markov_weight: 0 } as const;
  const report = { ...inventCalibrated(PLAIN), ...phase };
  const { settings } = await parseArgs(repeatArguments(report));
  assert.equal(settings.calibration, "calibration.safetensors");
  assert.equal(settings.timestepWeights, "snr");
  const recorded = { ...report.calibration!, weights: "recorded" as const };
  const again = await parseArgs(repeatArguments({ ...report, calibration: recorded }));
  assert.equal(again.settings.timestepWeights, undefined);
  assert.ok(!repeatArguments(PLAIN).includes("--calibration"));
});
