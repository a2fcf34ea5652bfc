/** What a page carries of its layers, what its figures mean, and its JSON. */

import assert from "node:assert/strict";
import { renderHtml } from "../lib/render/render_html.ts";
import { modelSeries, poolLists } from "../lib/render/html_series.ts";
import { judgeLayer } from "../lib/report/judge_quality.ts";
import { placeOn, planAxis, planLogAxis } from "../templates/client/damage_axis.js";
import { damageOf, rankLayers } from "../templates/client/damage.js";
import { linkTo, readLink } from "../templates/client/deep_link.js";
import { packHistogram, unpackHistogram, unpackSeries } from "../templates/client/page_data.js";
import { HOSTILE_NAMES, inventReport, layerNames } from "./invent_report.ts";
import { formatReport } from "./make_report.ts";

const PLAIN = inventReport({ names: layerNames(12) });

/** The embedded data of a page. */
function dataOf(page: string) {
  const [, text] = /<script type="application\/json" id="page-data">(.*?)<\/script>/s.exec(page)!;
  return JSON.parse(text!);
}

/** The JSON that a page carries of its report; `undefined`: none. */
function jsonOf(page: string): string | undefined {
  const [, text] =
    /<script type="application\/json" id="report-json">(.*?)<\/script>/s.exec(page) ?? [];
  return text === undefined ? undefined : JSON.parse(text);
}

Deno.test("packHistogram() keeps the square root of each bin's share to a 63rd", () => {
  const counts = [0, 1, 100, 2_500, 10_000, 5_000];
  const packed = packHistogram(counts);
  assert.equal(packed, "ABGg_t");
  const heights = unpackHistogram(packed);
  assert.deepEqual(heights.slice(0, 2), [0, 1 / 63]);
  for (const [i, count] of counts.entries()) {
    if (count > 1) assert.ok(Math.abs(heights[i]! - Math.sqrt(count / 10_000)) <= 0.5 / 63);
  }
  assert.equal(packHistogram(Array(64).fill(0)), "A".repeat(64));
});

Deno.test("renderHtml() carries of each layer its share, grade, bytes, shape and histogram", async () => {
  const wide = { ...PLAIN.layers[2]!, bits: 8 as const, dtype: "F16", sqnr_db: 40 };
  const { error_share: _, weight_histogram: __, ...older } = PLAIN.layers[3]!;
  const layers = [...PLAIN.layers.slice(0, 2), wide, older, ...PLAIN.layers.slice(4)];
  const data = dataOf(await renderHtml({ ...PLAIN, layers }));
  assert.deepEqual(data.grades, ["excellent", "good", "fair", "poor", "broken"]);
  assert.equal(data.layers.grade, "400444444444");
  assert.equal(
    data.layers.grade,
    layers.map((layer) => data.grades.indexOf(judgeLayer(layer).grade)).join(""),
  );
  assert.equal(data.layers.share[0], Number(PLAIN.layers[0]!.error_share!.toPrecision(4)));
  assert.deepEqual([data.layers.share[1], data.layers.share[3]], [0, null]);
  assert.equal(data.layers.codes[0], packHistogram(PLAIN.layers[0]!.weight_histogram!));
  assert.equal(data.layers.codes[3], null);
  assert.deepEqual([data.layers.source[0], data.layers.bytes[0]], [16_384, 2_200]);
  assert.deepEqual(data.layers.dtypes, ["BF16", "F16"]);
  assert.deepEqual(data.layers.dtype.slice(0, 4), [0, 0, 1, 0]);
  // From 1 before the first code of 2 bits to 1 behind the last, in 64 bins.
  assert.deepEqual(data.codes[2], { from: -1, width: 5 / 64 });
  assert.deepEqual(data.codes[8], { from: -32.5, width: 320 / 64 });
  const bare = dataOf(await renderHtml({ ...PLAIN, layers: [older] }));
  assert.equal(bare.layers.share, null);
});

Deno.test("unpackSeries() gives what a report has of a layer over its time groups", async () => {
  const data = dataOf(await renderHtml(PLAIN));
  const [layer] = PLAIN.layers;
  const series = unpackSeries(data, data.series[0][0])!;
  assert.deepEqual(series.rows, layer!.boundaries);
  assert.deepEqual(series.scale, layer!.scale.map((value) => Number(value.toPrecision(4))));
  assert.deepEqual(series.zero, layer!.zero_point);
  for (const [b, { scale_jump, zero_point_jump }] of layer!.boundary_jumps.entries()) {
    assert.ok(Math.abs(series.jump[b]! - scale_jump) <= 0.0005);
    assert.ok(Math.abs(series.zeroJump[b]! - zero_point_jump) <= 0.0005);
    assert.ok(Math.abs(series.score[b]! - layer!.boundary_scores[b]!) <= 0.00005);
  }
  assert.equal(series.severity, severityOf(0));
  assert.match(series.severity, /^h/);
  assert.deepEqual(unpackSeries(data, modelSeries(PLAIN))!.rows, []);
  assert.equal(unpackSeries(data, null), null);
  // Alike in all layers, so there once.
  assert.equal(data.rows.length, 1);
});

