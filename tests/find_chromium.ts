/** Finds the browser that tests of pages use. */

import { join } from "node:path";

/** Where Chromium usually is; `CHROMIUM` in the environment comes first. */
const PATHS = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/usr/bin/google-chrome-stable",
  "/opt/google/chrome/chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** The program, or `undefined` where there is none. */
export function findChromium(): string | undefined {
  return [Deno.env.get("CHROMIUM") ?? [], PATHS, listPlaywrights()].flat().find(isFile);
}

/** Whether tests of pages are skipped: this machine has no Chromium. */
export const NO_CHROMIUM = findChromium() === undefined;

/** Those that Playwright installed, which is how it comes to Ubuntu. */
function listPlaywrights(): string[] {
  const folder = join(Deno.env.get("HOME") ?? ".", ".cache/ms-playwright");
  try {
    return [...Deno.readDirSync(folder)].filter(({ name }) => /^chromium-\d+$/.test(name))
      .map(({ name }) => join(folder, name, "chrome-linux64/chrome"));
  } catch {
    return [];
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
