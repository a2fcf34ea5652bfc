/** The error of each layer as bars: of those that the table lists. */
import { damageOf, describeDamage, rankLayers } from "./damage.js";
import { formatTick, placeOn, planAxis, planLogAxis } from "./damage_axis.js";
import { byId, element } from "./elements.js";
import { formatCount } from "./format.js";
import { binRange } from "./heat.js";
import { letPick } from "./pick_layer.js";
import { plotAxis, plotScale, plotSeries, showPanels } from "./plot.js";

/** @typedef {import("./damage_axis.js").AxisPlan} AxisPlan */

/**
 * @param {import("./page_data.js").PageData} data
 * @param {(layer: number) => void} choose called with a layer that is chosen
 * @returns {(rows: number[]) => void} shows these layers
 */
export function showErrorBars(data, choose) {
  const damage = damageOf(data.layers);
  const order = /** @type {HTMLSelectElement} */ (byId("error-order"));
  const kind = /** @type {HTMLSelectElement} */ (byId("error-scale"));
  const cursor = element("div", { class: "cursor" });
  const state = {
    rows: /** @type {number[]} */ ([]),
    layers: /** @type {number[]} */ ([]),
    over: /** @type {HTMLElement | null} */ (null),
  };
  const worstOf = (/** @type {[number, number]} */ [from, end]) => {
    const [worst] = rankLayers(state.layers.slice(from, end), damage);
    return state.layers.indexOf(worst, from);
  };

  const describe = (/** @type {import("./plot.js").Look} */ look) => {
    const known = state.layers.flatMap((layer) => damage.values[layer] ?? []);
    const isLog = damage.isShare && kind.value === "log";
    const axis = isLog ? planLogAxis(known) : planAxis(known);
    const colors = data.grades.map((grade) => look.color(grade));
    const words = order.value === "damage" ? "worst first" : "in the order of the model";
    const bars = (/** @type {uPlot} */ plot) => ({
      fill: traceLayers(
        plot,
        axis,
        state.layers,
        damage,
        (layer) => colors[Number(data.layers.grade[layer])],
      ),
    });
    return [{
      data: [[0, 1], [0, 0]],
      options: {
        title: damage.label[0].toUpperCase() + damage.label.slice(1),
        height: 210,
        scales: { x: plotScale(0, 1), y: plotScale(axis.from, axis.to, axis.isLog ? LOG : {}) },
        axes: [
          plotAxis(look, [0, 1], () => "", {
            size: 6,
            grid: { show: false },
            label: `${formatCount(state.layers.length)} layers, ${words}`,
          }),
          plotAxis(look, axis.ticks, formatTick(damage.isShare)),
        ],
        series: [{}, plotSeries(bars, { width: 0 })],
      },
    }];
  };
  const arrange = () => {
    state.layers = order.value === "damage" ? rankLayers(state.rows, damage) : state.rows;
    draw();
    reset();
  };
  const reset = letPick("error-bars", {
    layers: () => state.layers,
    choose,
    locate: ({ clientX }) => {
      const { left, width } = /** @type {HTMLElement} */ (state.over).getBoundingClientRect();
      const [x, count] = [clientX - left, state.layers.length];
      if (x < 0 || x >= width || count === 0) return null;
      // Below one pixel there may be many.
      return count <= width
        ? Math.floor(x * count / width)
        : worstOf(binRange(Math.floor(x), Math.ceil(width), count));
    },
    mark: (place) => {
      cursor.style.left = `${100 * place / state.layers.length}%`;
      cursor.style.width = `max(2px, ${100 / state.layers.length}%)`;
    },
    describe: (place) => {
      const layer = state.layers[place];
      return `${data.layers.name[layer]}: ${describeDamage(data, layer)}`;
    },
  });
  const draw = showPanels(byId("error-bars"), describe, ([plot]) => {
    state.over = plot.over;
    plot.over.append(cursor);
  });
  order.addEventListener("change", arrange);
  kind.addEventListener("change", draw);
  // A ratio in decibel is a logarithm already.
  byId("error-scale-label").hidden = !damage.isShare;
  return (rows) => {
    state.rows = rows.toSorted((a, b) => a - b);
    arrange();
  };
}

/** What makes a scale of uPlot logarithmic. */
export const LOG = { distr: 3, log: 10 };

/**
 * A bar for each layer, or where they are narrower than a pixel, for the largest there.
 * @param {uPlot} plot
 * @param {AxisPlan} axis
 * @param {number[]} layers
 * @param {import("./damage.js").Damage} damage
 * @param {(layer: number) => string} colorOf
 * @returns {Map<string, Path2D>}
 */
function traceLayers(plot, axis, layers, { isShare, values }, colorOf) {
  const { left, top, width, height } = plot.bbox;
  const bins = Math.min(layers.length, Math.floor(width));
  const pitch = width / bins;
  const zero = axis.isLog ? 0 : placeOn(axis, 0);
  const paths = new Map();
  for (let bin = 0; bin < bins; bin++) {
    const [from, end] = binRange(bin, bins, layers.length);
    /** @type {number | null} */
    let worst = null;
    for (const layer of layers.slice(from, end)) {
      const [value, best] = [values[layer], worst === null ? null : values[worst]];
      if (value === null) continue;
      if (best === null || (isShare ? value > best : value < best)) worst = layer;
    }
    if (worst === null) continue;
    const color = colorOf(worst);
    const path = paths.get(color) ?? new Path2D();
    paths.set(color, path);
    const at = placeOn(axis, values[worst] ?? 0);
    const [low, high] = [Math.min(zero, at), Math.max(zero, at)];
    // What is not nothing shows.
    const tall = Math.max(devicePixelRatio, height * (high - low));
    path.rect(
      left + bin * pitch,
      top + height * (1 - low) - tall,
      pitch > 4 ? 0.85 * pitch : pitch,
      tall,
    );
  }
  return paths;
}
