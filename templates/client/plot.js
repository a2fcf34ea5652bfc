/** Charts by uPlot: as wide as their box, in the colors of the page, drawn again when either changes. */

/**
 * What a chart is drawn with.
 * @typedef {object} Look
 * @property {number} width of the chart in pixels
 * @property {(name: string) => string} color of a custom property of the page, without its dashes
 * @property {string} font of numbers and words
 */

/** Options of uPlot but for its width, and its data. @typedef {{ options: object, data: unknown[] }} Panel */

/** Narrowest chart in pixels. */
const LEAST_ROOM = 200;

/** Room left of a chart for the numbers of its axis, and right of it; in pixels. */
const SIDES = { left: 60, right: 12 };

/** What draws each chart of the page. */
const DRAWINGS = /** @type {(() => void)[]} */ ([]);

/**
 * Makes a box show charts below each other, once they are drawn.
 * @param {HTMLElement} box
 * @param {(look: Look) => Panel[]} describe asked for each drawing anew
 * @param {(plots: uPlot[]) => void} onDrawn
 * @returns {() => void} draws them, and again whenever it is called
 */
export function showPanels(box, describe, onDrawn = () => {}) {
  const state = { plots: /** @type {uPlot[]} */ ([]), width: 0 };
  const room = () => Math.max(LEAST_ROOM, Math.floor(box.clientWidth));
  const draw = () => {
    state.width = room();
    for (const plot of state.plots) plot.destroy();
    state.plots = describe(readLook(state.width)).map(({ options, data }) =>
      new uPlot({ ...plain(), ...options, width: state.width }, data, box)
    );
    onDrawn(state.plots);
  };
  new ResizeObserver(() => {
    if (state.width !== 0 && room() !== state.width) draw();
  }).observe(box);
  DRAWINGS.push(draw);
  return draw;
}

/** Draws every chart again, in the colors and the room that there are now. */
export function redrawPanels() {
  for (const draw of DRAWINGS) draw();
}

/** Draws every chart again when the page becomes dark or light. */
export function followColors() {
  matchMedia("screen and (prefers-color-scheme: dark)").addEventListener("change", redrawPanels);
}

/**
 * @param {number} width
 * @returns {Look}
 */
function readLook(width) {
  const style = getComputedStyle(document.documentElement);
  return {
    width,
    color: (name) => style.getPropertyValue(`--${name}`).trim(),
    font: `11px ${getComputedStyle(document.body).fontFamily}`,
  };
}

/** What the page does itself, with keys too: legend, cursor and zoom. */
function plain() {
  return {
    legend: { show: false },
    cursor: { show: false },
    select: { show: false },
    padding: [8, SIDES.right, 4, 0],
  };
}

/**
 * An axis of numbers at given places.
 * @param {Look} look
 * @param {number[]} ticks
 * @param {(value: number) => string} format
 * @param {object} options further ones of uPlot
 * @returns {object}
 */
export function plotAxis(look, ticks, format, options = {}) {
  return {
    stroke: look.color("muted"),
    font: look.font,
    labelFont: look.font,
    labelSize: 18,
    size: SIDES.left,
    gap: 6,
    ticks: { show: false },
    grid: { stroke: look.color("line"), width: 1 },
    splits: () => ticks,
    values: () => ticks.map(format),
    ...options,
  };
}

/**
 * A series whose path is drawn by a function; uPlot knows of its data alone that there are some.
 * @param {(plot: uPlot) => object} paths what uPlot's `paths` gives
 * @param {object} options further ones of uPlot
 * @returns {object}
 */
export function plotSeries(paths, options = {}) {
  return { points: { show: false }, auto: false, paths, ...options };
}

/**
 * A scale from one number to another.
 * @param {number} from
 * @param {number} to
 * @param {object} options further ones of uPlot
 * @returns {object}
 */
export function plotScale(from, to, options = {}) {
  return { time: false, auto: false, range: () => [from, to], ...options };
}

/**
 * The next number above that is easy to read.
 * @param {number} value
 * @returns {number}
 */
export function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.5, 2, 3, 4, 5, 6, 8].find((one) => one * power >= value) ?? 10;
  return Number((step * power).toPrecision(3));
}
