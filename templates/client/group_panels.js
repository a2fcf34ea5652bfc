/** Parameters over the time groups as panels: scale, zero point, jumps and, for several series, scores. */
import { formatPercent, formatShort } from "./format.js";
import { SEVERITIES } from "./page_data.js";
import { plotAxis, plotScale, plotSeries, roundUp } from "./plot.js";

/** @typedef {import("./page_data.js").Series} Series */
/** @typedef {import("./plot.js").Look} Look */
/** @typedef {import("./plot.js").Panel} Panel */

/** What is drawn, the first series on top. @typedef {{ series: Series[], groups: number, threshold: number, qmax: number }} GroupInput */

/** One of the panels. @typedef {{ title: string, key: "scale" | "zero" | "jump" | "score", isStepped: boolean, height: number, max: number, format: (value: number) => string }} GroupPanel */

/** How lines are broken, those of the subject not at all; in pixels. */
const DASHES = [
  [],
  [5, 3],
  [2, 2],
  [8, 3],
  [8, 3, 2, 3],
  [1, 3],
  [10, 4],
  [6, 2, 1, 2],
  [3, 4],
];

/** Room below the last panel for the numbers of the groups, in pixels. */
const NUMBERS_HEIGHT = 42;

/**
 * @param {GroupInput} input
 * @param {Look} look
 * @returns {Panel[]}
 */
export function drawGroups(input, look) {
  const { series, groups } = input;
  const panels = listGroupPanels(input);
  return panels.map((panel, i) => {
    const isLast = i === panels.length - 1;
    const lines = series.map((one, index) => makeLine(panel, one, index, input, look));
    return {
      data: [[0, groups], ...series.map(() => [0, 0])],
      options: {
        title: panel.title,
        height: panel.height + 12 + (isLast ? NUMBERS_HEIGHT : 0),
        scales: { x: plotScale(0, groups), y: plotScale(0, panel.max) },
        axes: [
          numberGroups(groups, look, isLast),
          plotAxis(look, [0, panel.max / 2, panel.max], panel.format),
        ],
        // The subject on top.
        series: [{}, ...lines.reverse()],
        hooks: {
          drawAxes: [(plot) => panel.isStepped && drawBands(plot, series[0], groups, look)],
          draw: [(plot) => panel.key === "jump" && drawLimits(plot, input, look)],
        },
      },
    };
  });
}

/**
 * @param {GroupInput} input
 * @returns {GroupPanel[]}
 */
function listGroupPanels({ series, groups, threshold, qmax }) {
  const most = (/** @type {"scale" | "jump"} */ key) =>
    series.flatMap((one) => one[key]).reduce((a, b) => Math.max(a, b), 0);
  const [steps, bars] = [{ isStepped: true }, { isStepped: false }];
  const format = formatShort;
  const max = roundUp(1.05 * most("scale"));
  return [
    { ...steps, title: "Scale", key: "scale", height: 130, max, format },
    { ...steps, title: "Zero point", key: "zero", height: 60, max: qmax, format },
    // With one time group there is no boundary.
    ...groups === 1 ? [] : [{
      ...bars,
      title: "Scale jump at each boundary",
      key: "jump",
      height: 100,
      max: roundUp(Math.max(most("jump"), 1.2 * threshold)),
      format: (/** @type {number} */ value) => `${formatShort(100 * value)}%`,
    }],
    ...groups === 1 || series.length === 1 ? [] : [
      { ...bars, title: "Score of each boundary", key: "score", height: 70, max: 1, format },
    ],
  ];
}

/**
 * The numbers of the groups, each below the middle of its own.
 * @param {number} groups
 * @param {Look} look
 * @param {boolean} isShown
 * @returns {object}
 */
function numberGroups(groups, look, isShown) {
  const every = [1, 2, 5, 10, 20, 50, 100, 200, 500]
    .find((n) => n * look.width / groups >= 32) ?? 1000;
  const places = Array.from({ length: Math.ceil(groups / every) }, (_, i) => i * every + 0.5);
  return plotAxis(look, places, (place) => String(place - 0.5), {
    show: isShown,
    size: 24,
    label: "time group",
    grid: { show: false },
  });
}

/**
 * @param {GroupPanel} panel
 * @param {Series} one
 * @param {number} index of the series
 * @param {GroupInput} input
 * @param {Look} look
 * @returns {object}
 */
