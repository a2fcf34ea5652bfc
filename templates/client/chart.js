/**
 * Draws parameters over the time groups. The answer is a tree of plain nodes, made into markup where
 * the page is rendered and into elements where it is shown; only numbers and fixed words go into it.
 */
import { formatPercent, formatShort } from "./format.js";
import { svgNode } from "./svg.js";

/** @typedef {import("./svg.js").SvgNode} SvgNode */

/**
 * The parameters of a layer, or of the model, over G time groups, and their jumps.
 * @typedef {object} Series
 * @property {number[]} scale [G]
 * @property {number[]} zero [G], zero points
 * @property {number[]} jump [G-1], scale jumps
 * @property {number[]} zeroJump [G-1], zero point jumps
 * @property {number[]} score [G-1], boundary scores
 * @property {string} severity [G-1], a letter for each boundary: h, m, l, or - for no violation
 * @property {number[]} rows [G+1], first row of each group and the end; empty for the model
 * @property {number[]} ramp [G-1], share of a group on each side of a boundary over which the
 * parameters move, 0 to 0.5; empty where they jump
 */

/**
 * What is drawn, the first series on top, and how wide.
 * @typedef {{ series: Series[], groups: number, threshold: number, qmax: number, width: number }} ChartInput
 */

/** Space left of the plots, for the numbers, and right of them; in pixels. */
export const MARGIN = { left: 52, right: 12 };

/** Words for the letters of a severity. */
export const SEVERITIES = { h: "high", m: "medium", l: "low" };

/**
 * Draws the panels below each other: scale, zero point, jumps and, for several series, scores.
 * @param {ChartInput} input
 * @returns {SvgNode}
 */
export function drawChart({ series, groups, threshold, qmax, width }) {
  const pitch = (width - MARGIN.left - MARGIN.right) / groups;
  const x = (/** @type {number} */ group) => round(MARGIN.left + group * pitch);
  const panels = listPanels(series, threshold, qmax);
  const children = [];
  let top = 0;
  for (const { title, height, max, format, kind, key } of panels) {
    const from = top + 36;
    const y = (/** @type {number} */ value) => round(from + height * (1 - value / max));
    children.push(
      svgNode("text", { class: "title", x: MARGIN.left, y: from - 11 }, [title]),
      ...drawGrid([0, max / 2, max], y, width, format),
    );
    if (kind === "steps") {
      children.push(...drawViolations(series[0], from, height, x, pitch));
      children.push(...drawSteps(series, key, x, y));
    } else if (groups === 1) {
      children.push(
        svgNode("text", { class: "note", x: MARGIN.left + 8, y: from + height / 2 + 4 }, [
          "One time group: there is no boundary",
        ]),
      );
    } else {
      children.push(...drawBars(series, key, x, y, pitch));
      if (key === "jump") children.push(...drawThreshold(threshold, y, width));
    }
    top = from + height;
  }
  children.push(...drawGroupNumbers(groups, x, pitch, top + 18));
  const cursor = { class: "cursor", x: 0, y: 36, width: 0, height: top - 36, rx: 2 };
  const attributes = { class: "plot", viewBox: `0 0 ${width} ${top + 40}`, "aria-hidden": "true" };
  return svgNode("svg", attributes, [svgNode("rect", cursor), ...children]);
}

/** @typedef {{ title: string, key: "scale" | "zero" | "jump" | "score", kind: "steps" | "bars", height: number, max: number, format: (value: number) => string }} Panel */

/**
 * @param {Series[]} series
 * @param {number} threshold
 * @param {number} qmax
 * @returns {Panel[]}
 */
function listPanels(series, threshold, qmax) {
  const most = (/** @type {"scale" | "jump"} */ key) =>
    series.flatMap((one) => one[key]).reduce((a, b) => Math.max(a, b), 0);
  /** @type {Panel[]} */
  const panels = [
    {
      title: "Scale",
      key: "scale",
      kind: "steps",
      height: 130,
      max: roundUp(1.05 * most("scale")),
      format: formatShort,
    },
    { title: "Zero point", key: "zero", kind: "steps", height: 60, max: qmax, format: formatShort },
    {
      title: "Scale jump at each boundary",
      key: "jump",
      kind: "bars",
      height: 100,
      max: roundUp(Math.max(most("jump"), 1.2 * threshold)),
      format: (value) => `${formatShort(100 * value)}%`,
    },
  ];
  if (series.length > 1) {
    const title = "Score of each boundary";
    panels.push({ title, key: "score", kind: "bars", height: 70, max: 1, format: formatShort });
  }
  return panels;
}

/**
 * @param {number[]} ticks
 * @param {(value: number) => number} y
 * @param {number} width
 * @param {(value: number) => string} format
 * @returns {SvgNode[]}
 */
