/** Tests of pages in a real browser. */

import { join } from "node:path";
import type { Browser, BrowserContextOptions, Page } from "npm:playwright-core@1.65.1";
import { NO_CHROMIUM } from "./find_chromium.ts";
import { withFiles } from "./make_model.ts";
import { openBrowser, type Visit, visitFile } from "./open_browser.ts";

/** Opens a page by the name of its file and hands it over. */
export type Open = (
  file: string,
  options: BrowserContextOptions,
  use: (visit: Visit) => Promise<void>,
) => Promise<void>;

/**
 * Makes what registers tests that are given a function to open pages with.
 *
 * @param pages Markup by the name of its file.
 */
export function testPages(
  pages: Record<string, string>,
): (name: string, run: (open: Open) => Promise<void>) => void {
  return (name, run) => {
    // The browser is a process of its own, whose pipes outlive what closes it by a moment.
    const lax = { sanitizeOps: false, sanitizeResources: false };
    Deno.test({ name, ignore: NO_CHROMIUM, ...lax }, async () => {
      await withFiles(pages, async (directory) => {
        let browser: Browser | undefined;
        try {
          const running = browser = await openBrowser();
          await run((file, options, use) =>
            visitFile(running, join(directory, file), options, use)
          );
        } finally {
          await browser?.close();
        }
      });
    });
  };
}

/** Texts of a column of a table's body, by the place of the column from 1. */
export function column(page: Page, table: string, index: number): Promise<string[]> {
  return page.locator(`#${table} tbody tr > :nth-child(${index})`).allTextContents();
}

/** The place of a column from 1, by what its heading begins with. */
export async function findColumn(page: Page, table: string, heading: string): Promise<number> {
  const headings = await page.locator(`#${table} th[scope=col]`).allTextContents();
  return headings.findIndex((text) => text.startsWith(heading)) + 1;
}

/** The place of a chart's plotting area among the pixels of its canvas, which are those of the page here. */
export interface Plot {
  /** Left edge. */
  left: number;
  /** Upper edge. */
  top: number;
  /** Width. */
  width: number;
  /** Height. */
  height: number;
  /** By column of pixels: the uppermost and the lowest one of the color within the area, and how many; `null`: none. */
  seen: ([number, number, number] | null)[];
}

/**
 * Looks at a chart for pixels of a color, as it was asked for.
 *
 * @param box Selector of the chart's box.
 * @param index Of the chart in it, from 0.
 * @param property Custom property that names the color, without its dashes.
 */
export function seePlot(page: Page, box: string, index: number, property: string): Promise<Plot> {
  return page.evaluate<Plot>(
    `(([box, index, property]) => {
      const root = document.querySelectorAll(box + " .uplot")[index];
      const [canvas, over] = [root.querySelector("canvas"), root.querySelector(".u-over")];
      const probe = document.createElement("canvas").getContext("2d");
      probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--" + property);
      probe.fillRect(0, 0, 1, 1);
      const color = probe.getImageData(0, 0, 1, 1).data;
      const [left, top] = [over.offsetLeft, over.offsetTop];
      const [width, height] = [over.offsetWidth, over.offsetHeight];
      const { data } = canvas.getContext("2d").getImageData(left, top, width, height);
      const seen = Array.from({ length: width }, (_, x) => {
        const rows = [];
        for (let y = 0; y < height; y++) {
          const at = 4 * (y * width + x);
          const isAlike = [0, 1, 2].every((i) => Math.abs(data[at + i] - color[i]) < 12);
          if (isAlike && data[at + 3] > 140) rows.push(y);
        }
        return rows.length === 0 ? null : [rows[0], rows[rows.length - 1], rows.length];
      });
      return { left, top, width, height, seen };
    })(${JSON.stringify([box, index, property])})`,
  );
}
