/** What axe-core, the accessibility checker, finds wrong with a page. */

import assert from "node:assert/strict";
import axe from "npm:axe-core@4.14.1";
import type { Page } from "npm:playwright-core@1.65.1";

/** How a page is looked at. */
export interface Look {
  /** Pixels. */
  size: { width: number; height: number };
  /** What the system prefers. */
  colorScheme: "light" | "dark";
}

/** The smallest phone that pages are made for, in pixels. */
export const PHONE_SIZE = { width: 320, height: 700 };

/** Light and dark, on a desk and on a phone. */
export const LOOKS: readonly Look[] = [{ width: 1200, height: 900 }, PHONE_SIZE].flatMap((size) =>
  (["light", "dark"] as const).map((colorScheme) => ({ size, colorScheme }))
);

/** Asserts that an open page has no violation, whatever it looks like. */
export async function assertNoViolations(
  page: Page,
  looks: readonly Look[],
  file: string,
): Promise<void> {
  // Set by the debugger, which the page's policy does not bind.
  await page.evaluate(axe.source);
  for (const look of looks) {
    await page.setViewportSize(look.size);
    await page.emulateMedia({ colorScheme: look.colorScheme });
    const found = await page.evaluate<{ id: string; nodes: { html: string }[] }[]>(
      "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)",
    );
    const told = found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 200)}`);
    assert.deepEqual(told, [], `${file} ${JSON.stringify(look)}`);
  }
}
