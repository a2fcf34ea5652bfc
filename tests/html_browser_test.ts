/** The page in a real browser. */

import assert from "node:assert/strict";
import { compareReports } from "../lib/compare/compare_reports.ts";
import { renderComparisonHtml, renderHtml } from "../lib/render/render_html.ts";
import type { LayerReport } from "../lib/report/report_layer.ts";
import { assertNoViolations, type Look, LOOKS, PHONE_SIZE } from "./audit_page.ts";
import {
  HOSTILE_NAMES,
  inventActivations,
  inventCalibrated,
  inventPhase,
  inventReport,
  layerNames,
  OPTIMIZE,
} from "./invent_report.ts";
import type { Report } from "../mod.ts";
import { column, findColumn, seePlot, testPages } from "./visit_pages.ts";

const NAMES = layerNames(40);
const REPORT = inventReport({ names: NAMES });
const PHASE = inventPhase(REPORT, { ...OPTIMIZE, smoothing_window: 3, smoothing_method: "linear" });
const BASELINE = inventReport({ names: NAMES.slice(1), seed: 1 });
const BETWEEN = inventReport({ names: NAMES, seed: 2 });

/** A page of so many reports beside a baseline: layers new and gone, another width, a strange name. */
function renderMany(count: number): Promise<string> {
  const reports = Array.from({ length: count }, (_, i): Report => ({
    ...inventReport({ names: i === 1 ? NAMES.slice(3) : NAMES, seed: i + 2 }),
    bit_width: i === 2 ? 4 : 2,
    sqnr_db: 6 * i,
  }));
  const currents = reports.map((_, i) =>
    i === 1 ? HOSTILE_NAMES[1]! : `runs/${i}-bits/report.json`
  );
  return renderComparisonHtml(
    [BASELINE, ...reports],
    reports.map((report) => compareReports(BASELINE, report)),
    { labels: { baseline: "baseline.json", currents } },
  );
}

/** A layer as older versions reported it. */
function withoutShare(
  { error_share: _, weight_histogram: __, ...layer }: LayerReport,
): LayerReport {
  return layer;
}

/** Pages by the name of their file. */
const PAGES: Record<string, string> = {
  "plain.html": await renderHtml(REPORT),
  "older.html": await renderHtml({ ...REPORT, layers: REPORT.layers.map(withoutShare) }),
  "hostile.html": await renderHtml(inventReport({ names: HOSTILE_NAMES })),
  "compared.html": await renderComparisonHtml(
    [BASELINE, BETWEEN, REPORT],
    [BETWEEN, REPORT].map((one) => compareReports(BASELINE, one)),
  ),
  "four.html": await renderMany(4),
  "eight.html": await renderMany(8),
  "single.html": await renderHtml(inventReport({ names: NAMES, groups: 1 })),
  "empty.html": await renderHtml({ ...REPORT, layers: [] }),
  "phase.html": await renderHtml(PHASE, {
    pictures: {
      title: "Pictures",
      rows: ["before", "after"].map((label) => ({
        label,
        svg:
          `<svg viewBox="0 0 179 8" role="img" aria-label="${label}"><path d="M0 0h99v8z"/></svg>`,
        note: "Score 0.9500, SQNR 12.2 dB, 95 % recognised",
      })),
      table: {
        headings: [
          "Run",
          "Score",
          "Violations",
          "Cosine",
          "SQNR",
          "Denoiser",
          "Seen",
          "Time",
          "MB",
        ],
        rows: ["before", "after"].map((name) => [name, ...Array(8).fill("12.345 dB")]),
      },
      credit: "Digits: UCI, CC BY 4.0",
    },
  }),
  "calibrated.html": await renderHtml(
    inventCalibrated(inventPhase(REPORT, OPTIMIZE), [...HOSTILE_NAMES.slice(0, 10), NAMES[0]!]),
  ),
  "activations.html": await renderHtml(
    inventActivations(inventReport({ names: [...HOSTILE_NAMES.slice(0, 5), ...NAMES] })),
  ),
  "large.html": await renderHtml(inventReport({ names: layerNames(10_000) })),
};

