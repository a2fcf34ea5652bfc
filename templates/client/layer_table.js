/** The table of layers, worst first. */
import { byId, element, svgElement } from "./elements.js";
import { formatBytes, formatCount, formatScore } from "./format.js";
import { drawStrip } from "./heat.js";
import { unpackSeries } from "./page_data.js";
import { showTable } from "./table.js";
import { layerButton } from "./violation_table.js";

/**
 * @param {import("./page_data.js").PageData} data
 * @param {(layer: number) => void} choose called with a layer that is chosen
 */
export function showLayers(data, choose) {
  const { layers, changes } = data;
  const nameOf = (/** @type {number} */ i) => layers.name[i];
  const number = (
    /** @type {string} */ label,
    /** @type {(number | null)[]} */ values,
    /** @type {(value: number) => string} */ format,
    minor = false,
    missing = "no error",
  ) => ({
    label,
    value: (/** @type {number} */ i) => values[i] ?? Infinity,
    cell: (/** @type {number} */ i) => {
      const value = values[i];
      return value === null ? missing : format(value);
    },
    numeric: true,
    minor,
  });
  const columns = [
    {
      label: "Layer",
      value: nameOf,
      cell: (/** @type {number} */ i) =>
        data.series[0]?.[i] ? layerButton(nameOf(i), () => choose(i)) : nameOf(i),
    },
    number("Score", layers.score, formatScore),
    ...changes === null ? [] : [changeColumn(changes)],
    {
      label: "Boundaries",
      value: (/** @type {number} */ i) => worstScore(data, i),
      cell: (/** @type {number} */ i) => {
        const series = unpackSeries(data.series[0]?.[i]);
        if (!series || series.score.length === 0) return "-";
        return svgElement(drawStrip(series.score, data.heat));
      },
    },
    number("Violations", layers.violations, formatCount, true),
    ...layers.output === null
      ? []
      : [number("Output SQNR, dB", layers.output, (value) => value.toFixed(2), true, "n/a")],
    number("Cosine", layers.cosine, formatScore, true),
    number("SQNR, dB", layers.sqnr, (value) => value.toFixed(2), true),
    ...changes === null
      ? [number("Bytes", layers.bytes, formatBytes, true), shapeColumn(layers)]
      : [],
  ];
  const setRows = showTable("layer-table", columns, nameOf, { column: 1, descending: false });
  const which = /** @type {HTMLSelectElement} */ (byId("layer-which"));
  const list = () => {
    const all = layers.name.map((_, i) => i);
    const isWanted = (/** @type {number} */ i) =>
      which.value === "" ||
      (which.value === "violations"
        ? layers.violations[i] > 0
        : changes?.direction[i] === which.value);
    setRows(all.filter(isWanted));
  };
  which.addEventListener("change", list);
  list();
}

/**
 * @param {import("./page_data.js").LayerColumns} layers
 */
function shapeColumn({ rows, columns, dtype, bits }) {
  return {
    label: "Shape",
    value: (/** @type {number} */ i) => rows[i] * columns[i],
    cell: (/** @type {number} */ i) => `${rows[i]} x ${columns[i]} ${dtype[i]}, INT${bits[i]}`,
    numeric: true,
    minor: true,
  };
}

/**
 * @param {import("./page_data.js").LayerChanges} changes
 */
function changeColumn(changes) {
  const { direction, score, violations, cosine, sqnr, output, bytes } = changes;
  const moved = (
    /** @type {string} */ word,
    /** @type {number | null} */ value,
    /** @type {number} */ digits,
  ) => value ? [`${word} ${value > 0 ? "+" : ""}${value.toFixed(digits)}`] : [];
  return {
    label: "Against the baseline",
    value: (/** @type {number} */ i) => score[i] ?? Infinity,
    cell: (/** @type {number} */ i) => {
      const words = [
        ...moved("score", score[i], 4),
        ...moved("violations", violations[i], 0),
        ...moved("cosine", cosine[i], 4),
        ...moved("SQNR", sqnr[i], 2),
        ...moved("output SQNR", output[i], 2),
        ...moved("bytes", bytes[i], 0),
      ];
      const tag = element("span", { class: `tag ${direction[i]}` }, direction[i]);
      return element("span", { class: "change" }, tag, ` ${words.join(", ")}`);
    },
  };
}

/**
 * @param {import("./page_data.js").PageData} data
 * @param {number} layer
 * @returns {number}
 */
function worstScore(data, layer) {
  const series = unpackSeries(data.series[0]?.[layer]);
  return series === null ? Infinity : series.score.reduce((a, b) => Math.min(a, b), 1);
}
