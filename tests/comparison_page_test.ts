/** The page of many reports beside a baseline: their names, figures, settings and layers. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { compareReports } from "../lib/compare/compare_reports.ts";
import { viewLayers } from "../lib/render/html_compared_layers.ts";
import { nameFiles, nameReports } from "../lib/render/name_reports.ts";
import { nameSetting } from "../lib/render/name_setting.ts";
import { renderComparisonHtml, renderHtml } from "../lib/render/render_html.ts";
import { formatBaseline, type LayerReport, parseFigures, type Report } from "../mod.ts";
import { namesIn } from "./directories.ts";
import { HOSTILE_NAMES, inventReport, layerNames, SMOOTH } from "./invent_report.ts";
import { withFiles } from "./make_model.ts";
import { formatReport, makeLayer, makeReport } from "./make_report.ts";
import { runMain } from "./run_cli.ts";

/** A page without its style, data and script: the markup a reader sees. */
function markupOf(page: string): string {
  return page.replaceAll(/<(style|script)[^>]*>.*?<\/\1>/gs, "");
}

/** Names of the curves, as the page's script has them. */
function curvesOf(page: string): string[] {
  const [, text] = /<script type="application\/json" id="page-data">(.*?)<\/script>/s.exec(page)!;
  return JSON.parse(text!).reports;
}

/** Texts of the rows of a table, by what its region is called; parts of a cell are joined by "|". */
function rowsOf(page: string, region: string): string[][] {
  const markup = markupOf(page);
  const from = markup.indexOf(`aria-label="${region}`);
  assert.ok(from > 0, region);
  const table = markup.slice(from, markup.indexOf("</table>", from));
  return [...table.matchAll(/<tr>(.*?)<\/tr>/g)].map(([, row]) =>
    [...row!.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/g)].map(([, cell]) =>
      cell!.replaceAll("</span>", "").replaceAll(/<[^>]*>/g, "|")
    )
  );
}

/** The page of reports beside the first one. */
function renderAll(reports: Report[], currents?: string[]): Promise<string> {
  const [baseline] = reports;
  return renderComparisonHtml(
    reports,
    reports.slice(1).map((report) => compareReports(baseline!, report)),
    currents === undefined ? {} : { labels: { baseline: "base.json", currents } },
  );
}

const BASE = makeReport({ sqnr_db: 20 });

// Paths, and what the files are called.
const FILES: [string[], string[]][] = [
  [["base.json", "a.json"], ["base.json", "a.json"]],
  [["/runs/a/report.json", "/runs/b/report.json"], ["a/report.json", "b/report.json"]],
  [["x/a/r.json", "y/a/r.json", "y/b/r.json"], ["x/a/r.json", "y/a/r.json", "b/r.json"]],
  [["r.json", "a/r.json"], ["r.json", "a/r.json"]],
  [["r.json", "/r.json"], ["r.json", "/r.json"]],
  [["./r.json", "r.json"], ["./r.json", "r.json"]],
  [["a/r.json", "a/r.json", "b/r.json"], ["a/r.json", "a/r.json", "b/r.json"]],
  [["xr.json", "r.json"], ["xr.json", "r.json"]],
  [["x/r.json", "ar.json"], ["r.json", "ar.json"]],
  [["a/"], ["a/"]],
];

for (const [files, names] of FILES) {
  Deno.test(`nameFiles() calls ${files.join(" ")} by ${names.join(" ")}`, () => {
    assert.deepEqual(nameFiles(files), names);
  });
}

Deno.test("nameReports() numbers reports that are given no label or the same one", () => {
  const two = [compareReports(BASE, BASE), compareReports(BASE, BASE)];
  assert.deepEqual(nameReports(two, undefined), {
    baseline: "Baseline",
    currents: ["Report 1", "Report 2"],
  });
  assert.deepEqual(nameReports(two, { baseline: "r", currents: ["r", "r"] }), {
    baseline: "Baseline: r",
    currents: ["r (1)", "r (2)"],
  });
});

Deno.test("nameReports() adds the phase of each report where phases differ", () => {
  const smooth = makeReport(SMOOTH);
  const all = [BASE, smooth].map((report) => compareReports(smooth, report));
  assert.deepEqual(nameReports(all, { baseline: "s", currents: ["a", "b"] }), {
    baseline: "Baseline: s, phase smooth",
    currents: ["a, phase baseline", "b, phase smooth"],
  });
  assert.deepEqual(nameReports(all.slice(1), { baseline: "s", currents: ["b"] }), {
    baseline: "Baseline: s",
    currents: ["b"],
  });
});