const PHONE = { viewport: PHONE_SIZE };

const browserTest = testPages(PAGES);

browserTest("a page asks for nothing but itself and logs nothing", async (open) => {
  for (const file of Object.keys(PAGES)) {
    await open(file, {}, ({ page, complaints, requests }) => {
      assert.deepEqual(complaints, [], file);
      assert.deepEqual(requests, [page.url()], file);
      return Promise.resolve();
    });
  }
});

browserTest("a page runs no name as script and shows it as text", async (open) => {
  await open("hostile.html", {}, async ({ page }) => {
    assert.equal(await page.locator("main img, main b[onmouseover]").count(), 0);
    const shown = await column(page, "layer-table", 1);
    assert.equal(shown.length, HOSTILE_NAMES.length);
    assert.ok(shown.includes(HOSTILE_NAMES[0]!) && shown.includes("__proto__"));
    assert.ok(shown.includes("new\\u{a}line\\u{d}\\u{2028}"));
    assert.ok(shown.includes('""') && shown.includes('"   "'));
    await page.locator("#layer-table-filter").fill("__proto__");
    await page.locator("#layer-table tbody button").click();
    assert.equal(await page.locator("#layer-pick").inputValue(), "7");
    assert.equal(await page.locator("#layer-name").textContent(), "__proto__");
  });
});

browserTest(
  "a page lists its layers by their share of the error, and sorts them when a heading is pressed",
  async (open) => {
    await open("plain.html", {}, async ({ page }) => {
      const shares = (await column(page, "layer-table", 2)).map(parseFloat);
      assert.equal(shares[0], 2.98);
      assert.deepEqual(shares, shares.toSorted((a, b) => b - a));
      const share = page.locator("#layer-table th", { hasText: "Share of error" });
      assert.equal(await share.getAttribute("aria-sort"), "descending");
      assert.deepEqual((await column(page, "layer-table", 3)).slice(0, 3), Array(3).fill("broken"));
      const heading = page.locator("#layer-table th", { hasText: "Score" });
      await heading.getByRole("button").press("Enter");
      assert.equal(await heading.getAttribute("aria-sort"), "ascending");
      const score = await findColumn(page, "layer-table", "Score");
      const scores = await column(page, "layer-table", score);
      assert.deepEqual(scores, scores.toSorted());
      await heading.getByRole("button").press("Enter");
      assert.equal(await heading.getAttribute("aria-sort"), "descending");
      const sorted = await column(page, "layer-table", score);
      assert.deepEqual(sorted, sorted.toSorted().reverse());
      await page.getByRole("button", { name: "SQNR" }).click();
      const place = await findColumn(page, "layer-table", "SQNR");
      const sqnr = (await column(page, "layer-table", place)).map(Number);
      assert.deepEqual(sqnr, sqnr.toSorted((a, b) => a - b));
      await page.getByRole("button", { name: "SQNR" }).click();
      assert.equal((await column(page, "layer-table", place))[0], "no error");
    });
  },
);

browserTest(
  "a page of a report without shares lists its layers by SQNR and says so",
  async (open) => {
    await open("older.html", {}, async ({ page, complaints }) => {
      assert.equal(await findColumn(page, "layer-table", "Share of error"), 0);
      const heading = page.locator("#layer-table th", { hasText: "SQNR" });
      assert.equal(await heading.getAttribute("aria-sort"), "ascending");
      for (const chart of ["error-bars", "error-scatter"]) {
        assert.equal(
          await page.locator(`#${chart} .u-title`).textContent(),
          "SQNR in dB, low is worse",
        );
      }
      assert.ok(!await page.locator("#error-scale").isVisible());
      assert.ok(!await page.locator("#layer-codes").isVisible());
      await page.evaluate(`dispatchEvent(new Event("beforeprint"))`);
      assert.equal(await page.locator("#layer-codes .uplot").count(), 0);
      assert.deepEqual(complaints, []);
      const worst = REPORT.layers.toSorted((a, b) => (a.sqnr_db ?? 99) - (b.sqnr_db ?? 99))[0]!;
      assert.equal(
        await page.locator("#error-bars-readout").textContent(),
        `${worst.name}: broken, SQNR of the weights ${worst.sqnr_db!.toFixed(2)} dB`,
      );
      assert.equal(await page.locator("#layer-name").textContent(), worst.name);
    });
  },
);

