/** A real Chromium for tests of pages. */

import type { Browser, BrowserContextOptions, Page } from "npm:playwright-core@1.65.1";
import { findChromium } from "./find_chromium.ts";

/** Milliseconds that a step may take: on a busy machine a browser needs minutes for what else takes a second. */
const PATIENCE = 240_000;

/** Starts Chromium. */
export async function openBrowser(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error("Cannot find Chromium: name it in CHROMIUM");
  // A library of it looks for a file in /proc/sys when it is loaded, which Deno allows only together
  // with everything else; this variable of that library's own tests keeps it from looking. It stays, since
  // other files of tests run in this process at the same time.
  Deno.env.set("__IS_WSL_TEST__", "1");
  const { chromium } = await import("npm:playwright-core@1.65.1");
  return await chromium.launch({
    executablePath,
    timeout: PATIENCE,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** A page and all that it complained of or asked for. */
export interface Visit {
  /** The page, ready to use. */
  page: Page;
  /** Console messages and uncaught errors. */
  complaints: string[];
  /** URLs asked for. */
  requests: string[];
}

/** Opens a file, waits until its script is done where scripts may run, hands the page over and closes it. */
export async function visitFile(
  browser: Browser,
  path: string,
  options: BrowserContextOptions,
  use: (visit: Visit) => Promise<void>,
): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  context.setDefaultTimeout(PATIENCE);
  try {
    const page = await context.newPage();
    const [complaints, requests]: [string[], string[]] = [[], []];
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("request", (request) => requests.push(request.url()));
    await page.goto(`file://${path}`);
    if (options.javaScriptEnabled !== false) await page.locator("[data-ready=true]").waitFor();
    await use({ page, complaints, requests });
  } finally {
    await context.close();
  }
}
