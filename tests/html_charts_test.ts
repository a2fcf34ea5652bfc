/** The charts of a page in a real browser: what is drawn where, and where they lead. */

import assert from "node:assert/strict";
import type { Page } from "npm:playwright-core@1.65.1";
import { renderHtml } from "../lib/render/render_html.ts";
import {
  HOSTILE_NAMES,
  inventActivations,
  inventCalibrated,
  inventPhase,
  inventReport,
  layerNames,
  OPTIMIZE,
} from "./invent_report.ts";
import { column, type Plot, seePlot, testPages } from "./visit_pages.ts";
import { formatReport } from "./make_report.ts";

const NAMES = layerNames(40);
const REPORT = inventReport({ names: NAMES });
const PHASE = inventPhase(REPORT, { ...OPTIMIZE, smoothing_window: 3, smoothing_method: "linear" });
const TWINS = ["x".repeat(300), `${"x".repeat(299)}y`];

/** Layers with known shares and bytes, the third one of 8 bits. */
const KNOWN = {
  ...REPORT,
  layers: [0.1, 0.4, 0.2, 0].map((error_share, i) => ({
    ...REPORT.layers[i]!,
    error_share,
    bits: i === 2 ? 8 as const : 2 as const,
    sqnr_db: [15, 5, 20, 40][i]!,
    source_bytes: [2_000, 12_000, 101_000, 900][i]!,
    output_bytes: 1_000,
    // All at code 1 of 2 bits, and in the first bin.
    weight_histogram: Array.from(
      { length: 64 },
      (_, bin) => bin === 25 ? 400 : bin === 0 ? 100 : 0,
    ),
  })),
};

/** With timesteps at 10, 50 ... 770, and boundaries at 190, 390 and 590 between them. */
const INPUTS = inventActivations(REPORT);

/** More layers than a chart has pixels. */
const MANY = inventReport({ names: layerNames(3_000), groups: 2 });

