/** The page of a history, as text and in a real browser. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Browser, BrowserContextOptions } from "npm:playwright-core@1.65.1";
import { type HistoryEntry, makeHistoryEntry, type Report } from "../mod.ts";
import { renderHistoryHtml } from "../lib/render/html_history.ts";
import { assertNoViolations, LOOKS, PHONE_SIZE } from "./audit_page.ts";
import { NO_CHROMIUM } from "./find_chromium.ts";
import { HOSTILE_NAMES, inventCalibrated, inventReport, layerNames } from "./invent_report.ts";
import { withFiles } from "./make_model.ts";
import { makeReport } from "./make_report.ts";
import { openBrowser, type Visit, visitFile } from "./open_browser.ts";

const CALIBRATED: Report = {
  ...inventCalibrated(inventReport({ names: layerNames(4) })),
  model_name: "dlm",
};

/** A commit by its number. */
const commitOf = (i: number) => `${i}abcdef`.padEnd(40, "0");

/** INT4 at every commit with a baseline, INT8 from the third on, a calibrated model from the fourth on. */
const ENTRIES: HistoryEntry[] = [20.3, 20.4, 19, 20.2, 20.25].flatMap((sqnr_db, i) => {
  const commit = commitOf(i);
  const four = makeReport({ bit_width: 4, sqnr_db, smoothness_score: 0.9 + i / 100 });
  const baseline = makeReport({ bit_width: 4, sqnr_db: 20.3, smoothness_score: 0.92 });
  const eight = makeReport({ bit_width: 8, sqnr_db: i === 4 ? null : 44 });
  return [
    makeHistoryEntry(four, { commit, baseline }),
    ...i < 2 ? [] : [makeHistoryEntry(eight, { commit })],
    ...i < 3 ? [] : [makeHistoryEntry(CALIBRATED, { commit, baseline: CALIBRATED })],
  ];
});

const HOSTILE = HOSTILE_NAMES.map((model_name) =>
  makeHistoryEntry(makeReport({ model_name, ignore: HOSTILE_NAMES }), { commit: commitOf(0) })
);

const PAGES: Record<string, string> = {
  "plain.html": await renderHistoryHtml(ENTRIES),
  "single.html": await renderHistoryHtml(ENTRIES.slice(0, 1)),
  "exact.html": await renderHistoryHtml([makeHistoryEntry(makeReport({ sqnr_db: null }))]),
  "hostile.html": await renderHistoryHtml(HOSTILE),
  "large.html": await renderHistoryHtml(
    Array.from({ length: 2000 }, (_, i) => ({ ...ENTRIES[0]!, commit: commitOf(i) })),
  ),
};

const PHONE = { viewport: PHONE_SIZE };

/** The embedded data of a page. */
function dataOf(page: string) {
  const [, text] = /<script type="application\/json" id="page-data">(.*?)<\/script>/s.exec(page)!;
  return JSON.parse(text!);
}

/** A page without its style, data and script. */
function markupOf(page: string): string {
  return page.replaceAll(/<(style|script)[^>]*>.*?<\/\1>/gs, "");
}

/** The rows of the table, each a list of texts. */
function rowsOf(page: string): string[][] {
  const [, body] = /<tbody>(.*?)<\/tbody>/s.exec(page)!;
  return [...body!.matchAll(/<tr>(.*?)<\/tr>/g)].map(([, row]) =>
    [...row!.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/g)].map(([, cell]) =>
      cell!.replaceAll(/<[^>]*>/g, "")
    )
  );
}

Deno.test("renderHistoryHtml() gives each identity a line, a value at each commit and its band", () => {
  const { commits, lines, charts } = dataOf(PAGES["plain.html"]!);
  assert.deepEqual(commits, ["0abcdef", "1abcdef", "2abcdef", "3abcdef", "4abcdef"]);
  assert.deepEqual(
    lines.map(({ label, color }: { label: string; color: number }) => [label, color]),
    [
      ["tiny, INT4", 0],
      ["tiny, INT8", 1],
      ["dlm, INT2", 2],
    ],
  );
  assert.deepEqual(charts.map(({ id }: { id: string }) => id), [
    "outputs",
    "weights",
    "score",
    "size",
    "time",
  ]);
  const [outputs, weights, score, size, time] = charts;
  const none = Array(5).fill(null);
  assert.deepEqual(outputs.values, [none, none, [null, null, null, 17.54, 17.54]]);
  assert.deepEqual(outputs.bands[2][4], [17.34, 17.54]);
  assert.deepEqual(weights.values, [
    [20.3, 20.4, 19, 20.2, 20.25],
    [null, null, 44, 44, null],
    none,
  ]);
  assert.deepEqual(weights.bands[0], Array(5).fill([20.1, 20.3]));
  assert.deepEqual(weights.bands.slice(1), [none, none]);
  assert.deepEqual(weights.limits.map(({ words }: { words: string }) => words), [
    "excellent, 35",
    "good, 18",
    "fair, 12",
    "poor, 7.5",
  ]);
  assert.deepEqual(outputs.limits.map(({ at }: { at: number }) => at), [38, 22, 16, 12]);
  assert.deepEqual(score.values[0], [0.9, 0.91, 0.92, 0.93, 0.94]);
  assert.deepEqual(score.bands[0][0], [0.91, 0.92]);
  assert.deepEqual(size.bands[0][0], [2.02, 2]);
  assert.deepEqual([time.values[0][0], time.bands[0], time.limits], [1.5, none, []]);
  assert.equal(
    lines[0].texts[2],
    "good, SQNR of the weights 19.00 dB, score 0.9200, 2.000 MB, 1.50 s",
  );
  assert.equal(lines[1].texts[0], null);
  assert.match(lines[1].texts[4], /^excellent, SQNR of the weights no error, /);
});

