/** Saved bytes against error: a point for each layer that the table lists. */
import { damageOf, describeDamage } from "./damage.js";
import { formatTick, placeOn, planAxis, planLogAxis } from "./damage_axis.js";
import { byId, element } from "./elements.js";
import { LOG } from "./error_bars.js";
import { formatBytes } from "./format.js";
import { letPick } from "./pick_layer.js";
import { plotAxis, plotScale, plotSeries, showPanels } from "./plot.js";

/** How far from a point one still points at it, in pixels. */
const REACH = 24;

/** Half the side of a point, in pixels. */
const RADIUS = 3;

/** Where a layer lies in the chart, 0 to 1 from the left and from below. @typedef {{ layer: number, x: number, y: number }} Spot */

/**
 * @param {import("./page_data.js").PageData} data
 * @param {(layer: number) => void} choose called with a layer that is chosen
 * @returns {(rows: number[]) => void} shows these layers
 */
export function showErrorScatter(data, choose) {
  const { layers } = data;
  const damage = damageOf(layers);
  const cursor = element("div", { class: "ring" });
  const saved = layers.source.map((before, i) => before - layers.bytes[i]);
  const state = {
    spots: /** @type {Spot[]} */ ([]),
    axes: [planLogAxis([]), planLogAxis([])],
    over: /** @type {HTMLElement | null} */ (null),
  };

  const describe = (/** @type {import("./plot.js").Look} */ look) => {
    const [xs, ys] = state.axes;
    const colors = data.grades.map((grade) => look.color(grade));
    const points = (/** @type {uPlot} */ plot) => ({
      fill: traceSpots(plot, state.spots, (layer) => colors[Number(layers.grade[layer])]),
    });
    return [{
      data: [[xs.from, xs.to], [0, 0]],
      options: {
        title: damage.label[0].toUpperCase() + damage.label.slice(1),
        height: 260,
        // A point on the edge is whole.
        padding: [12, 28, 4, 0],
        scales: {
          x: plotScale(xs.from, xs.to, LOG),
          y: plotScale(ys.from, ys.to, ys.isLog ? LOG : {}),
        },
        axes: [
          plotAxis(look, xs.ticks, formatBytes, { size: 24, label: "bytes saved" }),
          plotAxis(look, ys.ticks, formatTick(damage.isShare)),
        ],
        series: [{}, plotSeries(points, { width: 0, alpha: 0.75 })],
      },
    }];
  };
  const reset = letPick("error-scatter", {
    layers: () => state.spots.map(({ layer }) => layer),
    choose,
    locate: ({ clientX, clientY }) => {
      const { left, top, width, height } = /** @type {HTMLElement} */ (state.over)
        .getBoundingClientRect();
      let [nearest, least] = [/** @type {number | null} */ (null), REACH];
      for (const [place, { x, y }] of state.spots.entries()) {
        const distance = Math.hypot(clientX - left - x * width, clientY - top - (1 - y) * height);
        if (distance < least) [nearest, least] = [place, distance];
      }
      return nearest;
    },
    mark: (place) => {
      const { x, y } = state.spots[place];
      cursor.style.left = `${100 * x}%`;
      cursor.style.top = `${100 * (1 - y)}%`;
    },
    describe: (place) => {
      const { layer } = state.spots[place];
      return `${layers.name[layer]}: ${saveWords(saved[layer])}, ${describeDamage(data, layer)}`;
    },
  });
  const draw = showPanels(byId("error-scatter"), describe, ([plot]) => {
    state.over = plot.over;
    plot.over.append(cursor);
  });
  return (rows) => {
    const known = rows.filter((layer) => damage.values[layer] !== null);
    const values = known.map((layer) => damage.values[layer] ?? 0);
    state.axes = [
      planLogAxis(known.map((layer) => saved[layer])),
      damage.isShare ? planLogAxis(values) : planAxis(values),
    ];
    const [xs, ys] = state.axes;
    state.spots = known.map((layer, i) => ({
      layer,
      x: placeOn(xs, saved[layer]),
      y: placeOn(ys, values[i]),
    })).sort((a, b) => saved[a.layer] - saved[b.layer]);
    draw();
    reset();
  };
}

/**
 * @param {number} bytes
 * @returns {string}
 */
function saveWords(bytes) {
  return bytes < 0 ? `${formatBytes(-bytes)} more` : `${formatBytes(bytes)} saved`;
}

/**
 * @param {uPlot} plot
 * @param {Spot[]} spots
 * @param {(layer: number) => string} colorOf
 * @returns {Map<string, Path2D>}
 */
function traceSpots(plot, spots, colorOf) {
  const { left, top, width, height } = plot.bbox;
  const radius = RADIUS * devicePixelRatio;
  const paths = new Map();
  for (const { layer, x, y } of spots) {
    const color = colorOf(layer);
    const path = paths.get(color) ?? new Path2D();
    paths.set(color, path);
    const [across, down] = [left + x * width, top + (1 - y) * height];
    path.moveTo(across + radius, down);
    path.arc(across, down, radius, 0, 2 * Math.PI);
  }
  return paths;
}