browserTest("a page filters its tables and turns their leaves", async (open) => {
  await open("plain.html", {}, async ({ page }) => {
    const status = page.locator("#layer-table-status");
    assert.equal(await status.textContent(), "1 to 25 of 40");
    const previous = page.getByRole("button", { name: "Previous page of layers" });
    assert.equal(await previous.getAttribute("aria-disabled"), "true");
    await page.getByRole("button", { name: "Next page of layers" }).press("Enter");
    assert.equal(await status.textContent(), "26 to 40 of 40");
    await page.locator("#layer-table-filter").fill("LAYERS.3.");
    assert.equal(await status.textContent(), "1 to 4 of 4 (of 40)");
    await page.locator("#layer-table-filter").fill("nothing like it");
    assert.equal(await status.textContent(), "Nothing to show");
    await page.locator("#layer-table-filter").fill("");
    await page.locator("#layer-which").selectOption("violations");
    const rough = REPORT.layers.filter(({ violation_count }) => violation_count > 0);
    assert.equal(await status.textContent(), `1 to 25 of ${rough.length}`);
    const total = rough.reduce((sum, { violation_count }) => sum + violation_count, 0);
    await page.locator("#violation-scope").selectOption("layers");
    assert.equal(
      await page.locator("#violation-table-status").textContent(),
      `1 to 25 of ${total}`,
    );
    await page.locator("#violation-table-filter").fill("high");
    const severities = await column(page, "violation-table", 5);
    assert.deepEqual([...new Set(severities)], ["high"]);
  });
});

browserTest("a chart tells its values to pointer, keys and screen reader", async (open) => {
  await open("plain.html", {}, async ({ page }) => {
    const chart = page.getByRole("slider", { name: "Time group", exact: true });
    await chart.focus();
    await page.keyboard.press("End");
    assert.match((await chart.getAttribute("aria-valuetext"))!, /^Time group 7: scale 0\.\d+/);
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("ArrowLeft");
    assert.equal(await chart.getAttribute("aria-valuenow"), "5");
    const box = (await chart.boundingBox())!;
    const cursors = await page.locator("#model-groups .cursor").evaluateAll((all) =>
      all.map((one) => one.getBoundingClientRect().toJSON() as DOMRect)
    );
    assert.equal(cursors.length, 3);
    for (const { left, width } of cursors) {
      assert.ok(
        Math.abs(left - box.x - 60 - 5 * (box.width - 72) / 8) < 2 &&
          Math.abs(width - (box.width - 72) / 8) < 2,
      );
    }
    await page.mouse.move(box.x + 70, box.y + 100);
    assert.match(
      (await page.locator("#model-groups-readout").textContent())!,
      /^Time group 0: .*Boundary 0 to 1/,
    );
    const own = page.getByRole("slider", { name: "Time group of the layer" });
    assert.match((await own.getAttribute("aria-valuetext"))!, /^Time group 0 \(rows 0 to 7\)/);
  });
});

browserTest("a heat map names its cells and leads to the layer", async (open) => {
  await open("plain.html", {}, async ({ page }) => {
    const map = page.locator("#heat-map");
    await map.focus();
    for (const key of ["ArrowDown", "ArrowRight", "ArrowRight"]) await page.keyboard.press(key);
    const text = (await page.locator("#heat-readout").textContent())!;
    assert.ok(text.startsWith(`Boundary 1 to 2 of ${NAMES[2]}: score 0.`), text);
    await page.keyboard.press("Enter");
    assert.equal(await page.locator("#layer-name").textContent(), NAMES[2]);
    assert.equal(await page.evaluate("document.activeElement.id"), "layer-name");
  });
});