Deno.test("nameReports() shows the end of a long label", () => {
  const label = `${"x".repeat(60)}/r.json`;
  const { currents } = nameReports([compareReports(BASE, BASE)], {
    baseline: "b",
    currents: [label],
  });
  assert.deepEqual(currents, [`…${"x".repeat(52)}/r.json`]);
  const whole = "y".repeat(60);
  assert.deepEqual(
    nameReports([compareReports(BASE, BASE)], { baseline: "b", currents: [whole] }).currents,
    [whole],
  );
});

Deno.test("renderComparisonHtml() shows grades and figures of every report beside the baseline's", async () => {
  const reports = [
    BASE,
    makeReport({ sqnr_db: 8, smoothness_score: 0.912345 }),
    makeReport({ sqnr_db: null, parameter_count: 1001 }),
    BASE,
  ];
  const page = await renderAll(reports, ["low.json", "none.json", "same.json"]);
  assert.deepEqual(rowsOf(page, "Figures: 3 reports against the baseline"), [
    ["Figure", "Baseline: base.json", "low.json", "none.json", "same.json"],
    ["Verdict", "good", "poor|worse", "good|same", "good|same"],
    [
      "Quality grade",
      "good|by weights",
      "poor|worse|by weights",
      "excellent|better|by weights",
      "good|same|by weights",
    ],
    ["Smoothness score", "0.9", "0.912345|+0.0123 better", "0.9|same", "0.9|same"],
    ["Violations", "1", "1|same", "1|same", "1|same"],
    ["Cosine similarity", "0.95", "0.95|same", "0.95|same", "0.95|same"],
    ["SQNR of the weights, dB", "20", "8|-12 worse", "no noise|better", "20|same"],
    ["Lowest boundary score", "0.75", "0.75|same", "0.75|same", "0.75|same"],
    ["Highest boundary score", "1", "1|same", "1|same", "1|same"],
    ["Mean boundary score", "0.9", "0.9|same", "0.9|same", "0.9|same"],
    ["Spread of boundary scores", "0.108012", "0.108012|same", "0.108012|same", "0.108012|same"],
    ["Compression ratio", "4", "4|same", "4|same", "4|same"],
    ["Model size, MB", "2", "2|same", "2|same", "2|same"],
    ["Bits a weight", "16,000", "16,000|same", "16,000|same", "16,000|same"],
    ["Parameters", "1,000", "1,000|same", "1,001|+1 changed", "1,000|same"],
    ["Parameters quantized", "512", "512|same", "512|same", "512|same"],
  ]);
  const markup = markupOf(page);
  assert.ok(markup.includes("All else on this page is about same.json, the last of the reports."));
  assert.ok(markup.indexOf('id="comparison"') < markup.indexOf('id="score-title"'));
  assert.equal(markup.split('<a href="#comparison">Comparison</a>').length, 2);
  assert.ok(markup.includes('<option value="worse">worse</option>'));
  assert.deepEqual(curvesOf(page), ["same.json", "Baseline: base.json", "low.json", "none.json"]);
  for (const curve of curvesOf(page)) assert.ok(markup.includes(`"></span>${curve}</li>`), curve);
});

Deno.test("renderComparisonHtml() shows a figure that only some reports have as missing in the others", async () => {
  const page = await renderAll([BASE, BASE, makeReport({ sqnr_db: 20, output_sqnr_db: 23.5 })]);
  const rows = rowsOf(page, "Figures: ");
  assert.deepEqual(rows[2], [
    "Quality grade",
    "good|by weights",
    "good|same|by weights",
    "poor|worse|by outputs",
  ]);
  assert.deepEqual(rows[7], ["SQNR of the outputs, dB", "missing", "missing", "23.5|changed"]);
});

Deno.test("renderComparisonHtml() compares what is expected of quantized inputs", async () => {
  const quantized = (activation_smoothness_score: number, activation_sqnr_db: number | null) =>
    makeReport({ activation_smoothness_score, activation_sqnr_db });
  const page = await renderAll([
    quantized(0.875, 30),
    quantized(0.9, 29.5),
    quantized(0.875, null),
  ]);
  const rows = rowsOf(page, "Figures: ");
  assert.deepEqual(
    rows.filter(([name]) => name!.includes("activations")),
    [
      ["Smoothness of activations", "0.875", "0.9|+0.025 better", "0.875|same"],
      ["Expected SQNR of activations, dB", "30", "29.5|-0.5 worse", "no noise|better"],
    ],
  );
});

