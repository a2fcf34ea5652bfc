/** Scores as colors: small strips in a table, and a map of all layers by boundaries. */
import { formatScore } from "./format.js";
import { svgNode } from "./svg.js";

/** @typedef {import("./svg.js").SvgNode} SvgNode */

/**
 * The color of a score: 0, smooth, and up, rough.
 * @param {number} score
 * @param {number[]} steps least score of each color but the last, best first
 * @returns {number}
 */
export function heatOf(score, steps) {
  const step = steps.findIndex((least) => score >= least);
  return step === -1 ? steps.length : step;
}

/**
 * The range of indexes that a bin of `bins` covers among `count`.
 * @param {number} bin
 * @param {number} bins
 * @param {number} count
 * @returns {[number, number]} first, and the one after the last
 */
export function binRange(bin, bins, count) {
  return [Math.floor(bin * count / bins), Math.floor((bin + 1) * count / bins)];
}

/** @typedef {{ score: number, layer: number, boundary: number }} HeatCell */

/**
 * Puts layers and boundaries into bins, each as bad as the worst score in it.
 * @param {(number[] | null)[]} scores of each layer; `null`: not known
 * @param {number} boundaries
 * @param {number} columns bins of layers
 * @param {number} rows bins of boundaries
 * @returns {(HeatCell | null)[][]} a row for each bin of boundaries
 */
export function binScores(scores, boundaries, columns, rows) {
  return Array.from({ length: rows }, (_, row) => {
    const [from, to] = binRange(row, rows, boundaries);
    return Array.from({ length: columns }, (_, column) => {
      const [first, end] = binRange(column, columns, scores.length);
      /** @type {HeatCell | null} */
      let worst = null;
      for (let layer = first; layer < end; layer++) {
        for (let boundary = from; boundary < to; boundary++) {
          const score = scores[layer]?.[boundary];
          if (score !== undefined && !(worst && worst.score <= score)) {
            worst = { score, layer, boundary };
          }
        }
      }
      return worst;
    });
  });
}

/**
 * Draws bins, each color as one path.
 * @param {(HeatCell | null)[][]} bins
 * @param {number[]} steps see {@linkcode heatOf}
 * @param {number} width of a cell
 * @param {number} height of a cell
 * @param {number} left
 * @param {number} gap
 * @returns {SvgNode[]}
 */
export function drawBins(bins, steps, width, height, left, gap) {
  const paths = Array.from({ length: steps.length + 1 }, () => /** @type {string[]} */ ([]));
  for (const [row, cells] of bins.entries()) {
    for (const [column, cell] of cells.entries()) {
      if (cell === null) continue;
      const [x, y] = [(left + column * width).toFixed(1), (row * height).toFixed(1)];
      paths[heatOf(cell.score, steps)].push(
        `M${x} ${y}h${(width - gap).toFixed(1)}v${(height - gap).toFixed(1)}h${
          (gap - width).toFixed(1)
        }z`,
      );
    }
  }
  return paths.flatMap((d, heat) =>
    d.length === 0 ? [] : [svgNode("path", { class: `heat-${heat}`, d: d.join("") })]
  );
}

/** Most cells in a strip, and their width. */
const STRIP = { cells: 24, width: 10 };

/**
 * The boundary scores of one layer as a strip.
 * @param {number[]} scores
 * @param {number[]} steps see {@linkcode heatOf}
 * @returns {SvgNode}
 */
export function drawStrip(scores, steps) {
  const cells = Math.min(STRIP.cells, scores.length);
  const bins = binScores([scores], scores.length, 1, cells).map(([cell]) => cell);
  const worst = scores.reduce((a, b) => Math.min(a, b), 1);
  return svgNode("svg", {
    class: "strip",
    viewBox: `0 0 ${STRIP.width * cells} 16`,
    width: STRIP.width * cells,
    height: 16,
    role: "img",
    "aria-label": `${scores.length} boundary scores, the worst ${formatScore(worst)}`,
  }, drawBins([bins], steps, STRIP.width, 16, 0, 1));
}
