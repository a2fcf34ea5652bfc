/** What a page says of quantized inputs, as text and as data. */

import assert from "node:assert/strict";
import { renderHtml } from "../lib/render/render_html.ts";
import { inventActivations, inventReport, layerNames } from "./invent_report.ts";
import type { Report } from "../mod.ts";
import { dataOf, markupOf } from "./read_page.ts";

const PLAIN = inventReport({ names: layerNames(12) });

Deno.test("renderHtml() says of quantized inputs what time groups are worth, before and after", async () => {
  const facts = (page: string) =>
    [...page.matchAll(/<dt>([^<]*)<\/dt><dd>([^<]*)<\/dd>/g)].slice(0, 6).map(([, term, words]) =>
      `${term}: ${words}`
    );
  const section = (page: string) => page.slice(page.indexOf('<section id="activations"'));
  const page = markupOf(await renderHtml(inventActivations(PLAIN)));
  assert.ok(page.includes('<a href="#activations">Activations</a>'));
  assert.ok(
    section(page).includes(
      "<p>The inputs of 11 layers are quantized to 4 bits, by 4 time groups of equal length over 20 " +
        "timesteps. Those of 1 other layer are left as they are: the calibration does not know them.</p>",
    ),
  );
  assert.deepEqual(facts(section(page)), [
    "Ranges: p99.9",
    "Smoothness score: 0.8750, in phase baseline 0.7500",
    "Violations: 1, in phase baseline 3",
    "Expected SQNR, one range for all timesteps: 12.50 dB",
    "Expected SQNR, with the time groups: 15.25 dB, in phase baseline 14.00 dB",
    "Expected SQNR, a range for each timestep: 16.13 dB, the limit",
  ]);
  const charts = [
    ...section(page).matchAll(/<figcaption><b>([^<]*)<\/b><br>[^>]*>range ([\d.]+)x/g),
  ];
  const { names, drift } = {
    names: charts.map(([, name]) => name),
    drift: charts.map(([, , ratio]) => ratio),
  };
  assert.deepEqual(names, [6, 5, 4, 3, 2, 1].map((i) => PLAIN.layers[i]!.name));
  assert.deepEqual(drift, ["7.0", "6.0", "5.0", "4.0", "3.0", "2.0"]);
  const moving = markupOf(await renderHtml(inventActivations(PLAIN, { isMoving: true })));
  assert.equal(
    facts(section(moving))[1],
    "Smoothness score: 0.8650 as stored, 0.8750 before zero points were rounded, " +
      "in phase baseline 0.7500",
  );
  const one = inventActivations(PLAIN, { groups: 1 });
  const alone = { ...one.activations!, other_layers: 0, grouping: "optimal" as const };
  const single = markupOf(await renderHtml({ ...one, activations: alone }));
  assert.equal(facts(section(single))[1], "Smoothness score: n/a, one time group has no boundary");
  assert.ok(
    section(single).includes(
      "by 1 time group whose boundaries err least over 20 timesteps. There is no other layer.",
    ),
  );
  const kept_layers = [{ name: "a", grouped_sqnr_db: 9 }, { name: "b", grouped_sqnr_db: 8 }];
  const kept = await renderHtml({ ...one, activations: { ...alone, kept_layers } });
  assert.ok(
    section(markupOf(kept)).includes(
      "over 20 timesteps. Those of 2 layers are outlying and left as they are: codes would err " +
        "ten times as much there as with most. There are no more layers.",
    ),
  );
  const plain = await renderHtml(PLAIN);
  assert.ok(!markupOf(plain).includes("#activations"));
  assert.equal(dataOf(plain).activations, null);
});