const browserTest = testPages({
  "plain.html": await renderHtml(REPORT),
  "phase.html": await renderHtml(PHASE),
  "known.html": await renderHtml(KNOWN),
  "hostile.html": await renderHtml(
    inventReport({ names: [...HOSTILE_NAMES.slice(0, -1), ...TWINS] }),
  ),
  "many.html": await renderHtml(MANY),
  "calibrated.html": await renderHtml(inventCalibrated(REPORT)),
  "activations.html": await renderHtml(INPUTS),
  "moving.html": await renderHtml(
    inventActivations(REPORT, { isMoving: true, timesteps: 1000, groups: 2 }),
  ),
  "crowded.html": await renderHtml(inventActivations(REPORT, { timesteps: 400, groups: 400 })),
  "partial.html": (await renderHtml(REPORT)).replace(
    /("series":\[\[)(.*?\]),(?=\[\[)/,
    (_, head: string) => `${head}null,`,
  ),
});

/** How high something is drawn at a share of the width, 0 to 1 of the chart's height; `null`: nothing is. */
function heightAt({ width, height, seen }: Plot, share: number): number | null {
  const rows = seen[Math.floor(share * width)];
  return rows == null ? null : 1 - (rows[0] + 0.5) / height;
}

/** Places of bars along a chart: where their color begins and ends. */
function listBars({ seen }: Plot): [number, number][] {
  const bars: [number, number][] = [];
  for (const [x, rows] of seen.entries()) {
    const last = bars.at(-1);
    if (rows === null) continue;
    if (last !== undefined && last[1] === x) last[1] = x + 1;
    else bars.push([x, x + 1]);
  }
  return bars;
}

const isNear = (actual: number | null, expected: number, tolerance: number) =>
  assert.ok(
    actual !== null && Math.abs(actual - expected) <= tolerance,
    `${actual} is not ${expected}`,
  );

browserTest(
  "a chart has scale and zero point of each time group, and bars of jumps and scores",
  async (open) => {
    await open("phase.html", {}, async ({ page }) => {
      await page.evaluate(`location.hash = "#layer=${NAMES[3]}"`);
      const layer = PHASE.layers[3]!;
      const { baseline } = layer;
      const [subject, before] = await Promise.all(
        ["series-0", "series-1"].map((color) => seePlot(page, "#layer-groups", 0, color)),
      );
      // Of one scale, whose end is not less than what is drawn.
      const end = layer.scale[0]! / heightAt(subject!, 0.01)!;
      for (let g = 0; g < 8; g++) {
        isNear(heightAt(subject!, (g + 0.5) / 8)! * end, layer.scale[g]!, 0.02 * end);
      }
      for (let g = 0; g < 8; g++) {
        // The dashes of what is below leave holes.
        const near = [0.4, 0.45, 0.5, 0.55, 0.6].map((at) => heightAt(before!, (g + at) / 8));
        const drawn = near.find((height) => height !== null)!;
        isNear(drawn * end, baseline!.scale[g]!, 0.02 * end);
      }
      // What is smoothed is halfway at a boundary; the zero point jumps where it moves by one.
      for (let b = 0; b < 7; b++) {
        const halfway = (layer.scale[b]! + layer.scale[b + 1]!) / 2;
        isNear(heightAt(subject!, (b + 1) / 8)! * end, halfway, 0.01 * end);
      }
      const zero = await seePlot(page, "#layer-groups", 1, "series-0");
      for (let g = 0; g < 8; g++) {
        for (const at of [0.05, 0.5, 0.95]) {
          isNear(3 * heightAt(zero, (g + at) / 8)!, layer.zero_point[g]!, 0.12);
        }
      }
      const others = listBars(await seePlot(page, "#layer-groups", 3, "series-1"));
      const scores = await seePlot(page, "#layer-groups", 3, "bar");
      const bars = listBars(scores);
      assert.equal(bars.length, 7);
      for (const [b, [from, to]] of bars.entries()) {
        isNear((to - from) / scores.width, 16 / scores.width, 0.003);
        isNear(to / scores.width, (b + 1) / 8, 0.003);
        isNear(others[b]![0] / scores.width, (b + 1) / 8, 0.003);
        isNear(heightAt(scores, (from + 4) / scores.width), layer.boundary_scores[b]!, 0.03);
      }
    });
  },
);

browserTest("a chart marks violations and the threshold", async (open) => {
  await open("plain.html", {}, async ({ page }) => {
    await page.evaluate(`location.hash = "#layer=${NAMES[0]}"`);
    const layer = REPORT.layers[0]!;
    const [{ boundary_idx, severity, scale_jump }] = layer.violations as [
      typeof layer.violations[0],
    ];
    assert.deepEqual([boundary_idx, severity], [0, "high"]);
    const jumps = await seePlot(page, "#layer-groups", 2, "high");
    const [bar] = listBars(jumps);
    isNear((bar![0] + bar![1]) / 2 / jumps.width, 1 / 8, 0.005);
    const end = scale_jump / heightAt(jumps, 1 / 8)!;
    // Readable numbers end the axis.
    isNear(end, 1.5, 0.03);
    const dashes = await seePlot(page, "#layer-groups", 2, "muted");
    isNear(heightAt(dashes, 0.4) ?? heightAt(dashes, 0.405), 0.3 / end, 0.02);
    // Each boundary has a line in the panels of steps, that of the violation a broad one.
    const lines = await seePlot(page, "#layer-groups", 0, "line");
    const upright = lines.seen.flatMap((rows, x) => rows && rows[2] > 50 ? [x] : []);
    for (let b = 0; b < 7; b++) {
      const isThin = upright.some((x) => Math.abs(x / lines.width - (b + 1) / 8) < 0.004);
      const isViolation = layer.violations.some(({ boundary_idx }) => boundary_idx === b);
      assert.equal(isThin, !isViolation, String(b));
    }
    assert.ok(layer.violations.length < 7);
  });
});

browserTest("a histogram has a bar for each bin and marks the codes", async (open) => {
  await open("known.html", {}, async ({ page }) => {
    const marks = async () => await seePlot(page, "#layer-codes", 0, "accent");
    await page.evaluate(`location.hash = "#layer=${NAMES[0]}"`);
    const bars = await seePlot(page, "#layer-codes", 0, "bar");
    isNear(heightAt(bars, 25.2 / 64), 1, 0.02);
    // Of a quarter of the weights: a scale of square roots.
    isNear(heightAt(bars, 0.5 / 64), 0.5, 0.02);
    assert.equal(heightAt(bars, 40.5 / 64), null);
    const codes = listBars(await marks()).map(([from, to]) => (from + to) / 2 / bars.width);
    assert.equal(codes.length, 4);
    for (const [code, at] of codes.entries()) isNear(at, (1 + code) / 5, 0.004);
    await page.evaluate(`location.hash = "#layer=${NAMES[2]}"`);
    const ends = listBars(await marks()).map(([from, to]) => (from + to) / 2 / bars.width);
    assert.equal(ends.length, 2);
    isNear(ends[0]!, 32.5 / 320, 0.004);
    isNear(ends[1]!, (32.5 + 255) / 320, 0.004);
  });
});

browserTest("the error of each layer is a bar, in two orders and on two scales", async (open) => {
  await open("known.html", {}, async ({ page }) => {
    const heights = async () => {
      const plots = await Promise.all(
        ["excellent", "good", "fair", "poor", "broken"].map((color) =>
          seePlot(page, "#error-bars", 0, color)
        ),
      );
      return [0, 1, 2, 3].map((i) =>
        plots.map((plot) => heightAt(plot, (i + 0.4) / 4)).find((height) => height !== null)
      );
    };
    const [first, second, third, none] = await heights();
    isNear(first!, 1, 0.02);
    isNear(second!, 0.5, 0.02);
    isNear(third!, 0.25, 0.02);
    isNear(none!, 0, 0.02);
    const broken = await seePlot(page, "#error-bars", 0, "broken");
    isNear(heightAt(broken, 0.1), 1, 0.02);
    const good = await seePlot(page, "#error-bars", 0, "good");
    isNear(heightAt(good, 0.35), 0.5, 0.02);
    await page.locator("#error-order").selectOption("model");
    const [own, next] = await heights();
    isNear(own!, 0.25, 0.02);
    isNear(next!, 1, 0.02);
    await page.locator("#error-scale").selectOption("log");
    const ranged = await heights();
    isNear(ranged[0]!, 0, 0.02);
    isNear(ranged[1]!, Math.log(4) / Math.log(5), 0.02);
    isNear(ranged[2]!, Math.log(2) / Math.log(5), 0.02);
    assert.equal(
      await page.locator("#error-bars-readout").textContent(),
      `${NAMES[0]}: 10% of the model's error, fair, SQNR of the weights 15.00 dB`,
    );
  });
});

browserTest("of bars narrower than a pixel the largest is drawn and chosen", async (open) => {
  await open("many.html", {}, async ({ page }) => {
    await page.locator("#error-order").selectOption("model");
    const broken = await seePlot(page, "#error-bars", 0, "broken");
    const { width } = broken;
    const binOf = (x: number) => {
      const [from, end] = [x, x + 1].map((one) => Math.floor(one * 3_000 / width));
      return MANY.layers.slice(from, end).toSorted((a, b) => b.error_share! - a.error_share!);
    };
    for (const x of [100, 401, 777]) {
      isNear(heightAt(broken, (x + 0.5) / width), binOf(x)[0]!.error_share! / 0.03, 0.02);
    }
    // Where it is not the last one.
    const x = [...Array(width).keys()].find((x) =>
      x > 50 && binOf(x)[0] !== MANY.layers[Math.floor((x + 1) * 3_000 / width) - 1]
    )!;
    await page.locator("#error-bars").scrollIntoViewIfNeeded();
    const area = (await page.locator("#error-bars .u-over").boundingBox())!;
    await page.mouse.click(area.x + x + 0.5, area.y + 100);
    assert.equal(await page.locator("#layer-name").textContent(), binOf(x)[0]!.name);
  });
});

browserTest(
  "bars and points lead to their layers, by pointer and by keys, and follow the filter",
  async (open) => {
    await open("known.html", {}, async ({ page }) => {
      const shown = () => page.locator("#layer-name").textContent();
      const bars = page.locator("#error-bars .u-over");
      const { width, height } = (await bars.boundingBox())!;
      await bars.click({ position: { x: 0.6 * width, y: 0.5 * height } });
      assert.equal(await shown(), NAMES[0]);
      assert.equal(await page.evaluate("location.hash"), `#layer=${NAMES[0]}`);
      assert.equal(await page.evaluate("document.activeElement.id"), "layer-name");
      await page.locator("#error-bars").focus();
      for (const key of ["End", "ArrowLeft", "ArrowLeft", "Enter"]) await page.keyboard.press(key);
      assert.equal(await shown(), NAMES[2]);
      const cursor = (await page.locator("#error-bars .cursor").boundingBox())!;
      const area = (await bars.boundingBox())!;
      isNear((cursor.x - area.x) / area.width, 1 / 4, 0.01);
      await page.locator("#error-scatter").focus();
      await page.keyboard.press("Home");
      const words = page.locator("#error-scatter-readout");
      assert.equal(
        await words.textContent(),
        `${NAMES[3]}: 100 B more, 0% of the model's error, excellent, SQNR of the weights 40.00 dB`,
      );
      await page.keyboard.press("ArrowRight");
      await page.keyboard.press("ArrowRight");
      assert.match(
        (await words.textContent())!,
        /^model\.layers\.0\.mlp\.experts\.1\.w1: 11\.0 kB saved, 40%/,
      );
      // 11 kB between 1 and 100, 0.4 at the upper end of 0.1 to 0.5.
      const point = await seePlot(page, "#error-scatter", 0, "broken");
      isNear(heightAt(point, Math.log10(11) / 2), Math.log(4) / Math.log(5), 0.03);
      const ring = (await page.locator("#error-scatter .ring").boundingBox())!;
      const plot = (await page.locator("#error-scatter .u-over").boundingBox())!;
      isNear((ring.x + 8 - plot.x) / plot.width, Math.log10(11) / 2, 0.01);
      isNear((ring.y + 8 - plot.y) / plot.height, 1 - Math.log(4) / Math.log(5), 0.01);
      await page.locator("#error-scatter .u-over").click({
        position: { x: 3, y: plot.height - 3 },
      });
      assert.equal(await shown(), NAMES[3]);
      await page.locator("#error-scatter .u-over").click({
        position: { x: 0.75 * plot.width, y: 0.3 * plot.height },
      });
      assert.equal(await shown(), NAMES[3]);
      await page.locator("#layer-table-filter").fill("experts.2");
      assert.equal(
        await page.locator("#error-bars-readout").textContent(),
        `${NAMES[2]}: 20% of the model's error, good, SQNR of the weights 20.00 dB`,
      );
      await page.locator("#error-scatter").focus();
      await page.keyboard.press("End");
      assert.ok((await words.textContent())!.startsWith(NAMES[2]!));
      await page.locator("#layer-table-filter").fill("nothing like it");
      assert.equal(await words.textContent(), "No layer to show");
      await page.locator("#error-bars").press("Enter");
      assert.equal(await shown(), NAMES[3]);
    });
  },
);

browserTest("a layer shows what is known of it", async (open) => {
  await open("known.html", {}, async ({ page }) => {
    await page.locator("#layer-pick").selectOption({ label: NAMES[2]! });
    const facts = await page.locator("#layer-facts > div").allTextContents();
    assert.deepEqual(facts, [
      "Gradegood by the SQNR of its weights",
      "Share of the model's error20%",
      "SQNR of its weights20.00 dB",
      `Cosine similarity${KNOWN.layers[2]!.cosine_similarity.toFixed(4)}`,
      `Smoothness score${KNOWN.layers[2]!.smoothness_score.toFixed(4)}`,
      `Violations${KNOWN.layers[2]!.violation_count}`,
      "Bytes101.0 kB before, 1.0 kB after (1.0%)",
      "Shape64 x 128 BF16, INT8",
    ]);
  });
  await open("calibrated.html", {}, async ({ page }) => {
    await page.evaluate(`location.hash = "#layer=${NAMES[1]}"`);
    const facts = await page.locator("#layer-facts > div").allTextContents();
    assert.equal(facts[0], "Gradefair by the SQNR of its outputs");
    assert.equal(facts[3], "SQNR of its outputs19.88 dB");
  });
});

browserTest(
  "a layer whose parameters the page does not carry is shown without their chart",
  async (open) => {
    await open("partial.html", {}, async ({ page, complaints }) => {
      await page.locator("#layer-table-filter").fill(NAMES[0]!);
      await page.locator("#layer-table tbody button").click();
      assert.equal(await page.locator("#layer-name").textContent(), NAMES[0]);
      assert.ok(!await page.locator("#layer-groups").isVisible());
      assert.ok(await page.locator("#layer-groups-missing").isVisible());
      assert.ok(await page.locator("#layer-codes").isVisible());
      await page.evaluate(`dispatchEvent(new Event("beforeprint"))`);
      assert.equal(await page.locator("#layer-groups .uplot").count(), 0);
      assert.deepEqual(complaints, []);
      await page.locator("#layer-pick").selectOption({ index: 0 });
      assert.ok(await page.locator("#layer-groups").isVisible());
      assert.ok(!await page.locator("#layer-groups-missing").isVisible());
    });
  },
);

/** Opens the page anew at a link, as from elsewhere. */
async function visitLink(page: Page, hash: string): Promise<void> {
  const [address] = page.url().split("#");
  await page.goto("about:blank");
  await page.goto(`${address}${hash}`);
  await page.locator("[data-ready=true]").waitFor();
}

browserTest("a link leads to its layer, and back goes back", async (open) => {
  await open("plain.html", {}, async ({ page, complaints }) => {
    const shown = () => page.locator("#layer-name").textContent();
    const worst = await shown();
    assert.equal(worst, (await column(page, "layer-table", 1))[0]);
    assert.equal(await page.evaluate("location.hash"), "");
    await page.locator("#layer-table tbody button").nth(2).click();
    await page.locator("#layer-table tbody button").nth(4).click();
    const names = await column(page, "layer-table", 1);
    assert.equal(await shown(), names[4]);
    assert.equal(await page.evaluate("location.hash"), `#layer=${names[4]}`);
    await page.locator('nav a[href="#violations"]').click();
    assert.equal(await shown(), names[4]);
    await page.goBack();
    assert.equal(await shown(), names[4]);
    await page.goBack();
    assert.equal(await shown(), names[2]);
    await page.goBack();
    assert.equal(await shown(), worst);
    await page.goForward();
    assert.equal(await shown(), names[2]);
    await visitLink(page, `#layer=${NAMES[17]}`);
    assert.equal(await shown(), NAMES[17]);
    const top = "document.getElementById('layer').getBoundingClientRect().top";
    assert.ok(Math.abs(await page.evaluate<number>(top)) < 40);
    await page.evaluate(`location.hash = "#layer=no%20such"`);
    const unknown = page.locator("#layer-unknown");
    await unknown.waitFor();
    assert.equal(await unknown.textContent(), "This report has no layer of the name “no such”.");
    assert.equal(await shown(), NAMES[17]);
    await page.evaluate(`location.hash = "#layer=${NAMES[5]}"`);
    assert.equal(await shown(), NAMES[5]);
    assert.ok(!await unknown.isVisible());
    await visitLink(page, "#layer=%zz<b>");
    assert.equal(await unknown.textContent(), "This report has no layer of the name “%zz%3Cb%3E”.");
    assert.equal(await shown(), worst);
    assert.deepEqual(complaints, []);
  });
});

browserTest(
  "links lead to layers of hostile names, and to those whose names are cut alike",
  async (open) => {
    await open("hostile.html", {}, async ({ page, complaints }) => {
      const count = await page.locator("#layer-table tbody tr").count();
      const names = await column(page, "layer-table", 1);
      for (let i = 0; i < count; i++) {
        await page.locator("#layer-table tbody button.layer").nth(i).evaluate((one) =>
          (one as unknown as { click(): void }).click()
        );
        const hash = await page.evaluate<string>("location.hash");
        const picked = await page.locator("#layer-pick").inputValue();
        await page.reload();
        await page.locator("[data-ready=true]").waitFor();
        assert.equal(await page.locator("#layer-name").textContent(), names[i]);
        // By the name alone it may be the twin of a name that was cut.
        assert.equal(await page.locator("#layer-pick").inputValue(), picked);
        await visitLink(page, hash);
        assert.equal(await page.locator("#layer-name").textContent(), names[i]);
      }
      assert.deepEqual(complaints, []);
      assert.equal(await page.locator("main img, main b[onmouseover]").count(), 0);
    });
  },
);

browserTest("the JSON of a report is copied and saved from its page", async (open) => {
  const text = formatReport(REPORT);
  await open(
    "plain.html",
    { permissions: ["clipboard-read", "clipboard-write"] },
    async ({ page, complaints }) => {
      await page.getByRole("button", { name: "Copy JSON" }).click();
      await page.locator("#json-status", { hasText: "Copied" }).waitFor();
      assert.equal(await page.evaluate("navigator.clipboard.readText()"), text);
      const waiting = page.waitForEvent("download");
      await page.getByRole("button", { name: "Download JSON" }).click();
      const download = await waiting;
      assert.equal(download.suggestedFilename(), "tiny-dit-report.json");
      assert.equal(await Deno.readTextFile(await download.path()), text);
      assert.deepEqual(complaints, []);
    },
  );
  await open("plain.html", {}, async ({ page }) => {
    await page.evaluate(`navigator.clipboard.writeText = () => Promise.reject(new Error("no"))`);
    await page.getByRole("button", { name: "Copy JSON" }).click();
    await page.locator("#json-status", { hasText: "does not let the page copy" }).waitFor();
  });
});

browserTest("charts follow the colors and the width of their page, and are sharp", async (open) => {
  const look = { colorScheme: "light", deviceScaleFactor: 2 } as const;
  await open("plain.html", look, async ({ page }) => {
    const size = await page.evaluate<[number, number]>(
      "[...document.querySelectorAll('#model-groups canvas')].map((one) => [one.width, one.clientWidth])[0]",
    );
    assert.equal(size[0], 2 * size[1]);
  });
  await open("plain.html", { colorScheme: "light" }, async ({ page }) => {
    const count = async () =>
      (await seePlot(page, "#model-groups", 0, "series-0")).seen.filter((one) => one !== null)
        .length;
    assert.ok(await count() > 500);
    await page.emulateMedia({ colorScheme: "dark" });
    // The page is told of it a moment later.
    for (let tries = 0; tries < 250 && await count() === 0; tries++) await page.waitForTimeout(20);
    assert.ok(await count() > 500);
    await page.setViewportSize({ width: 500, height: 800 });
    const width = "document.querySelector('#model-groups canvas').clientWidth";
    await page.waitForFunction(`${width} < 480`);
    assert.ok(await count() > 200);
  });
});

browserTest("drift is a curve of each kind of layer", async (open) => {
  await open("calibrated.html", {}, async ({ page }) => {
    const [range, rms] = [
      await seePlot(page, ".drift", 0, "series-0"),
      await seePlot(page, ".drift", 0, "series-1"),
    ];
    // From 0.5 at the left to 1.5 at the right of an axis up to 1.5.
    isNear(heightAt(range, 0.02), 0.35, 0.04);
    isNear(heightAt(range, 0.5), 2 / 3, 0.04);
    isNear(heightAt(range, 0.97), 0.98, 0.04);
    isNear(heightAt(rms, 0.1) ?? heightAt(rms, 0.11), 2 / 3, 0.03);
    assert.ok((await seePlot(page, ".drift", 1, "series-1")).seen.every((one) => one === null));
  });
});

browserTest(
  "inputs are drawn with range, scale before and after, and the boundaries of their groups",
  async (open) => {
    await open("activations.html", {}, async ({ page }) => {
      assert.equal(await page.locator("#activations .inputs .uplot").count(), 12);
      // The third and the first one of the layers: of 5x and 7x.
      for (const [chart, name, rangeEnd, scaleEnd] of [[0, 6, 30, 3], [2, 4, 20, 2]] as const) {
        const layer = INPUTS.activations!.layers.find((one) => one.name === NAMES[name])!;
        const box = `#activations figure:nth-child(${chart + 1}) .inputs`;
        const range = await seePlot(page, box, 0, "series-2");
        isNear(heightAt(range, 0.01)! * rangeEnd, 3, 0.6);
        isNear(heightAt(range, 0.48)! * rangeEnd, 3 * (1 + name * 0.48), 0.6);
        isNear(heightAt(range, 0.98)! * rangeEnd, 3 * (1 + name), 0.6);
        const [after, before] = [
          await seePlot(page, box, 1, "series-0"),
          await seePlot(page, box, 1, "series-1"),
        ];
        for (let g = 0; g < 4; g++) {
          for (const at of [0.1, 0.9]) {
            const share = (g + at) / 4 + 0.0001;
            isNear(heightAt(after, share)! * scaleEnd, layer.scale[g]!, 0.03 * scaleEnd);
          }
          // Its dashes leave holes.
          const near = [0.4, 0.44, 0.48, 0.52, 0.56].map((at) => heightAt(before, (g + at) / 4));
          const drawn = near.find((height) => height !== null)!;
          isNear(drawn * scaleEnd, layer.baseline_scale[g]!, 0.03 * scaleEnd);
        }
        for (const panel of [0, 1]) {
          const { seen, width, height } = await seePlot(page, box, panel, "muted");
          const upright = seen.flatMap((rows, x) => rows && rows[2] > 0.8 * height ? [x] : []);
          assert.equal(upright.length, 3);
          for (const [b, x] of upright.entries()) {
            isNear((x + 0.5) / width, (180 + 200 * b) / 760, 0.006);
          }
        }
      }
    });
  },
);

browserTest("a scale that moves within time groups is drawn as it moves", async (open) => {
  await open("moving.html", {}, async ({ page }) => {
    const box = "#activations figure:nth-child(1) .inputs";
    const after = await seePlot(page, box, 1, "series-0");
    for (const share of [0.1, 0.4, 0.6, 0.9]) {
      // From 3 / 15 to 21 / 15 on an axis up to 3.
      isNear(heightAt(after, share)! * 3, 0.2 * (1 + 6 * share), 0.06);
    }
    const range = await seePlot(page, box, 0, "series-2");
    isNear(heightAt(range, 0.5)! * 30, 12, 0.6);
  });
});

browserTest("boundaries that lie too close to be told apart are thinned out", async (open) => {
  await open("crowded.html", {}, async ({ page }) => {
    const { seen, height } = await seePlot(page, "#activations .inputs", 0, "muted");
    const upright = seen.flatMap((rows, x) => rows && rows[2] > 0.8 * height ? [x] : []);
    assert.ok(upright.length > 30, String(upright.length));
    for (const [i, x] of upright.entries()) assert.ok(i === 0 || x - upright[i - 1]! >= 4);
  });
});

browserTest("a page is printed light, with charts that fit the sheet", async (open) => {
  await open("phase.html", { colorScheme: "dark" }, async ({ page }) => {
    await page.evaluate(`dispatchEvent(new Event("beforeprint"))`);
    const light = "getComputedStyle(document.documentElement).getPropertyValue('--text')";
    assert.equal(await page.evaluate(light), "#1b2330");
    const wide =
      "Math.max(...[...document.querySelectorAll('.uplot')].map((one) => one.clientWidth))";
    const width = await page.evaluate<number>(wide);
    assert.ok(width > 500 && width < 690, `${width} pixels`);
    assert.ok((await seePlot(page, "#model-groups", 0, "series-0")).seen.some((one) => one));
    await page.evaluate(`dispatchEvent(new Event("afterprint"))`);
    assert.equal(await page.evaluate(light), "#e7ebf2");
    assert.ok(await page.evaluate<number>(wide) > 900);
    const pdf = new TextDecoder("latin1").decode(await page.pdf({ format: "A4" }));
    const sheets = pdf.match(/\/Type\s*\/Page\b/g)!.length;
    assert.ok(sheets >= 6 && sheets <= 14, `${sheets} sheets`);
  });
});
