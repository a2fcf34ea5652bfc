/** The heat map of all layers by boundaries: cells are reached by pointer and by keys. */
import { byId, svgElement } from "./elements.js";
import { formatScore } from "./format.js";
import { binRange, binScores, drawBins } from "./heat.js";
import { scoresOf } from "./page_data.js";
import { svgNode } from "./svg.js";

/** Most rows; more boundaries share them. */
const MOST_ROWS = 32;

/** Narrowest cell in pixels; more layers share them. */
const LEAST_WIDTH = 7;

/** Space left of the cells, for the boundaries' numbers. */
const LEFT = 30;

/**
 * Shows the map.
 * @param {import("./page_data.js").PageData} data
 * @param {(layer: number) => void} choose called with a layer that is chosen
 */
export function showHeatMap(data, choose) {
  const [box, readout] = [byId("heat-map"), byId("heat-readout")];
  const scores = data.layers.name.map((_, layer) => scoresOf(data, layer));
  const boundaries = data.groups - 1;
  const rows = Math.min(MOST_ROWS, boundaries);
  const height = Math.max(8, Math.min(22, 180 / rows));
  const state = { width: 0, columns: 1, row: 0, column: 0, bins: binScores([], 0, 0, 0) };

  const draw = () => {
    state.width = Math.max(200, Math.floor(box.clientWidth));
    const most = Math.floor((state.width - LEFT) / LEAST_WIDTH);
    state.columns = Math.min(scores.length, most);
    state.bins = binScores(scores, boundaries, state.columns, rows);
    const cell = (state.width - LEFT) / state.columns;
    const labels = Array.from({ length: rows }, (_, row) => {
      if (rows > 12 && row % 4 !== 0) return [];
      const at = { class: "tick", x: LEFT - 8, y: row * height + height / 2 + 4 };
      return [svgNode("text", at, [String(binRange(row, rows, boundaries)[0])])];
    }).flat();
    const cursor = { class: "heat-cursor", width: cell, height };
    const attributes = {
      class: "plot",
      viewBox: `-1 -1 ${state.width + 2} ${rows * height + 2}`,
      "aria-hidden": "true",
    };
    const cells = drawBins(state.bins, data.heat, cell, height, LEFT, cell > 5 ? 1 : 0);
    const map = svgNode("svg", attributes, [...labels, ...cells, svgNode("rect", cursor)]);
    box.replaceChildren(svgElement(map));
    point(state.row, state.column);
  };
  const point = (/** @type {number} */ row, /** @type {number} */ column) => {
    state.row = Math.min(rows - 1, Math.max(0, row));
    state.column = Math.min(state.columns - 1, Math.max(0, column));
    const cursor = box.querySelector(".heat-cursor");
    const cell = (state.width - LEFT) / state.columns;
    cursor?.setAttribute("x", String(LEFT + state.column * cell));
    cursor?.setAttribute("y", String(state.row * height));
    readout.textContent = describe();
  };
  const describe = () => {
    const cell = state.bins[state.row]?.[state.column];
    if (!cell) return "Not kept for these layers.";
    const [first, end] = binRange(state.column, state.columns, scores.length);
    const among = end - first > 1 ? `, the worst of ${end - first} layers here` : "";
    return `Boundary ${cell.boundary} to ${cell.boundary + 1} of ${
      data.layers.name[cell.layer]
    }: ` +
      `score ${formatScore(cell.score)}${among}`;
  };
  const chooseCell = () => {
    const cell = state.bins[state.row]?.[state.column];
    if (cell) choose(cell.layer);
  };
  const locate = (/** @type {PointerEvent | MouseEvent} */ event) => {
    const { left, top, width, height: tall } = box.getBoundingClientRect();
    const x = (event.clientX - left) * state.width / width - LEFT;
    const y = (event.clientY - top) * rows / tall;
    point(Math.floor(y), Math.floor(x * state.columns / (state.width - LEFT)));
  };

  box.addEventListener("pointermove", locate);
  box.addEventListener("click", (event) => {
    locate(event);
    chooseCell();
  });
  box.addEventListener("keydown", (event) => {
    const move = {
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      Home: [0, -Infinity],
      End: [0, Infinity],
    }[event.key];
    if (move !== undefined) point(state.row + move[0], state.column + move[1]);
    else if (event.key === "Enter") chooseCell();
    else return;
    event.preventDefault();
  });
  new ResizeObserver(() => {
    if (Math.floor(box.clientWidth) !== state.width) draw();
  }).observe(box);
  draw();
}