Deno.test("renderComparisonHtml() grades a baseline that is no whole report as far as it can", async () => {
  const render = (baseline: Report | undefined) => {
    const figures = baseline && parseFigures(formatBaseline(baseline));
    const comparisons = [compareReports(figures ?? BASE, BASE)];
    return renderComparisonHtml([BASE], comparisons, {
      labels: { baseline: "b.json", currents: ["a.json"] },
      ...figures === undefined ? {} : { baseline: figures },
    });
  };
  const grades = async (page: Promise<string>) => rowsOf(await page, "Figures: ").slice(1, 3);
  assert.deepEqual(await grades(render(makeReport({ sqnr_db: 15 }))), [
    ["Verdict", "fair", "good|better"],
    ["Quality grade", "fair|by weights", "good|better|by weights"],
  ]);
  // The score of smoothed parameters as they are stored is not in a baseline.
  assert.deepEqual(await grades(render(makeReport({ ...SMOOTH, sqnr_db: 20 }))), [
    ["Verdict", "not known", "good"],
    ["Quality grade", "good|by weights", "good|same|by weights"],
  ]);
  assert.deepEqual(await grades(render(undefined)), [
    ["Verdict", "not known", "good"],
    ["Quality grade", "not known", "good|by weights"],
  ]);
  const page = await render(BASE);
  assert.ok(page.includes("Not drawn: Baseline: b.json (no whole report)."));
  assert.deepEqual(curvesOf(page), ["a.json"]);
});

Deno.test("renderComparisonHtml() lists the settings that differ from the baseline's in any report", async () => {
  const reports = [
    makeReport({ group_size: 32 }),
    makeReport({ group_size: null, symmetric: true, ignore: [] }),
    makeReport({ group_size: 32, ignore: ["c<b>"], model_name: "other\u202e" }),
  ];
  const page = await renderAll(reports, ["a.json", "b.json"]);
  assert.deepEqual(rowsOf(page, "Settings: "), [
    ["Setting", "Baseline: base.json", "a.json", "b.json"],
    ["Symmetric", "no", "yes|changed", "no|same"],
    ["Columns of a block", "32", "none|changed", "32|same"],
    ["Left alone", "b.*, a.*", "nothing|changed", "c&lt;b&gt;|changed"],
    ["Model", "tiny", "tiny|same", "other\\u{202e}|changed"],
  ]);
  assert.equal(markupOf(page).split('<table class="texts">').length, 2);
  assert.ok(page.includes("Settings differ, so the figures may not be alike"));
  const same = markupOf(await renderAll([BASE, BASE]));
  assert.doesNotMatch(same, /Settings differ|Settings that differ/);
});

Deno.test("nameSetting() calls a setting that it does not know by its key", () => {
  assert.deepEqual(["constructor", "a\u202e", "markov_weight"].map(nameSetting), [
    "constructor",
    "a\\u{202e}",
    "Markov weight",
  ]);
});

Deno.test("renderComparisonHtml() compares boundaries of reports with other numbers of them", async () => {
  const violations: Report["violations"] = [
    { boundary_idx: 0, scale_jump: 0.4, zero_point_jump: 0.1, severity: "medium" },
  ];
  const reports = [
    BASE,
    makeReport({ boundary_scores: [0.5, 0.75, 1], violations }),
    makeReport({ boundary_scores: [0.95, 0.75, 1, 0.5] }),
  ];
  const page = await renderAll(reports, ["a", "b"]);
  assert.deepEqual(rowsOf(page, "Boundaries: "), [
    ["Boundary", "Baseline: base.json", "a", "b"],
    ["0 to 1", "0.9500", "0.5000|-0.45 worse|violation new", "0.9500|same"],
    ["1 to 2", "0.7500", "0.7500|same|violation gone", "0.7500|same|violation kept"],
    ["2 to 3", "1.0000", "1.0000|same", "1.0000|same"],
    ["3 to 4", "n/a", "n/a", "0.5000|changed"],
  ]);
});

/** What a page says of the layers of reports beside those of a baseline. */
function viewOf(baseline: LayerReport[], ...others: LayerReport[][]) {
  const before = makeReport({ layers: baseline });
  return viewLayers(others.map((layers, i) => {
    const report = makeReport({ layers });
    return { label: `r${i}`, report, comparison: compareReports(before, report) };
  }));
}

