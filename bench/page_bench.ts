/**
 * How large the page of a report is, and how soon it can be read and used: of digits-dit, and of 10,000 layers in
 * 8 time groups. Medians, in a Chromium without a window.
 * `deno run --allow-all --lock=tests/deno.lock bench/page_bench.ts` prints a table.
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DEFAULT_SETTINGS, quantizeModel, renderHtml, type Report } from "../mod.ts";
import { inventReport, layerNames } from "../tests/invent_report.ts";
import { openBrowser, visitFile } from "../tests/open_browser.ts";

const ROUNDS = Number(Deno.args[0] ?? 7);

/** What a visit took, in milliseconds. */
interface Times {
  /** Until the score could be read. */
  paint: number;
  /** Until everything was there. */
  interactive: number;
  /** Longest sort of the table of layers, laid out anew. */
  sort: number;
  /** Typing a letter into the filter, charts included. */
  filter: number;
}

/** Asked of the page itself. */
const MEASURE = `(() => {
  const time = (act) => {
    const start = performance.now();
    act();
    document.body.getBoundingClientRect();
    return performance.now() - start;
  };
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  const [interactive] = performance.getEntriesByName("isotherm-interactive");
  const heads = [...document.querySelectorAll("#layer-table thead button")];
  const sort = Math.max(...heads.map((head) => time(() => head.click())));
  const field = document.getElementById("layer-table-filter");
  field.value = "1";
  const filter = time(() => field.dispatchEvent(new Event("input")));
  return { paint: paint.startTime, interactive: interactive.startTime, sort, filter };
})()`;

function median(values: number[]): string {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!.toFixed(0);
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

const directory = Deno.makeTempDirSync({ prefix: "isotherm-pages-" });
const browser = await openBrowser();
try {
  const model = fileURLToPath(new URL("../examples/digits-dit", import.meta.url));
  const settings = { ...DEFAULT_SETTINGS, phase: "optimize" } as const;
  const reports: [string, Report][] = [
    ["digits-dit", await quantizeModel(model, join(directory, "out"), settings)],
    ["10,000 layers", inventReport({ names: layerNames(10_000) })],
  ];
  print("| page of | MB | first paint, ms | interactive, ms | longest sort, ms | filter, ms |");
  print("| --- | ---: | ---: | ---: | ---: | ---: |");
  for (const [name, report] of reports) {
    const page = await renderHtml(report);
    const path = join(directory, "page.html");
    await Deno.writeTextFile(path, page);
    const rounds: Times[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await visitFile(browser, path, {}, async ({ page }) => {
        await page.waitForFunction(
          "performance.getEntriesByName('first-contentful-paint').length > 0",
        );
        rounds.push(await page.evaluate<Times>(MEASURE));
      });
    }
    const figures = (["paint", "interactive", "sort", "filter"] as const).map((key) =>
      median(rounds.map((times) => times[key]))
    );
    const bytes = new TextEncoder().encode(page).length;
    print(`| ${[name, (bytes / 1e6).toFixed(2), ...figures].join(" | ")} |`);
  }
} finally {
  await browser.close();
  Deno.removeSync(directory, { recursive: true });
}
