/** What any page is made of besides its words: style, scripts, and the policy that allows nothing else. */

import { loadCharts } from "./load_charts.ts";

/** Style, script and policy of a page. */
export interface PageParts {
  /** For a style element. */
  style: string;
  /** For a script element: the library that draws charts. */
  library: string;
  /** For a script element of type module. */
  script: string;
  /** For a meta element; allows this style and these scripts, nothing from anywhere else. */
  policy: string;
}

/**
 * Puts the parts of a page together.
 *
 * @param sources Modules of its script, each before those that import it.
 * @param styles Style sheets; later ones have the last word.
 * @throws {BadInputError} The charts cannot be loaded.
 */
export async function joinParts(
  sources: readonly string[],
  styles: readonly string[],
): Promise<PageParts> {
  const charts = await loadCharts();
  const style = `\n${[charts.style, ...styles].join("\n")}`;
  // One script from modules: what they import from each other is in the same scope then.
  const script = `\n${sources.join("\n").replaceAll(/^import [^;]*;\n/gm, "")}`;
  const policy = [
    "default-src 'none'",
    `style-src '${await hashOf(style)}'`,
    `script-src '${await hashOf(charts.script)}' '${await hashOf(script)}'`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return { style, library: charts.script, script, policy };
}

async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `sha256-${btoa(String.fromCharCode(...new Uint8Array(digest)))}`;
}