Deno.test("viewLayers() counts what became of the layers in each report", () => {
  const layers = ["a", "b", "c", "d"].map((name) => makeLayer(name));
  const { fates, counts, lists } = viewOf(
    layers,
    [
      makeLayer("a", { sqnr_db: 7 }),
      makeLayer("b", { sqnr_db: 9.5 }),
      makeLayer("c", { output_sqnr_db: 9 }),
      makeLayer("n", { rows: 9 }),
    ],
    [...layers.slice(0, 3), makeLayer("z\u202e")],
  );
  assert.deepEqual(fates, ["worse", "better", "changed", "same", "new", "vanished"]);
  assert.deepEqual(counts, [
    { report: "r0", values: [1, 1, 1, 0, 1, 1] },
    { report: "r1", values: [0, 0, 0, 4, 0, 0] },
  ]);
  assert.deepEqual(lists, [
    { title: "Vanished layers, r0", count: 1, names: ["d"], more: 0 },
    { title: "New layers, r0", count: 1, names: ["n"], more: 0 },
    { title: "Renamed layers, r1", count: 1, names: ["d is now z\\u{202e}"], more: 0 },
  ]);
});

Deno.test("viewLayers() ranks layers by what they lost in any report", () => {
  const { lost } = viewOf(
    [
      makeLayer("little"),
      makeLayer("exact", { sqnr_db: null }),
      makeLayer("much", { output_sqnr_db: 20 }),
      makeLayer("better"),
      makeLayer("gone"),
      makeLayer("mixed", { output_sqnr_db: 20 }),
      makeLayer("old", { rows: 9 }),
    ],
    [
      makeLayer("little", { sqnr_db: 7.5, error_share: 0.25 }),
      makeLayer("exact", { sqnr_db: 50 }),
      // Its outputs are better, so that its weights do not count.
      makeLayer("much", { sqnr_db: 1, output_sqnr_db: 21.25 }),
      makeLayer("better", { sqnr_db: null }),
      makeLayer("gone", { sqnr_db: 7.9 }),
      makeLayer("mixed", { sqnr_db: 1 }),
      makeLayer("renamed", { rows: 9, sqnr_db: 7.99, error_share: 0.125 }),
    ],
    [
      makeLayer("little", { sqnr_db: 8.123456 }),
      makeLayer("exact", { sqnr_db: null }),
      makeLayer("much", { output_sqnr_db: 17, error_share: 0.5 }),
      makeLayer("better"),
      makeLayer("mixed", { output_sqnr_db: 20 }),
      makeLayer("old", { rows: 9 }),
    ],
  );
  assert.equal(lost.more, 0);
  assert.equal(lost.unlike, 1);
  const shown = lost.rows.map(({ name, baseline, measure, cells }) => [
    name,
    `${baseline} ${measure}`,
    ...cells.map(({ value, moved, note }) => `${value}|${moved}|${note}`),
  ]);
  assert.deepEqual(shown, [
    ["exact", "no error of weights", "50.00 dB|worse|", "no error|same|"],
    ["much", "20.00 dB of outputs", "21.25 dB|+1.25 better|", "17.00 dB|-3 worse|50.0% of error"],
    ["little", "8.00 dB of weights", "7.50 dB|-0.5 worse|25.0% of error", "8.12 dB|+0.123 better|"],
    ["gone", "8.00 dB of weights", "7.90 dB|-0.1 worse|", "vanished||"],
    ["old", "8.00 dB of weights", "7.99 dB|-0.01 worse|12.5% of error", "8.00 dB|same|"],
  ]);
});

Deno.test("viewLayers() shows no figure of a layer that a report cannot be compared in", () => {
  const { lost } = viewOf(
    [makeLayer("a", { output_sqnr_db: 20 })],
    [makeLayer("a", { output_sqnr_db: 19 })],
    [makeLayer("a", { sqnr_db: 30, error_share: 1 })],
  );
  assert.deepEqual(lost.rows[0]!.cells[1], {
    value: "n/a",
    direction: null,
    moved: "",
    note: "100.0% of error",
  });
  assert.equal(lost.unlike, 1);
});

Deno.test("viewLayers() takes an output that is missing for one that is not known after JSON", () => {
  const [before, report] = [
    makeReport({ layers: [makeLayer("a", { output_sqnr_db: 20 })] }),
    makeReport({ layers: [makeLayer("a")] }),
  ];
  const comparison = JSON.parse(JSON.stringify(compareReports(before, report)));
  const { lost } = viewLayers([{ label: "r", report, comparison }]);
  assert.deepEqual(lost, { rows: [], more: 0, unlike: 1 });
});

