/** How the inputs of each kind of layer change over time: a chart for each. */
import { formatShort } from "./format.js";
import { plotAxis, plotScale, showPanels } from "./plot.js";

/**
 * Fills the boxes of class `drift`, in the order of the kinds.
 * @param {NonNullable<import("./page_data.js").PageData["drift"]>} drift
 */
export function showDrift({ timesteps, kinds }) {
  const most = endOfAxis(kinds);
  const [first, last] = [timesteps[0], timesteps[timesteps.length - 1]];
  for (const [i, box] of document.querySelectorAll(".drift").entries()) {
    const draw = showPanels(box, (look) => [{
      data: [timesteps, ...listCurves(kinds[i])],
      options: {
        height: 124,
        // One point alone stands at the left.
        scales: { x: plotScale(first, last > first ? last : first + 1), y: plotScale(0, most) },
        axes: [
          plotAxis(look, first === last ? [first] : [first, last], formatShort, {
            size: 24,
            grid: { show: false },
          }),
          plotAxis(look, [0, 1, most], String, { size: 36 }),
        ],
        series: [{}, ...listLines(kinds[i], look)],
      },
    }]);
    draw();
  }
}

/**
 * @param {import("./page_data.js").DriftCurves} kind
 * @returns {number[][]} the range last, so that it is on top
 */
function listCurves({ range, rms }) {
  return [...rms === null ? [] : [rms], ...range === null ? [] : [range]];
}

/**
 * @param {import("./page_data.js").DriftCurves} kind
 * @param {import("./plot.js").Look} look
 * @returns {object[]} options of uPlot, in the same order
 */
function listLines({ range, rms }, look) {
  const points = { show: false };
  return [
    ...rms === null ? [] : [{ points, stroke: look.color("series-1"), width: 1.6, dash: [5, 3] }],
    ...range === null ? [] : [{ points, stroke: look.color("series-0"), width: 2.4 }],
  ];
}

/**
 * The least end of an axis that holds all curves, so that they can be compared: a whole number or a half, at
 * least 1.5.
 * @param {import("./page_data.js").DriftCurves[]} kinds
 * @returns {number}
 */
export function endOfAxis(kinds) {
  const most = kinds.flatMap(({ range, rms }) => [...range ?? [], ...rms ?? []])
    .reduce((a, b) => Math.max(a, b), 1.5);
  return Math.ceil(2 * most) / 2;
}
