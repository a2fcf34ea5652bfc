/** The table of violations, of the model and of its layers. */
import { byId, element } from "./elements.js";
import { formatPercent } from "./format.js";
import { breakName } from "./layer_view.js";
import { SEVERITIES, unpackSeries } from "./page_data.js";
import { showTable } from "./table.js";

/** @typedef {{ layer: number | null, boundary: number, jump: number, zeroJump: number, letter: string }} Violation */

/**
 * @param {import("./page_data.js").PageData} data
 * @param {(layer: number) => void} choose called with a layer that is chosen
 */
export function showViolations(data, choose) {
  const nameOf = (/** @type {Violation} */ { layer }) =>
    layer === null ? "Whole model" : data.layers.name[layer];
  const severity = (/** @type {Violation} */ { letter }) => SEVERITIES[letter];
  const columns = [
    {
      label: "Where",
      value: nameOf,
      cell: (/** @type {Violation} */ row) => {
        const { layer } = row;
        return layer === null ? nameOf(row) : layerButton(nameOf(row), () => choose(layer));
      },
    },
    {
      label: "Boundary",
      value: (/** @type {Violation} */ row) => row.boundary,
      cell: (/** @type {Violation} */ { boundary }) => `${boundary} to ${boundary + 1}`,
      numeric: true,
    },
    {
      label: "Scale jump",
      value: (/** @type {Violation} */ row) => row.jump,
      cell: (/** @type {Violation} */ row) => formatPercent(row.jump),
      numeric: true,
    },
    {
      label: "Zero point jump",
      value: (/** @type {Violation} */ row) => row.zeroJump,
      cell: (/** @type {Violation} */ row) => formatPercent(row.zeroJump),
      numeric: true,
      minor: true,
    },
    {
      label: "Severity",
      value: (/** @type {Violation} */ row) => "lmh".indexOf(row.letter),
      cell: (/** @type {Violation} */ row) =>
        element("span", { class: `tag ${severity(row)}` }, severity(row)),
    },
  ];
  const text = (/** @type {Violation} */ row) => `${nameOf(row)} ${severity(row)}`;
  const setRows = showTable("violation-table", columns, text, { column: 2, descending: true });
  const scope = /** @type {HTMLSelectElement} */ (byId("violation-scope"));
  const list = () => {
    const all = scope.value === "layers" ? data.series[0] ?? [] : data.model.slice(0, 1);
    const rows = all.flatMap((packed, i) =>
      listOf(unpackSeries(data, packed), scope.value === "layers" ? i : null)
    );
    setRows(rows);
  };
  scope.addEventListener("change", list);
  list();
}

/**
 * A layer's name that leads to what is known of it.
 * @param {string} name
 * @param {() => void} choose
 * @returns {HTMLElement}
 */
export function layerButton(name, choose) {
  const button = element("button", { type: "button", class: "layer" }, ...breakName(name));
  button.addEventListener("click", choose);
  return button;
}

/**
 * @param {import("./page_data.js").Series | null} series
 * @param {number | null} layer
 * @returns {Violation[]}
 */
function listOf(series, layer) {
  if (series === null) return [];
  return [...series.severity].flatMap((letter, boundary) =>
    letter === "-" ? [] : [{
      layer,
      boundary,
      jump: series.jump[boundary],
      zeroJump: series.zeroJump[boundary],
      letter,
    }]
  );
}
