/** The table of layers, worst first. */
import { damageOf, formatShare } from "./damage.js";
import { byId, element, svgElement } from "./elements.js";
import { formatBytes, formatCount, formatScore } from "./format.js";
import { drawStrip } from "./heat.js";
import { describeShape, gradeTag } from "./layer_view.js";
import { scoresOf } from "./page_data.js";
import { showTable } from "./table.js";
import { layerButton } from "./violation_table.js";

/**
 * @param {import("./page_data.js").PageData} data
 * @param {(layer: number) => void} choose called with a layer that is chosen
 * @param {(layers: number[]) => void} onListed called with the layers that the filters leave, on all pages
 */
export function showLayers(data, choose, onListed) {
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
  const decibel = (/** @type {number} */ value) => value.toFixed(2);
  const { share } = layers;
  const columns = [
    { label: "Layer", value: nameOf, cell: (i) => layerButton(nameOf(i), () => choose(i)) },
    ...share === null ? [] : [shareColumn(share)],
    {
      label: "Grade",
      value: (/** @type {number} */ i) => layers.grade[i],
      cell: (/** @type {number} */ i) => gradeTag(data, i),
    },
    ...layers.output === null
      ? []
      : [number("Output SQNR, dB", layers.output, decibel, true, "n/a")],
    number("SQNR, dB", layers.sqnr, decibel, true),
    number("Score", layers.score, formatScore),
    {
      label: "Boundaries",
      value: (/** @type {number} */ i) =>
        (scoresOf(data, i) ?? [Infinity]).reduce((a, b) => Math.min(a, b), 1),
      cell: (/** @type {number} */ i) => {
        const scores = scoresOf(data, i) ?? [];
        return scores.length === 0 ? "-" : svgElement(drawStrip(scores, data.heat));
      },
    },
    number("Violations", layers.violations, formatCount, true),
    number("Cosine", layers.cosine, formatScore, true),
    ...changes === null
      ? [number("Bytes", layers.bytes, formatBytes, true), shapeColumn(layers)]
      : [changeColumn(changes)],
  ];
  const { isShare } = damageOf(layers);
  const worst = columns.findIndex(({ label }) =>
    label === (isShare ? "Share of error" : "SQNR, dB")
  );
  const sort = { column: worst, descending: isShare };
  const setRows = showTable("layer-table", columns, nameOf, sort, onListed);
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
 * @param {(number | null)[]} share
 */
function shareColumn(share) {
  return {
    label: "Share of error",
    value: (/** @type {number} */ i) => share[i] ?? -1,
    cell: (/** @type {number} */ i) => formatShare(share[i]),
    numeric: true,
  };
}

/**
 * @param {import("./page_data.js").LayerColumns} layers
 */
function shapeColumn(layers) {
  return {
    label: "Shape",
    value: (/** @type {number} */ i) => layers.rows[i] * layers.columns[i],
    cell: (/** @type {number} */ i) => describeShape(layers, i),
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
