/** Where the weights of a layer lie among its codes. */
import { byId } from "./elements.js";
import { traceBars } from "./group_panels.js";
import { unpackHistogram } from "./page_data.js";
import { plotAxis, plotScale, plotSeries, showPanels } from "./plot.js";

/** Shares of the fullest bin that the axis has numbers for: it is one of square roots. */
const SHARES = [0, 0.01, 0.1, 0.25, 0.5, 1];

/** Most codes that are marked one by one; more are one band. */
const MOST_MARKS = 16;

/**
 * Fills the box of id `layer-codes`.
 * @param {() => { letters: string, bits: number, from: number, width: number }} subject the packed histogram, and
 * where its bins lie among the codes
 * @returns {() => void} draws it
 */
export function showCodes(subject) {
  return showPanels(byId("layer-codes"), (look) => {
    const { letters, bits, from, width } = subject();
    if (letters === "") return [];
    const heights = unpackHistogram(letters);
    const [to, last] = [from + heights.length * width, 2 ** bits - 1];
    const bars = (/** @type {uPlot} */ plot) => {
      const pitch = plot.bbox.width / heights.length;
      const color = look.color("bar");
      return {
        fill: traceBars(
          plot,
          heights.map((value, i) => ({
            left: plot.bbox.left + i * pitch,
            width: 0.9 * pitch,
            value,
            color,
          })),
        ),
      };
    };
    const numbered = listMarks(last);
    return [{
      data: [[from, to], [0, 0]],
      options: {
        height: 170,
        scales: { x: plotScale(from, to), y: plotScale(0, 1) },
        axes: [
          plotAxis(look, numbered, String, { size: 24, label: "code", grid: { show: false } }),
          plotAxis(look, SHARES.map(Math.sqrt), (root) => `${Math.round(100 * root * root)}%`),
        ],
        series: [{}, plotSeries(bars, { width: 0 })],
        hooks: { draw: [(plot) => markCodes(plot, last, look)] },
      },
    }];
  });
}

/**
 * The codes that get a number: all of a few, else every sixteenth part.
 * @param {number} last largest code
 * @returns {number[]}
 */
function listMarks(last) {
  const step = (last + 1) / Math.min(last + 1, 8);
  return last < 16 && last > 3
    ? Array.from({ length: last + 1 }, (_, code) => code)
    : [...Array.from({ length: (last + 1) / step }, (_, i) => i * step), ...step > 1 ? [last] : []];
}

/**
 * @param {uPlot} plot
 * @param {number} last largest code
 * @param {import("./plot.js").Look} look
 */
function markCodes(plot, last, look) {
  const { ctx, bbox: { top, height } } = plot;
  const at = (/** @type {number} */ code) => plot.valToPos(code, "x", true);
  ctx.save();
  ctx.fillStyle = look.color("accent");
  ctx.globalAlpha = 0.1;
  if (last >= MOST_MARKS) ctx.fillRect(at(0), top, at(last) - at(0), height);
  ctx.globalAlpha = 1;
  const broad = 2 * devicePixelRatio;
  const marks = last < MOST_MARKS ? Array.from({ length: last + 1 }, (_, code) => code) : [0, last];
  for (const code of marks) ctx.fillRect(Math.round(at(code) - broad / 2), top, broad, height);
  ctx.restore();
}