/** Letters of the severities at the boundaries of a layer; empty: it has no violation. */
function severityOf(index: number): string {
  const { violations, boundary_scores } = PLAIN.layers[index]!;
  if (violations.length === 0) return "";
  return boundary_scores.map((_, b) =>
    violations.find(({ boundary_idx }) => boundary_idx === b)?.severity[0] ?? "-"
  ).join("");
}

Deno.test("poolLists() keeps each list once", () => {
  const pool = poolLists();
  assert.deepEqual([[0, 8], [0, 9], [0, 8]].map(pool.placeOf), [0, 1, 0]);
  assert.deepEqual(pool.lists, [[0, 8], [0, 9]]);
});

Deno.test("a link leads to the layer that it was made of, whatever its name", () => {
  for (const name of HOSTILE_NAMES.filter((name) => name.isWellFormed())) {
    const link = linkTo(name);
    assert.match(link, /^#layer=[\w.!~*'()%-]*$/);
    assert.equal(readLink(link), name);
  }
  assert.equal(readLink("#layer=%zz"), "%zz");
  assert.deepEqual([readLink(""), readLink("#layers"), readLink("#layer")], [null, null, null]);
});

Deno.test("rankLayers() puts the largest share first, or without shares the lowest SQNR", () => {
  const shares = { isShare: true, label: "", values: [0.1, null, 0.7, 0] };
  assert.deepEqual(rankLayers([0, 1, 2, 3], shares), [2, 0, 3, 1]);
  const decibels = { isShare: false, label: "", values: [10, null, -3, 4] };
  assert.deepEqual(rankLayers([0, 1, 2, 3], decibels), [2, 3, 0, 1]);
  assert.deepEqual(rankLayers([3, 0], decibels), [3, 0]);
  const layers = { share: null, sqnr: [5, null], output: [null, 7] };
  assert.deepEqual(damageOf(layers as unknown as Parameters<typeof damageOf>[0]).values, [5, 7]);
});

Deno.test("planLogAxis() spans its values, at most six powers of ten", () => {
  assert.deepEqual(planLogAxis([0.02, 0.3, 0]), {
    from: 0.02,
    to: 0.5,
    ticks: [0.02, 0.05, 0.1, 0.2, 0.5],
    isLog: true,
  });
  assert.deepEqual(planLogAxis([5]).ticks, [2, 5]);
  assert.deepEqual(planLogAxis([1e-12, 1]).ticks, [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1]);
  assert.deepEqual(planLogAxis([2e-4, 1]).ticks, [1e-3, 0.01, 0.1, 1]);
  assert.deepEqual(planLogAxis([0, -4]).ticks, [0.1, 1]);
  const axis = planLogAxis([0.01, 1]);
  assert.deepEqual([-1, 0, 0.01, 0.1, 1, 7].map((value) => placeOn(axis, value)), [
    0,
    0,
    0,
    0.5,
    1,
    1,
  ]);
});

Deno.test("planAxis() begins at 0, or at a number below the least", () => {
  assert.deepEqual(planAxis([0.17, 0.02]), {
    from: 0,
    to: 0.2,
    ticks: [0, 0.1, 0.2],
    isLog: false,
  });
  const below = planAxis([-3, 12]);
  assert.deepEqual(below.ticks, [-3, 0, 7.5, 15]);
  assert.equal(placeOn(below, 6), 0.5);
  assert.deepEqual(planAxis([]).ticks, [0, 0.5, 1]);
});

Deno.test("renderHtml() carries the JSON of its report to the byte, and above 1 MB names its file", async () => {
  const hostile = inventReport({ names: HOSTILE_NAMES });
  for (const report of [PLAIN, hostile]) {
    const page = await renderHtml(report);
    assert.equal(jsonOf(page), formatReport(report));
    assert.ok(page.includes('id="json-copy"') && page.includes('id="json-download"'));
  }
  const named = await renderHtml({ ...PLAIN, model_name: '../a b"<c>' });
  assert.ok(named.includes('data-name="..-a-b-c--report.json"'));
  const large = inventReport({ names: layerNames(700) });
  const bytes = new TextEncoder().encode(formatReport(large)).length;
  assert.ok(bytes > 1_000_000);
  const page = await renderHtml(large);
  assert.equal(jsonOf(page), undefined);
  assert.doesNotMatch(page, /id="json-(copy|download)"/);
  assert.ok(
    page.includes(`too long for its page (${(bytes / 1e6).toFixed(2)} MB): it is the file`),
  );
  const { layers } = large;
  const share = Math.floor(layers.length * 1_000_000 / bytes) - 1;
  const small = { ...large, layers: layers.slice(0, share) };
  assert.equal(jsonOf(await renderHtml(small)), formatReport(small));
});

Deno.test("renderHtml() says what figures mean, and which of it was measured", async () => {
  const page = await renderHtml(PLAIN);
  const section = /<section id="meaning".*?<\/section>/s.exec(page)![0];
  const rows = [...section.matchAll(/<tr[^>]*>(.*?)<\/tr>/gs)].map(([, cells]) =>
    [...cells!.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)].map(([, cell]) =>
      cell!.replaceAll(/<[^>]*>/g, "").replaceAll("&#39;", "'")
    )
  );
  assert.deepEqual(rows, [
    ["Grade", "SQNR of the weights", "SQNR of the outputs", "Seen"],
    ["excellent", "35 dB or more", "38 dB or more", "models like it do as the original does"],
    ["good", "18 dB or more", "22 dB or more", "models like it stay close to the original"],
    ["fair", "12 dB or more", "16 dB or more", "models like it hold, with other details"],
    ["poor", "7.5 dB or more", "12 dB or more", "models like it hold, much in them is other"],
    ["broken", "below 7.5 dB", "below 12 dB", "some models like it fall apart"],
    ["Score", "Reading", "What to do"],
    ["0.90 or more", "Excellent", "the phases smooth and optimize are optional"],
    ["0.82 or more", "Good", "the target of phase smooth"],
    ["0.65 or more", "Fair", "normal for INT2: go on with phase smooth"],
    ["below 0.65", "Poor", "run phase optimize, or with more time groups"],
    ["Violations", "Reading", "What to do"],
    ["0", "Perfect", "nothing to do"],
    ["1 to 3", "Normal", "nothing to do"],
    ["4 to 6", "Concerning", "more time groups"],
    ["7 or more", "Poor", "INT4, or phase optimize"],
    ["Score", "Violations", "What to do"],
    ["high", "few", "keep it"],
    ["high", "many", "few boundaries jump: look at them"],
    ["low", "few", "jumps everywhere below the threshold: run phase smooth"],
    ["low", "many", "run phase optimize, or give codes more bits"],
    ["Parameters", "Bit width", "Score", "Violations"],
    [
      `below 3 B, as this model with ${PLAIN.smoothness_score.toFixed(4)} and 0 violations`,
      "INT2",
      "0.70 to 0.80",
      "2 to 4",
    ],
    ["3 B to 10 B (Dream 7B)", "INT2", "0.65 to 0.78", "3 to 5"],
    ["3 B to 10 B (Dream 7B)", "INT4", "0.75 to 0.85", "1 to 3"],
    ["3 B to 10 B (Dream 7B)", "INT8", "0.85 to 0.95", "0 to 1"],
    ["above 10 B", "INT2", "0.60 to 0.75", "4 to 6"],
  ]);
  assert.ok(section.includes("read off what judges found of digits-dit and small-dlm"));
  assert.ok(section.includes("Nobody measured the values below"));
  assert.ok(section.indexOf("Nobody measured") > section.indexOf("some models like it fall apart"));
  assert.ok(!section.includes("None is known"));
  assert.ok((await renderHtml({ ...PLAIN, bit_width: 8 })).includes("None is known for this size"));
});

Deno.test("renderHtml() tells the violations of single layers beside those of their mean", async () => {
  const words = async (layers: typeof PLAIN.layers) => {
    const page = await renderHtml({ ...PLAIN, violation_count: 2, layers });
    return /<p><b>(Of the mean.*?)<\/p>/.exec(page)![1]!.replaceAll(/<[^>]*>/g, "");
  };
  const none = PLAIN.layers.map((layer) => ({ ...layer, violation_count: 0, violations: [] }));
  const one = none.with(1, { ...none[1]!, violation_count: 3 });
  const two = one.with(0, { ...none[0]!, violation_count: 1, smoothness_score: 0.5 });
  assert.equal(
    await words(none),
    "Of the mean of all layers: 2. Of single layers: 0; none of 12 layers has violations of its own.",
  );
  assert.equal(
    await words(one),
    "Of the mean of all layers: 2. Of single layers: 3; 1 of 12 layers has violations of its own: " +
      `${one[1]!.name}, score ${one[1]!.smoothness_score.toFixed(4)}.`,
  );
  assert.equal(
    await words(two),
    "Of the mean of all layers: 2. Of single layers: 4; 2 of 12 layers have violations of their own; " +
      `the roughest is ${two[0]!.name}, score 0.5000.`,
  );
});