function drawGrid(ticks, y, width, format) {
  return ticks.flatMap((tick) => [
    svgNode("path", { class: "grid", d: `M${MARGIN.left} ${y(tick)}H${width - MARGIN.right}` }),
    svgNode("text", { class: "tick", x: MARGIN.left - 7, y: y(tick) + 4 }, [format(tick)]),
  ]);
}

/**
 * @param {Series[]} series
 * @param {Panel["key"]} key
 * @param {(group: number) => number} x
 * @param {(value: number) => number} y
 * @returns {SvgNode[]}
 */
function drawSteps(series, key, x, y) {
  return series.map((one, i) => {
    // A zero point is an integer: where it moves by one, it does so at the boundary.
    const ramps = one.ramp.map((share, b) =>
      key === "zero" && Math.abs(one.zero[b + 1] - one.zero[b]) <= 1 ? 0 : share
    );
    const steps = one[key].map((value, g) => {
      const [before, after] = [ramps[g - 1] ?? 0, ramps[g] ?? 0];
      const move = before > 0 ? `L${x(g + before)} ${y(value)}` : `V${y(value)}`;
      return `${move}H${x(g + 1 - after)}`;
    });
    const d = `M${x(0)} ${y(one[key][0])}${steps.join("")}`;
    return svgNode("path", { class: `line series-${i}`, d });
  }).reverse();
}

/**
 * @param {number} threshold
 * @param {(value: number) => number} y
 * @param {number} width
 * @returns {SvgNode[]}
 */
function drawThreshold(threshold, y, width) {
  const right = width - MARGIN.right;
  const label = { class: "threshold-label", x: right, y: y(threshold) - 4 };
  const line = svgNode("path", {
    class: "threshold",
    d: `M${MARGIN.left} ${y(threshold)}H${right}`,
  });
  // In a narrow chart it would cover the bars.
  if (width < 480) return [line];
  return [line, svgNode("text", label, [`threshold ${formatPercent(threshold)}`])];
}

/**
 * @param {Series} subject
 * @param {number} top
 * @param {number} height
 * @param {(group: number) => number} x
 * @param {number} pitch
 * @returns {SvgNode[]}
 */
function drawViolations({ severity }, top, height, x, pitch) {
  const places = [...severity].map((letter, b) => ({ letter, at: x(b + 1) }));
  const quiet = places.filter(({ letter }) => letter === "-");
  const lines = pitch < 4 ? [] : quiet.map(({ at }) => `M${at} ${top}v${height}`);
  const width = Math.max(2, Math.min(10, pitch / 3));
  return [
    svgNode("path", { class: "boundary", d: lines.join("") }),
    ...places.filter(({ letter }) => letter !== "-").map(({ letter, at }) =>
      svgNode("rect", {
        class: `band ${SEVERITIES[letter]}`,
        x: round(at - width / 2),
        y: top,
        width: round(width),
        height,
      })
    ),
  ];
}

/**
 * @param {Series[]} series
 * @param {Panel["key"]} key
 * @param {(group: number) => number} x
 * @param {(value: number) => number} y
 * @param {number} pitch
 * @returns {SvgNode[]}
 */
function drawBars(series, key, x, y, pitch) {
  const room = Math.min(16 * series.length, 0.6 * pitch);
  const width = Math.max(0.75, room / series.length);
  return series.flatMap((one, i) =>
    one[key].flatMap((value, b) => {
      const left = x(b + 1) - room / 2 + i * width;
      const word = key === "jump" && i === 0 ? SEVERITIES[one.severity[b]] : undefined;
      const bar = svgNode("rect", {
        class: word === undefined ? `bar series-${i}` : `bar ${word}`,
        x: round(left),
        y: y(value),
        width: round(width),
        height: round(y(0) - y(value)),
      });
      if (word === undefined || pitch < 56) return [bar];
      return [bar, svgNode("text", { class: "word", x: x(b + 1), y: y(value) - 5 }, [word])];
    })
  );
}

/**
 * @param {number} groups
 * @param {(group: number) => number} x
 * @param {number} pitch
 * @param {number} y
 * @returns {SvgNode[]}
 */
function drawGroupNumbers(groups, x, pitch, y) {
  const every = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((n) => n * pitch >= 26) ?? 1000;
  const numbers = [];
  for (let g = 0; g < groups; g += every) {
    const at = { class: "number", x: round(x(g) + pitch / 2), y };
    numbers.push(svgNode("text", at, [String(g)]));
  }
  const middle = { class: "number", x: round(x(groups / 2)), y: y + 17 };
  return [...numbers, svgNode("text", middle, ["time group"])];
}

/**
 * The next number above that is easy to read.
 * @param {number} value
 * @returns {number}
 */
function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.5, 2, 3, 4, 5, 6, 8].find((one) => one * power >= value) ?? 10;
  return Number((step * power).toPrecision(3));
}

/**
 * @param {number} value
 * @returns {number}
 */
function round(value) {
  return Math.round(10 * value) / 10;
}