Deno.test("renderHistoryHtml() lists all entries with readable names, the newest first", () => {
  const page = PAGES["plain.html"]!;
  const heads = [...page.matchAll(/<th scope="col"[^>]*>([^<]*)</g)].map(([, head]) => head);
  assert.deepEqual(heads, [
    "Commit",
    "Model",
    "Quality",
    "Against the baseline",
    "SQNR of the weights, dB",
    "SQNR of the outputs, dB",
    "Smoothness score",
    "Violations",
    "Layers with violations",
    "Model size, MB",
    "Bits a weight",
    "Time, s",
  ]);
  const rows = rowsOf(page);
  assert.equal(rows.length, ENTRIES.length);
  assert.deepEqual(rows.map(([commit, model]) => `${commit} ${model}`).slice(0, 4), [
    "4abcdef dlm, INT2",
    "4abcdef tiny, INT8",
    "4abcdef tiny, INT4",
    "3abcdef dlm, INT2",
  ]);
  assert.deepEqual(rows[1]!.slice(2), [
    ...["excellent", "no baseline", "no error", "n/a", "0.9000"],
    ...["1", "0", "2.000", "16000.00", "1.50"],
  ]);
  assert.equal(rows[0]![5], "17.54");
  assert.deepEqual(rows.filter(([, model]) => model === "tiny, INT4").map((row) => row[3]), [
    "inside",
    "inside",
    "outside: SQNR",
    "inside",
    "outside: score",
  ]);
});

Deno.test("renderHistoryHtml() takes the later of two entries of a commit and numbers those without", async () => {
  const [first, again, none] = [{ sqnr_db: 1 }, { sqnr_db: 2 }, { sqnr_db: 3, commit: null }]
    .map((parts) => ({ ...ENTRIES[0]!, ...parts }));
  const page = await renderHistoryHtml([first!, again!, none!, none!]);
  const { commits, charts } = dataOf(page);
  assert.deepEqual(commits, ["0abcdef", "#2", "#3"]);
  assert.deepEqual(charts[0].values, [[2, 3, 3]]);
  assert.deepEqual(rowsOf(page).map(([commit]) => commit), ["none", "none", "0abcdef", "0abcdef"]);
});

Deno.test("renderHistoryHtml() says that there is no boundary where there is one time group", async () => {
  const single = makeHistoryEntry(makeReport({ num_time_groups: 1, smoothness_score: 1 }));
  const page = await renderHistoryHtml([single]);
  const { lines, charts } = dataOf(page);
  assert.match(lines[0].texts[0], /^poor, SQNR of the weights 10\.00 dB, no boundary to score, /);
  assert.deepEqual(charts[1].values, [[null]]);
  assert.equal(rowsOf(page)[0]![6], "no boundary");
});

Deno.test("renderHistoryHtml() tells lines beyond the fourth apart by their dashes", async () => {
  const many = Array.from({ length: 9 }, (_, i) => ({ ...ENTRIES[0]!, model_name: `m${i}` }));
  const { lines } = dataOf(await renderHistoryHtml(many));
  const looks = lines.map(({ color, dash }: { color: number; dash: number[] }) =>
    `${color} ${dash}`
  );
  assert.deepEqual(looks.slice(3, 6), ["3 ", "0 8,4", "1 8,4"]);
  assert.equal(new Set(looks).size, 9);
});