browserTest("a comparison overlays its reports and filters layers by direction", async (open) => {
  await open("compared.html", {}, async ({ page }) => {
    assert.equal(await page.locator("#model-groups .uplot").count(), 4);
    assert.equal(await page.locator("#model-groups-readout p").count(), 3);
    await page.locator("#layer-which").selectOption("new");
    assert.deepEqual(await column(page, "layer-table", 1), [NAMES[0]]);
    await page.locator("#layer-which").selectOption("worse");
    const place = await findColumn(page, "layer-table", "Against the baseline");
    const words = await column(page, "layer-table", place);
    assert.ok(words.length > 1 && words.every((text) => text.startsWith("worse ")));
  });
});

browserTest(
  "a page of eight reports keeps its figures' names in sight, and fits paper",
  async (open) => {
    const table = "#comparison table >> nth=0";
    const wide = ["#comparison .hint >> nth=0", "#comparison tbody th >> nth=0"] as const;
    await open("eight.html", PHONE, async ({ page }) => {
      const [hint, name] = wide.map((one) => page.locator(one));
      assert.ok(await hint!.isVisible());
      const before = (await name!.boundingBox())!;
      assert.ok(before.width < 140, `${before.width}`);
      const moved = await page.locator("#comparison .scroll >> nth=0").evaluate((scroll) => {
        scroll.scrollLeft = 300;
        return scroll.scrollLeft;
      });
      assert.equal(moved, 300);
      assert.equal((await name!.boundingBox())!.x, before.x);
    });
    await open("four.html", PHONE, async ({ page }) => {
      assert.ok(await page.locator(wide[0]).isVisible());
      await page.setViewportSize({ width: 1200, height: 900 });
      assert.ok(!await page.locator(wide[0]).isVisible());
    });
    await open("eight.html", { viewport: { width: 920, height: 700 } }, async ({ page }) => {
      assert.ok(await page.locator(wide[0]).isVisible());
      // Nine curves, each of a color of its own.
      for (const index of Array(9).keys()) {
        const { seen } = await seePlot(page, "#model-groups", 0, `series-${index}`);
        assert.ok(seen.some((one) => one !== null), `curve ${index}`);
      }
      await page.emulateMedia({ media: "print" });
      const [box, sheet] = [
        (await page.locator(table).boundingBox())!,
        (await page.locator("#comparison").boundingBox())!,
      ];
      assert.ok(box.x + box.width <= sheet.x + sheet.width, `${box.width} of ${sheet.width}`);
      assert.ok(!await page.locator(wide[0]).isVisible());
    });
  },
);

browserTest(
  "a page of another phase overlays its baseline and shows its pictures",
  async (open) => {
    await open("phase.html", {}, async ({ page }) => {
      const readout = await page.locator("#model-groups-readout p").allTextContents();
      assert.ok(readout[1]!.startsWith("Phase baseline: scale 0."), readout[1]);
      await page.locator("#layer-which").selectOption("better");
      assert.equal(await page.locator("#layer-table-status").textContent(), "1 to 25 of 40");
      const boxes = await page.locator("#pictures svg").evaluateAll((all) =>
        all.map((one) => one.getBoundingClientRect().toJSON() as DOMRect)
      );
      assert.equal(boxes.length, 2);
      for (const { width, height } of boxes) assert.ok(width > 700 && height > 25 && height < 60);
      assert.equal(await page.getByRole("img", { name: "after" }).count(), 1);
    });
  },
);