Deno.test("viewLayers() lists 50 layers that lost, and counts the others", () => {
  const names = Array.from({ length: 53 }, (_, i) => `l${i}`);
  const { lost } = viewOf(
    names.map((name) => makeLayer(name)),
    names.map((name, i) => makeLayer(name, { sqnr_db: 7 - i / 100 })),
  );
  assert.deepEqual(lost.rows.map(({ name }) => name), names.slice(3).reverse());
  assert.equal(lost.more, 3);
});

Deno.test("viewLayers() lists 500 names of a kind over all reports, and counts the others", () => {
  const layers = Array.from({ length: 501 }, (_, i) => makeLayer(`l${i}`));
  const sizes = (...others: LayerReport[][]) =>
    viewOf(layers, ...others).lists.map(({ count, names, more }) => [count, names.length, more]);
  assert.deepEqual(sizes([]), [[501, 500, 1]]);
  assert.deepEqual(sizes([], []), [[501, 250, 251], [501, 250, 251]]);
});

Deno.test("renderComparisonHtml() lists layers by what they lost, or says that none did", async () => {
  const layers = Array.from({ length: 51 }, (_, i) => makeLayer(`l${i}`));
  const worse = layers.map((layer) => ({ ...layer, sqnr_db: 7 }));
  const page = await renderAll([makeReport({ layers }), makeReport({ layers: worse })], ["w"]);
  const rows = rowsOf(page, "Layers that lost most: ");
  assert.equal(rows.length, 51);
  assert.deepEqual(rows[1], ["l0", "8.00 dB|of weights", "7.00 dB|-1 worse"]);
  assert.ok(page.includes("and 1 more that lost"));
  assert.ok(page.includes("<details open>\n    <summary>Layers that lost most (50)</summary>"));
  assert.deepEqual(rowsOf(page, "Layers: "), [
    ["Report", "worse", "better", "changed", "same", "new", "vanished"],
    ["w", "51", "0", "0", "0", "0", "0"],
  ]);
  const same = markupOf(await renderAll([BASE, BASE]));
  assert.ok(same.includes("No layer that can be compared has a lower SQNR than in the baseline."));
  assert.doesNotMatch(same, /Layers that lost most|Outputs known to one/);
  const calibrated = { ...BASE, layers: [makeLayer("blocks.0.fc", { output_sqnr_db: 9 })] };
  const unlike = markupOf(await renderAll([BASE, calibrated]));
  assert.ok(unlike.includes("Outputs known to one of two reports only, and so not compared: 1."));
});

Deno.test("renderHtml() compares with a baseline in the same table, and gives no grades", async () => {
  const comparison = compareReports(BASE, makeReport({ sqnr_db: 8 }));
  const page = await renderHtml(makeReport({ sqnr_db: 8 }), { comparison });
  const rows = rowsOf(page, "Figures: Against the baseline");
  assert.deepEqual(rows[0], ["Figure", "Baseline", "This report"]);
  assert.deepEqual(rows[1], ["Smoothness score", "0.9", "0.9|same"]);
  assert.deepEqual(rows[4], ["SQNR of the weights, dB", "20", "8|-12 worse"]);
  const markup = markupOf(page);
  assert.ok(markup.indexOf('id="comparison"') > markup.indexOf('id="score-title"'));
  assert.doesNotMatch(markup, /All else on this page|Verdict<\/th>/);
  const layers = [makeLayer("new", { sqnr_db: 1 }), makeLayer("blocks.0.fc", { sqnr_db: 1 })];
  const moved = makeReport({ layers });
  const lists = async (page: Promise<string>) =>
    (await page).match(/<details( open)?>\s*<summary>(Vanished|Layers that)/g)!
      .map((one) => one.replaceAll(/\s+/g, " "));
  const folded = renderHtml(moved, { comparison: compareReports(BASE, moved) });
  assert.deepEqual(await lists(folded), [
    "<details> <summary>Layers that",
    "<details open> <summary>Vanished",
  ]);
  assert.deepEqual(await lists(renderAll([BASE, BASE, moved])), [
    "<details open> <summary>Layers that",
    "<details> <summary>Vanished",
  ]);
});