function makeLine({ key, isStepped }, one, index, { series, groups }, look) {
  const color = look.color(`series-${index}`);
  if (isStepped) {
    return plotSeries((plot) => ({ stroke: traceSteps(plot, one, key) }), {
      stroke: color,
      width: index === 0 ? 2.4 : 1.6,
      dash: DASHES[index],
    });
  }
  const colorOf = (/** @type {number} */ boundary) => {
    const word = key === "jump" && index === 0 ? SEVERITIES[one.severity[boundary]] : undefined;
    return look.color(word ?? (index === 0 ? "bar" : `series-${index}`));
  };
  return plotSeries((plot) => {
    const pitch = plot.bbox.width / groups;
    const room = Math.min(16 * series.length * devicePixelRatio, 0.6 * pitch);
    const width = Math.max(1, room / series.length);
    const bars = one[key].map((value, boundary) => ({
      left: plot.bbox.left + (boundary + 1) * pitch - room / 2 + index * width,
      width,
      value,
      color: colorOf(boundary),
    }));
    return { fill: traceBars(plot, bars) };
  }, { width: 0, alpha: index === 0 ? 1 : 0.6 });
}

/**
 * Bars from 0 up, a path for each color.
 * @param {uPlot} plot
 * @param {{ left: number, width: number, value: number, color: string }[]} bars in pixels of the canvas
 * @returns {Map<string, Path2D>}
 */
export function traceBars(plot, bars) {
  const paths = new Map();
  const bottom = plot.bbox.top + plot.bbox.height;
  const { min } = plot.scales.y;
  for (const { left, width, value, color } of bars) {
    const path = paths.get(color) ?? new Path2D();
    paths.set(color, path);
    const from = min > 0 ? bottom : plot.valToPos(0, "y", true);
    const top = plot.valToPos(Math.max(value, min), "y", true);
    path.rect(left, Math.min(top, from), width, Math.abs(from - top));
  }
  return paths;
}

/**
 * @param {uPlot} plot
 * @param {Series} one
 * @param {"scale" | "zero"} key
 * @returns {Path2D}
 */
function traceSteps(plot, one, key) {
  const path = new Path2D();
  // A zero point is an integer: where it moves by one, it does so at the boundary.
  const ramps = one.ramp.map((share, b) =>
    key === "zero" && Math.abs(one.zero[b + 1] - one.zero[b]) <= 1 ? 0 : share
  );
  const to = (/** @type {number} */ x, /** @type {number} */ y) =>
    path.lineTo(plot.valToPos(x, "x", true), plot.valToPos(y, "y", true));
  for (const [g, value] of one[key].entries()) {
    to(g + (ramps[g - 1] ?? 0), value);
    to(g + 1 - (ramps[g] ?? 0), value);
  }
  return path;
}

/**
 * Marks the boundaries, and those with violations broadly.
 * @param {uPlot} plot
 * @param {Series} subject
 * @param {number} groups
 * @param {Look} look
 */
function drawBands(plot, { severity }, groups, look) {
  const { ctx, bbox: { left, top, width, height } } = plot;
  const pitch = width / groups;
  ctx.save();
  for (let boundary = 0; boundary < groups - 1; boundary++) {
    const word = SEVERITIES[severity[boundary]];
    // Marks that touch each other say nothing.
    if (word === undefined && pitch < 4 * devicePixelRatio) continue;
    const most = Math.min(10 * devicePixelRatio, pitch / 3);
    const broad = word === undefined ? 1 : Math.max(2 * devicePixelRatio, most);
    ctx.globalAlpha = word === undefined ? 1 : 0.3;
    ctx.fillStyle = look.color(word ?? "line");
    ctx.fillRect(Math.round(left + (boundary + 1) * pitch - broad / 2), top, broad, height);
  }
  ctx.restore();
}

/**
 * Draws the threshold, and names violations where there is room.
 * @param {uPlot} plot
 * @param {GroupInput} input
 * @param {Look} look
 */
function drawLimits(plot, { series, groups, threshold }, look) {
  const { ctx, bbox: { left, width } } = plot;
  // A line of an odd width is sharp in the middle of a pixel.
  const at = Math.floor(plot.valToPos(threshold, "y", true)) + (devicePixelRatio % 2) / 2;
  const pitch = width / groups;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = look.color("muted");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(left, at);
  ctx.lineTo(left + width, at);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.textBaseline = "bottom";
  ctx.strokeStyle = look.color("sheet");
  ctx.lineWidth = 4 * devicePixelRatio;
  const write = (/** @type {string} */ text, /** @type {number} */ x, /** @type {number} */ y) => {
    ctx.strokeText(text, x, y);
    ctx.fillText(text, x, y);
  };
  ctx.textAlign = "right";
  // In a narrow chart it would cover the bars.
  if (look.width >= 480) write(`threshold ${formatPercent(threshold)}`, left + width, at - 2);
  ctx.textAlign = "center";
  ctx.fillStyle = look.color("text");
  for (const [boundary, letter] of [...series[0].severity].entries()) {
    const word = SEVERITIES[letter];
    if (word === undefined || pitch < 56 * devicePixelRatio) continue;
    const top = plot.valToPos(series[0].jump[boundary], "y", true);
    write(word, left + (boundary + 1) * pitch, top - 2);
  }
  ctx.restore();
}