browserTest(
  "a page of a calibrated run draws drift and lists what outputs come to",
  async (open) => {
    await open("calibrated.html", {}, async ({ page }) => {
      const charts = page.locator("#calibration figure");
      assert.equal(await charts.count(), 11);
      const boxes = await page.locator("#calibration canvas").evaluateAll((all) =>
        all.map((one) => one.getBoundingClientRect().toJSON() as DOMRect)
      );
      assert.equal(boxes.length, 11);
      for (const { width, height } of boxes) assert.ok(width > 200 && height > 80 && height < 200);
      const name = `${HOSTILE_NAMES[0]}, inputs over time: range 3.2x, RMS 1.0x, 4 layers`;
      assert.equal(await page.getByRole("img", { name }).count(), 1);
      await page.getByRole("button", { name: "Output SQNR, dB" }).click();
      const index = await findColumn(page, "layer-table", "Output SQNR");
      const outputs = await column(page, "layer-table", index);
      const numbers = outputs.map(Number);
      assert.equal(numbers[0], 15.13);
      assert.deepEqual(numbers, numbers.toSorted((a, b) => a - b));
      await page.getByRole("button", { name: "Output SQNR, dB" }).click();
      assert.equal((await column(page, "layer-table", index))[0], "n/a");
    });
  },
);

browserTest(
  "a page lists what time groups are worth to each layer's inputs, sorts and filters them",
  async (open) => {
    await open("activations.html", {}, async ({ page }) => {
      const status = page.locator("#input-table-status");
      // The first layer's inputs are not known.
      assert.equal(await status.textContent(), "1 to 25 of 44");
      const columnOf = async (heading: string) =>
        await column(page, "input-table", await findColumn(page, "input-table", heading));
      const head = page.locator("#input-table th[scope=col]");
      assert.deepEqual(await head.allTextContents(), [
        "Layer",
        "One range",
        "Time groups",
        "Limit",
        "Score",
        "Violations",
        "Recommended groups",
      ]);
      assert.equal(await head.nth(2).getAttribute("aria-sort"), "ascending");
      const row = page.locator("#input-table tbody tr").nth(1);
      assert.deepEqual(await row.locator("th, td").allTextContents(), [
        HOSTILE_NAMES[2],
        "12.63",
        "15.38",
        "16.25",
        "0.8244",
        "1",
        "2",
      ]);
      const grouped = page.locator("#input-table").getByRole("button", { name: "Time groups" });
      await grouped.click();
      assert.deepEqual((await columnOf("Time groups")).slice(0, 2), ["no error", "20.63"]);
      await page.locator("#input-which").selectOption("more");
      assert.deepEqual([...new Set(await columnOf("Recommended"))].sort(), ["16", "8"]);
      await page.locator("#input-which").selectOption("violations");
      const rough = [0, 1, 2, 2, 2, 2];
      const count = Array.from({ length: 44 }, (_, i) => rough[i % 6]! > 0).filter(Boolean).length;
      assert.equal(await status.textContent(), `1 to 25 of ${count}`);
      assert.ok(!(await columnOf("Violations")).includes("0"));
      assert.equal(
        await page.locator("#input-which option").nth(1).textContent(),
        `with violations (${count})`,
      );
      await page.locator("#input-which").selectOption("");
      await page.locator("#input-table-filter").fill("layers.3.mlp.experts.2");
      await page.locator("#input-table tbody button.layer").click();
      assert.equal(await page.locator("#layer-name").textContent(), NAMES[14]);
      assert.equal(await page.locator("main img, main b[onmouseover]").count(), 0);
      const name = `${HOSTILE_NAMES[1]}, range and scale over time: range 2.0x, expected SQNR ` +
        "12.50 dB with one range, 15.25 dB with the groups";
      assert.equal(await page.getByRole("img", { name }).count(), 1);
    });
  },
);

browserTest("a page fits 320 pixels, paper and the dark", async (open) => {
  const ground = "getComputedStyle(document.body).backgroundColor";
  for (const file of Object.keys(PAGES)) {
    await open(file, PHONE, async ({ page }) => {
      assert.equal(await page.evaluate("document.documentElement.scrollWidth"), 320, file);
    });
  }
  await open("plain.html", { colorScheme: "dark" }, async ({ page }) => {
    assert.equal(await page.evaluate(ground), "rgb(15, 19, 25)");
    await page.emulateMedia({ media: "print" });
    assert.equal(await page.evaluate(ground), "rgb(255, 255, 255)");
    assert.ok(!await page.locator("nav").isVisible());
    assert.ok(!await page.locator("#layer-table-filter").isVisible());
    const pdf = await page.pdf();
    assert.ok(pdf.length > 20_000);
    assert.equal(await page.locator("details:not([open])").count(), 0);
  });
  await open("plain.html", { colorScheme: "light" }, async ({ page }) => {
    assert.equal(await page.evaluate(ground), "rgb(245, 246, 248)");
  });
});