Deno.test("renderComparisonHtml() draws nine reports and names the others", async () => {
  const names = layerNames(3);
  const reports = Array.from({ length: 11 }, (_, seed) => inventReport({ names, seed }));
  reports[2] = inventReport({ names, seed: 2, groups: 1 });
  const page = await renderAll(reports);
  assert.deepEqual(curvesOf(page), [
    "Report 10",
    "Baseline",
    ...[1, 3, 4, 5, 6, 7, 8].map((i) => `Report ${i}`),
  ]);
  assert.ok(
    page.includes("Not drawn: Report 2 (1 time group), Report 9 (more than 9 reports)."),
  );
  assert.equal(rowsOf(page, "Figures: ")[0]!.length, 12);
});

Deno.test("renderComparisonHtml() keeps hostile names text and gives the same bytes for the same reports", async () => {
  const base = inventReport({ names: HOSTILE_NAMES });
  const worse = inventReport({ names: HOSTILE_NAMES, seed: 1 });
  const gone = { ...inventReport({ names: layerNames(2) }), model_name: HOSTILE_NAMES[0]! };
  const reports = [
    base,
    { ...worse, ignore: HOSTILE_NAMES },
    gone,
    ...HOSTILE_NAMES.map((model_name) => ({ ...worse, model_name })),
  ];
  // The last one is told apart from the others in words too.
  const labels = ["a", "b", ...HOSTILE_NAMES.toReversed()];
  const page = await renderAll(reports, labels);
  const markup = markupOf(page);
  assert.doesNotMatch(markup, /<script>alert|<img|<b onmouseover| style=| on\w+=[^&]*>/);
  // deno-lint-ignore no-control-regex -- they are what must not be there
  assert.doesNotMatch(page, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\u2066]/);
  assert.ok(rowsOf(page, "Figures: ")[0]!.includes("new\\u{a}line\\u{d}\\u{2028}"));
  assert.ok(
    markup.includes("about &lt;script&gt;alert(1)&lt;/script&gt;, the last of the reports."),
  );
  const unsafe = markupOf(await renderAll([base, worse], ["bidi\u202e"]));
  assert.ok(unsafe.includes("All else on this page is about bidi\\u{202e}."));
  assert.equal(page, await renderAll(structuredClone(reports), labels));
});

Deno.test("renderComparisonHtml() refuses reports, comparisons and labels that do not fit", async () => {
  const one = compareReports(BASE, BASE);
  const cases: [Report[], (typeof one)[], string[] | undefined, string][] = [
    [[], [], undefined, "Cannot compare reports: there is none"],
    [
      [BASE, BASE, BASE],
      [one],
      undefined,
      "Cannot compare 3 reports by 1 comparison: give 1, or 2 with the baseline first",
    ],
    [
      [BASE],
      [one, one],
      undefined,
      "Cannot compare 1 reports by 2 comparisons: give 2, or 3 with the baseline first",
    ],
    [[BASE], [one], ["a", "b"], "Cannot name 1 reports by 2 labels"],
  ];
  for (const [reports, comparisons, currents, message] of cases) {
    const options = currents === undefined ? {} : { labels: { baseline: "b", currents } };
    await assert.rejects(() => renderComparisonHtml(reports, comparisons, options), {
      name: "RangeError",
      message,
    });
  }
});

Deno.test("main() writes a page that calls reports by their files, and compares as without one", async () => {
  const files = {
    "runs/a/report.json": formatReport(makeReport({ sqnr_db: 8 })),
    "runs/b/report.json": formatReport(makeReport({ sqnr_db: 21 })),
    "base.json": formatBaseline(BASE),
  };
  await withFiles(files, async (root) => {
    const argv = ["base.json", "runs/a/report.json", "runs/b/report.json"]
      .map((file) => join(root, file));
    const out = join(root, "page.html");
    for (const flags of [["--json"], []]) {
      const plain = await runMain("compare", ...argv, ...flags);
      assert.equal(plain.code, 0);
      assert.deepEqual(await runMain("compare", ...argv, ...flags, "--html-report", out), plain);
    }
    const page = Deno.readTextFileSync(out);
    assert.deepEqual(rowsOf(page, "Figures: ").slice(0, 3), [
      ["Figure", "Baseline: base.json", "a/report.json", "b/report.json"],
      ["Verdict", "good", "poor|worse", "good|same"],
      ["Quality grade", "good|by weights", "poor|worse|by weights", "good|same|by weights"],
    ]);
    assert.deepEqual(curvesOf(page), ["b/report.json", "a/report.json"]);
    assert.ok(!page.includes(root));
    assert.deepEqual(namesIn(root), ["base.json", "page.html", "runs"]);
  });
});
