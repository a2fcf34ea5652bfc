/** Draws a row of digits as inline SVG: text only, so that a page shows it under any content policy. */

import { DIT } from "./dimensions.ts";
import { WHITE } from "./read_digits.ts";

/** Pixels between two digits. */
const GAP = 1;

/**
 * Draws digits dark on light, side by side. Where the picture is shown, `DIGITS_SOURCE` is to be named.
 *
 * @param samples Grey levels: [at least `count`, 64], 0 (background) to 16.
 * @param count How many to draw, from the first on.
 * @param title What the picture shows, for those who cannot see it.
 * @returns An `svg` element, below 20 kB for 20 digits; its size is up to the page.
 */
export function drawSamples(samples: Uint8Array, count: number, title: string): string {
  const { size } = DIT;
  const width = count * (size + GAP) - GAP;
  const strokes = Array.from({ length: WHITE }, (_, i) => drawLevel(samples, count, i + 1));
  return `<svg viewBox="0 0 ${width} ${size}" role="img" aria-label="${escapeMarkup(title)}" ` +
    `shape-rendering="crispEdges"><path fill="#fff" d="M0 0h${width}v${size}h-${width}z"/>` +
    `${strokes.join("")}</svg>`;
}

/** All pixels of one grey level: a stroke for each run of them in a row. */
function drawLevel(samples: Uint8Array, count: number, level: number): string {
  const { size, pixels } = DIT;
  let path = "";
  for (let at = 0; at < count * pixels; at++) {
    if (samples[at] !== level) continue;
    const x = at % size;
    let run = 1;
    while (x + run < size && samples[at + run] === level) run++;
    const row = Math.floor(at / size) % size;
    path += `M${Math.floor(at / pixels) * (size + GAP) + x} ${row}.5h${run}`;
    at += run - 1;
  }
  const shade = Math.round(255 * (1 - level / WHITE)).toString(16).padStart(2, "0");
  return path === "" ? "" : `<path stroke="#${shade.repeat(3)}" d="${path}"/>`;
}

function escapeMarkup(text: string): string {
  const entities: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
  };
  return text.replace(/[&<>"]/g, (character) => entities[character]!);
}
