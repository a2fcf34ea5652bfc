/** The inputs that drift most: range and scale over the timesteps, and where time groups meet. */
import { formatShort } from "./format.js";
import { plotAxis, plotScale, plotSeries, roundUp, showPanels } from "./plot.js";

/** @typedef {import("./page_data.js").InputCurves} InputCurves */
/** @typedef {import("./page_data.js").InputColumns} InputColumns */
/** @typedef {import("./plot.js").Look} Look */

/** Least room between two lines that are told apart, in pixels. */
const LEAST_GAP = 4;

/**
 * Fills the boxes of class `inputs`, in the order of what is drawn.
 * @param {InputColumns} inputs
 */
export function showInputs(inputs) {
  for (const [i, box] of document.querySelectorAll(".inputs").entries()) {
    showPanels(box, (look) => drawInputs(inputs, inputs.drawn[i], look))();
  }
}

/**
 * @param {InputColumns} inputs
 * @param {InputCurves} curves
 * @param {Look} look
 * @returns {import("./plot.js").Panel[]}
 */
function drawInputs({ points, edges }, { range, scale, moving, before }, look) {
  const ends = [edges[0], edges[edges.length - 1]];
  const line = { points: { show: false } };
  const steps = (/** @type {number[]} */ values) => (/** @type {uPlot} */ plot) => ({
    stroke: traceSegments(plot, edges, values),
  });
  const after = moving === null
    ? steps(scale)
    : (/** @type {uPlot} */ plot) => ({ stroke: traceCurve(plot, points, moving) });
  const panel = (
    /** @type {string} */ title,
    /** @type {number[]} */ values,
    /** @type {boolean} */ isLast,
  ) => {
    const most = roundUp(1.05 * values.reduce((a, b) => Math.max(a, b), 0));
    return {
      title,
      height: isLast ? 134 : 110,
      scales: { x: plotScale(ends[0], ends[1]), y: plotScale(0, most) },
      axes: [
        plotAxis(look, ends, formatShort, { show: isLast, size: 24, grid: { show: false } }),
        plotAxis(look, [0, most / 2, most], formatShort),
      ],
      hooks: { drawAxes: [(/** @type {uPlot} */ plot) => drawEdges(plot, edges, look)] },
    };
  };
  return [
    {
      data: [points, range],
      options: {
        ...panel("Range", range, false),
        series: [{}, { ...line, stroke: look.color("series-2"), width: 2 }],
      },
    },
    {
      data: [ends, [0, 0], [0, 0]],
      options: {
        ...panel("Scale", [...moving ?? scale, ...before], true),
        series: [
          {},
          plotSeries(steps(before), { stroke: look.color("series-1"), width: 1.6, dash: [5, 3] }),
          plotSeries(after, { stroke: look.color("series-0"), width: 2.4 }),
        ],
      },
    },
  ];
}

/**
 * A value for each time group, from one edge to the next.
 * @param {uPlot} plot
 * @param {number[]} edges one more than values
 * @param {number[]} values
 * @returns {Path2D}
 */
function traceSegments(plot, edges, values) {
  return traceCurve(
    plot,
    values.flatMap((_, g) => [edges[g], edges[g + 1]]),
    values.flatMap((value) => [value, value]),
  );
}

/**
 * @param {uPlot} plot
 * @param {number[]} places
 * @param {number[]} values as many
 * @returns {Path2D}
 */
function traceCurve(plot, places, values) {
  const path = new Path2D();
  for (const [i, value] of values.entries()) {
    path.lineTo(plot.valToPos(places[i], "x", true), plot.valToPos(value, "y", true));
  }
  return path;
}

/**
 * Marks where time groups meet; of marks that would touch each other the first.
 * @param {uPlot} plot
 * @param {number[]} edges
 * @param {Look} look
 */
function drawEdges(plot, edges, look) {
  const { ctx, bbox: { top, height } } = plot;
  let last = -Infinity;
  ctx.save();
  ctx.fillStyle = look.color("muted");
  for (const edge of edges.slice(1, -1)) {
    const at = Math.round(plot.valToPos(edge, "x", true) - devicePixelRatio / 2);
    if (at - last < LEAST_GAP * devicePixelRatio) continue;
    ctx.fillRect(at, top, devicePixelRatio, height);
    last = at;
  }
  ctx.restore();
}