Deno.test("renderHtml() carries curves and figures of quantized inputs", async () => {
  const report = inventActivations(PLAIN, { timesteps: 1000, groups: 2, isMoving: true });
  const data = dataOf(await renderHtml(report)).activations!;
  assert.equal(data.groups, 2);
  // 256 runs of 3 or 4 timesteps, each by the one in its middle.
  assert.deepEqual([data.points.length, ...data.points.slice(0, 3)], [256, 50, 170, 330]);
  assert.deepEqual(data.edges, [10, 19_990, 39_970]);
  assert.equal(data.drawn.length, 6);
  const { activations } = report;
  const drawn = activations!.layers[5]!;
  const [first] = data.drawn;
  const round = (values: readonly number[]) => values.map((value) => Number(value.toPrecision(4)));
  assert.deepEqual(first, {
    range: round(drawn.range!),
    scale: round(drawn.scale),
    moving: round(drawn.moving_scale!),
    before: round(drawn.baseline_scale),
  });
  assert.deepEqual(data.layer, Array.from({ length: 11 }, (_, i) => i + 1));
  assert.deepEqual(data.once.slice(0, 2), [12.5, 12.63]);
  assert.deepEqual(data.grouped.slice(2, 5), [15.5, null, 15.75]);
  assert.deepEqual(data.each.slice(0, 2), [16.13, 16.25]);
  assert.deepEqual(data.recommended.slice(0, 6), [1, 2, 4, 8, 16, 1]);
  assert.deepEqual(
    [data.score, data.violations],
    [
      activations!.layers.map(({ smoothness_score }) => Number(smoothness_score.toFixed(4))),
      activations!.layers.map(({ violation_count }) => violation_count),
    ],
  );
  const steps = dataOf(await renderHtml(inventActivations(PLAIN))).activations!;
  assert.equal(steps.drawn[0]!.moving, null);
  assert.deepEqual([steps.points.length, steps.points[19]], [20, 770]);
  assert.deepEqual(steps.edges, [10, 190, 390, 590, 770]);
  // A layer that the report does not list has no place to lead to.
  const { layers } = inventActivations(PLAIN);
  const fewer = { ...inventActivations(PLAIN), layers: layers.slice(0, 3) };
  assert.deepEqual(dataOf(await renderHtml(fewer)).activations!.layer, [1, 2]);
});

Deno.test("renderHtml() draws no inputs of a report whose curves do not fit", async () => {
  const report = inventActivations(PLAIN, { isMoving: true });
  const { activations } = report;
  const { timesteps, boundaries, layers } = activations!;
  const cases: [string, Partial<typeof activations>][] = [
    ["no ranges", { layers: layers.map(({ range: _, ...layer }) => layer) }],
    ["timesteps that do not ascend", { timesteps: timesteps.toReversed() }],
    ["timesteps that are alike", { timesteps: timesteps.map(() => 5) }],
    ["one timestep", { timesteps: [5], boundaries: [0, 1] }],
    ["boundaries that do not ascend", { boundaries: boundaries.with(1, 12) }],
    ["boundaries of other timesteps", { boundaries: boundaries.with(-1, 19) }],
    ["short ranges", { layers: layers.map((layer) => ({ ...layer, range: [1, 2] })) }],
    ["more scales", { layers: layers.map((layer) => ({ ...layer, scale: [1, 1, 1, 1, 1] })) }],
    ["fewer scales before", { layers: layers.map((one) => ({ ...one, baseline_scale: [1] })) }],
    ["short moving scales", { layers: layers.map((one) => ({ ...one, moving_scale: [1] })) }],
  ];
  for (const [what, change] of cases) {
    const page = await renderHtml({ ...report, activations: { ...activations!, ...change } });
    assert.deepEqual(dataOf(page).activations!.drawn, [], what);
    assert.ok(markupOf(page).includes("The report has no range by timestep"), what);
    assert.ok(!markupOf(page).includes('class="inputs"'), what);
  }
  const still = layers.map((layer) => ({ ...layer, range: layer.range?.with(3, 0) }));
  const whole = { ...activations!, layers: still } as typeof activations;
  const page = markupOf(await renderHtml({ ...report, activations: whole! }));
  assert.equal(page.match(/class="note">range from 0, expected/g)!.length, 6);
});

Deno.test("renderHtml() stays below 4 MB when the inputs of 10,000 layers are quantized", async () => {
  const names = layerNames(10_000);
  const report = inventActivations(inventReport({ names }), {
    timesteps: 1000,
    groups: 50,
    isMoving: true,
  });
  const page = await renderHtml(report);
  assert.ok(page.length < 4_000_000, `${page.length} bytes`);
  assert.equal(dataOf(page).activations!.layer.length, 9_999);
});

Deno.test("renderHtml() shows quantized inputs on cards, and gives no score without a boundary", async () => {
  const card = async (report: Report, label: string) => {
    const [, value, note] = new RegExp(
      `<span class="label">${label}</span>\\s*<span class="value">([^<]*)</span>\\s*<span class="note">([^<]*)<`,
    ).exec(markupOf(await renderHtml(report))) ?? [];
    return [value, note];
  };
  const report = inventActivations(PLAIN);
  const label = "Smoothness of activations";
  assert.deepEqual(await card(report, "SQNR of activations"), [
    "15.25 dB",
    "expected of codes of 4 bits",
  ]);
  assert.deepEqual(await card(report, label), ["0.8750", "over diffusion time"]);
  assert.deepEqual(await card(inventActivations(PLAIN, { isMoving: true }), label), [
    "0.8650",
    "as stored; 0.8750 before zero points were rounded",
  ]);
  assert.deepEqual(await card(inventActivations(PLAIN, { groups: 1 }), label), [
    "n/a",
    "one time group has no boundary",
  ]);
  assert.deepEqual(await card(PLAIN, label), [undefined, undefined]);
});