browserTest(
  "a table too wide for a phone has a shadow where it goes on, and its headings stay in sight",
  async (open) => {
    await open("compared.html", PHONE, async ({ page }) => {
      const region = page.getByRole("region", { name: "Table of layers" });
      const box = (await region.boundingBox())!;
      const sheet = "rgb(255, 255, 255)";
      const colors = await page.evaluate<string[]>(`(async () => {
      const region = document.querySelector("[aria-label='Table of layers']");
      return [
        getComputedStyle(region).backgroundAttachment,
        String(region.scrollWidth > region.clientWidth + 100),
        getComputedStyle(region.querySelector("thead th")).backgroundColor,
      ];
    })()`);
      assert.deepEqual(colors, ["local, local, scroll, scroll", "true", sheet]);
      await region.evaluate((one) => {
        (one as unknown as { scrollTop: number }).scrollTop = 300;
      });
      const head = (await page.locator("#layer-table thead th").first().boundingBox())!;
      assert.ok(Math.abs(head.y - box.y) < 2, `${head.y} is not ${box.y}`);
      const row = (await page.locator("#layer-table tbody tr").first().boundingBox())!;
      assert.ok(row.y < box.y);
    });
  },
);

browserTest("a page without scripts says so and shows nothing that stays empty", async (open) => {
  await open("activations.html", { javaScriptEnabled: false }, async ({ page }) => {
    assert.ok(await page.locator("#activations dl").isVisible());
    for (const part of [".inputs", "#input-table", "#input-table-filter", "#input-table-status"]) {
      assert.ok(!await page.locator(part).first().isVisible(), part);
    }
  });
  await open("phase.html", { javaScriptEnabled: false }, async ({ page }) => {
    assert.ok(await page.locator("noscript .notice").isVisible());
    assert.ok(await page.locator("#meaning").isVisible());
    for (const id of ["layers", "layer", "model-groups", "violation-table", "json"]) {
      assert.ok(!await page.locator(`#${id}`).isVisible(), id);
    }
    assert.ok(await page.locator("#pictures svg").first().isVisible());
  });
});

browserTest("a page has 0 violations of axe-core, light, dark and on a phone", async (open) => {
  const [light, dark, phone, darkPhone] = LOOKS as [Look, Look, Look, Look];
  const files = {
    "plain.html": LOOKS,
    "compared.html": LOOKS,
    "four.html": LOOKS,
    "phase.html": LOOKS,
    "calibrated.html": LOOKS,
    "activations.html": LOOKS,
    "hostile.html": [light, darkPhone],
    "older.html": [dark, phone],
    "single.html": [light, darkPhone],
    "empty.html": [dark, phone],
    "large.html": [light],
  };
  for (const [file, looks] of Object.entries(files)) {
    await open(file, {}, async ({ page }) => {
      await page.locator("details").evaluateAll((all) => {
        for (const one of all) one.setAttribute("open", "");
      });
      await assertNoViolations(page, looks, file);
    });
  }
});

browserTest("a page of 10,000 layers is shown, sorted and filtered", async (open) => {
  await open("large.html", {}, async ({ page }) => {
    const marks = "performance.getEntriesByName('isotherm-interactive').length";
    assert.equal(await page.evaluate(marks), 1);
    assert.equal(await page.locator("#layer-table-status").textContent(), "1 to 25 of 10,000");
    assert.equal(await page.locator("#layer-table tbody tr").count(), 25);
    await page.getByRole("button", { name: "Layer", exact: true }).click();
    assert.equal((await column(page, "layer-table", 1))[0], "model.layers.0.mlp.experts.0.w1");
    await page.locator("#layer-table-filter").fill("layers.2499.");
    assert.equal((await column(page, "layer-table", 1)).length, 4);
  });
});