Deno.test("renderHistoryHtml() gives the same bytes, asks for nothing else and keeps names text", async () => {
  assert.equal(await renderHistoryHtml(structuredClone(ENTRIES)), PAGES["plain.html"]);
  const [plain, hostile] = [PAGES["plain.html"]!, PAGES["hostile.html"]!].map(markupOf);
  for (const page of [plain!, hostile!]) {
    assert.match(page, /Content-Security-Policy" content="default-src &#39;none&#39;; style-src/);
    for (const [, url] of page.matchAll(/\s(?:src|href)="([^"]*)"/g)) {
      assert.match(url!, /^(#|data:)/);
    }
  }
  assert.doesNotMatch(plain!, / style=|\son\w+=/);
  const attributes = (text: string) =>
    new Set([...text.matchAll(/\s([\w-]+)="/g)].map(([, name]) => name));
  assert.deepEqual(attributes(hostile!), attributes(plain!));
  const tags = (text: string) => [...new Set([...text.matchAll(/<(\w+)/g)].map(([, tag]) => tag))];
  assert.deepEqual(tags(hostile!).sort(), tags(plain!).sort());
  // deno-lint-ignore no-control-regex -- they are what must not be there
  assert.doesNotMatch(PAGES["hostile.html"]!, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\u2066]/);
  assert.ok(PAGES["hostile.html"]!.length < 250_000);
});

/** Registers a test that gets a function to open pages with. */
function browserTest(
  name: string,
  run: (
    open: (
      file: string,
      options: BrowserContextOptions,
      use: (visit: Visit) => Promise<void>,
    ) => Promise<void>,
  ) => Promise<void>,
): void {
  // The browser is a process of its own, whose pipes outlive what closes it by a moment.
  const lax = { sanitizeOps: false, sanitizeResources: false };
  Deno.test({ name, ignore: NO_CHROMIUM, ...lax }, async () => {
    await withFiles(PAGES, async (directory) => {
      let browser: Browser | undefined;
      try {
        const running = browser = await openBrowser();
        await run((file, options, use) => visitFile(running, join(directory, file), options, use));
      } finally {
        await browser?.close();
      }
    });
  });
}

/** How many pixels of a chart have about the color of a variable of the style. */
const countPixels = (chart: string, variable: string) =>
  `(() => {
    const canvas = document.querySelector("#chart-${chart} canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const hex = getComputedStyle(document.documentElement).getPropertyValue("--${variable}");
    const wanted = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] > 250 && wanted.every((one, c) => Math.abs(one - data[i + c]) < 3)) count++;
    }
    return count;
  })()`;

browserTest("a history asks for nothing but itself and logs nothing", async (open) => {
  for (const file of Object.keys(PAGES)) {
    await open(file, {}, ({ page, complaints, requests }) => {
      assert.deepEqual(complaints, [], file);
      assert.deepEqual(requests, [page.url()], file);
      return Promise.resolve();
    });
  }
});

browserTest(
  "a history draws a line of its own color for each identity, and grades",
  async (open) => {
    for (const colorScheme of ["light", "dark"] as const) {
      await open("plain.html", { colorScheme }, async ({ page }) => {
        const count = (chart: string, name: string) =>
          page.evaluate<number>(countPixels(chart, name));
        for (
          const [chart, ...names] of [
            ["weights", "series-0", "series-1", "good", "excellent"],
            ["outputs", "series-2", "fair"],
            ["score", "series-0", "series-1", "series-2"],
          ]
        ) {
          for (const name of names) assert.ok(await count(chart!, name!) > 40, `${chart} ${name}`);
        }
        assert.equal(await count("outputs", "series-0"), 0);
        assert.equal(await count("time", "good"), 0);
      });
    }
  },
);

browserTest(
  "a history shades what the gate allows, and the commit that is pointed at",
  async (open) => {
    await open("plain.html", {}, async ({ page }) => {
      // On a canvas that is empty otherwise the alpha is that of one layer: a band's, or the pointer's.
      const count = (chart: string, alpha: number) =>
        page.evaluate<number>(`(() => {
        const canvas = document.querySelector("#chart-${chart} canvas");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.filter((one, i) => i % 4 === 3 && Math.abs(one - ${255 * alpha}) < 1).length;
      })()`);
      for (const chart of ["outputs", "score"]) {
        assert.ok(await count(chart, 0.16) > 500, chart);
        assert.ok(await count(chart, 0.12) > 500, chart);
      }
      assert.equal(await count("time", 0.16), 0);
    });
  },
);

browserTest("a history is drawn anew when light turns into dark", async (open) => {
  await open("plain.html", { colorScheme: "light" }, async ({ page }) => {
    await page.emulateMedia({ colorScheme: "dark" });
    await page.waitForFunction(`${countPixels("score", "series-0")} > 40`);
  });
});

browserTest("a history tells its figures to pointer, keys and screen reader", async (open) => {
  await open("plain.html", {}, async ({ page }) => {
    const slider = page.getByRole("slider", { name: "Commit" });
    const readout = page.locator("#readout p");
    assert.deepEqual(
      (await readout.allTextContents()).map((text) => text.slice(0, 30)),
      [
        "4abcdef, tiny, INT4: good, SQN",
        "4abcdef, tiny, INT8: excellent",
        "4abcdef, dlm, INT2: broken, SQ",
      ],
    );
    await slider.focus();
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    assert.equal(await slider.getAttribute("aria-valuetext"), "1abcdef");
    assert.deepEqual(await readout.allTextContents(), [
      "1abcdef, tiny, INT4: good, SQNR of the weights 20.40 dB, score 0.9100, 2.000 MB, 1.50 s",
    ]);
    const plot = page.locator("#chart-time .u-over");
    const { width } = (await plot.boundingBox())!;
    await plot.hover({ position: { x: 0.7 * width, y: 20 } });
    assert.equal(await slider.inputValue(), "3");
    assert.equal(await readout.count(), 3);
    const name = /^Smoothness score: tiny, INT4 from 0\.9 to 0\.94; tiny, INT8 from 0\.9 to 0\.9; /;
    assert.equal(await page.getByRole("img", { name }).count(), 1);
  });
});

browserTest("a history shows one line, and no chart that has nothing of it", async (open) => {
  await open("plain.html", {}, async ({ page }) => {
    const titles = () => page.locator("figcaption:visible").allTextContents();
    assert.equal((await titles()).length, 5);
    await page.locator("#line").selectOption({ label: "tiny, INT4" });
    assert.deepEqual(await titles(), [
      "SQNR of the weights, dB",
      "Smoothness score",
      "Model size, MB",
      "Time of the run, s",
    ]);
    const count = (name: string, chart = "weights") =>
      page.evaluate<number>(countPixels(chart, name));
    assert.equal(await count("series-1"), 0);
    // Both have the same size, so the other line would still be in sight.
    assert.equal(await count("series-1", "size"), 0);
    assert.ok(await count("series-0") > 40);
    // 44 dB is out of sight, and so is what is excellent from 35 on.
    assert.equal(await count("excellent"), 0);
    assert.equal(await page.locator("#readout p").count(), 1);
    await page.locator("#line").selectOption("");
    assert.equal((await titles()).length, 5);
    assert.ok(await count("series-1") > 40);
  });
  await open("exact.html", {}, async ({ page }) => {
    assert.equal(await page.locator("#chart-weights").isVisible(), false);
    assert.equal(await page.locator("#chart-size").isVisible(), true);
  });
});

browserTest("a history keeps the headings of its table in sight", async (open) => {
  await open("large.html", {}, async ({ page }) => {
    const table = page.getByRole("region", { name: "Table of all entries" });
    const top = "document.querySelector('.tall thead th').getBoundingClientRect().top - " +
      "document.querySelector('.tall').getBoundingClientRect().top";
    await table.evaluate((one) => one.scrollTop = 5000);
    assert.ok(Math.abs(await page.evaluate<number>(top)) < 2);
    assert.equal(await page.locator("tbody tr").count(), 2000);
    await page.emulateMedia({ media: "print" });
    const { scrollHeight, clientHeight } = await table.evaluate(
      ({ scrollHeight, clientHeight }) => ({ scrollHeight, clientHeight }),
    );
    assert.equal(scrollHeight, clientHeight);
    assert.equal(await page.getByRole("slider").count(), 0);
  });
});

browserTest("a history runs no name as script and fits 320 pixels", async (open) => {
  for (const file of ["plain.html", "single.html", "hostile.html"]) {
    await open(file, PHONE, async ({ page }) => {
      assert.equal(await page.evaluate("document.documentElement.scrollWidth"), 320, file);
      const charts = await page.locator(".history canvas").evaluateAll((all) =>
        all.map((one) => one.getBoundingClientRect().right)
      );
      for (const right of charts) assert.ok(right <= 320, `${right}`);
    });
  }
  await open("hostile.html", {}, async ({ page }) => {
    assert.equal(await page.locator("main img, main b[onmouseover]").count(), 0);
    const names = await page.locator("td.model").allTextContents();
    assert.equal(names.length, HOSTILE_NAMES.length);
    assert.ok(names.includes(`${HOSTILE_NAMES[0]}, INT2`));
  });
});

browserTest("a history has 0 violations of axe-core, light, dark and on a phone", async (open) => {
  for (const file of ["plain.html", "single.html", "exact.html"]) {
    await open(file, {}, async ({ page }) => await assertNoViolations(page, LOOKS, file));
  }
});
