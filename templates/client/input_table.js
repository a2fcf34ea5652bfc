/** The table of quantized inputs: what time groups are worth to each layer. */
import { byId } from "./elements.js";
import { formatCount, formatScore } from "./format.js";
import { showTable } from "./table.js";
import { layerButton } from "./violation_table.js";

/**
 * @param {import("./page_data.js").PageData} data
 * @param {import("./page_data.js").InputColumns} inputs
 * @param {(layer: number) => void} choose called with a layer that is chosen
 */
export function showInputTable(data, inputs, choose) {
  const { layer, groups, violations, recommended } = inputs;
  const nameOf = (/** @type {number} */ i) => data.layers.name[layer[i]];
  const number = (
    /** @type {string} */ label,
    /** @type {(number | null)[]} */ values,
    /** @type {(value: number) => string} */ format,
    minor = false,
  ) => ({
    label,
    value: (/** @type {number} */ i) => values[i] ?? Infinity,
    cell: (/** @type {number} */ i) => {
      const value = values[i];
      return value === null ? "no error" : format(value);
    },
    numeric: true,
    minor,
  });
  const decibel = (/** @type {number} */ value) => value.toFixed(2);
  const columns = [
    {
      label: "Layer",
      value: nameOf,
      cell: (/** @type {number} */ i) => layerButton(nameOf(i), () => choose(layer[i])),
    },
    number("One range", inputs.once, decibel, true),
    number("Time groups", inputs.grouped, decibel),
    number("Limit", inputs.each, decibel, true),
    // One time group has no boundary.
    ...groups === 1 ? [] : [
      number("Score", inputs.score, formatScore),
      number("Violations", violations, formatCount, true),
    ],
    number("Recommended groups", recommended, formatCount),
  ];
  const setRows = showTable("input-table", columns, nameOf, { column: 2, descending: false });
  const which = /** @type {HTMLSelectElement} */ (byId("input-which"));
  const list = () => {
    const isWanted = (/** @type {number} */ i) =>
      which.value === "" ||
      (which.value === "violations" ? violations[i] > 0 : recommended[i] > groups);
    setRows(layer.map((_, i) => i).filter(isWanted));
  };
  which.addEventListener("change", list);
  list();
}
