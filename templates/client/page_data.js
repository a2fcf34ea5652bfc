/** The figures that the page carries with it. */

/** @typedef {import("./chart.js").Series} Series */

/**
 * What `lib/render/html_data.ts` puts into the page: one entry a layer in every list.
 * @typedef {object} PageData
 * @property {string[]} reports what the series are called, the subject first
 * @property {number} groups
 * @property {number} qmax largest code of the run's width
 * @property {number} threshold
 * @property {number[]} heat least score of each color but the last, best first
 * @property {(unknown[] | null)[]} model series of the model, one a report
 * @property {(unknown[] | null)[][]} series of each report, those of the layers
 * @property {LayerColumns} layers
 * @property {LayerChanges | null} changes
 */

/**
 * @typedef {object} LayerColumns
 * @property {string[]} name
 * @property {number[]} rows
 * @property {number[]} columns
 * @property {string[]} dtype
 * @property {number[]} bits width of a code
 * @property {number[]} score
 * @property {number[]} violations
 * @property {number[]} cosine
 * @property {(number | null)[]} sqnr
 * @property {(number | null)[] | null} output SQNR of outputs; null in it: not known, in its place: of no layer
 * @property {number[]} bytes
 */

/**
 * How the layers moved against the baseline; `null` where it has no such layer.
 * @typedef {object} LayerChanges
 * @property {string[]} direction better, worse, same, changed or new
 * @property {(number | null)[]} score difference
 * @property {(number | null)[]} violations difference
 * @property {(number | null)[]} cosine difference
 * @property {(number | null)[]} sqnr difference
 * @property {(number | null)[]} output difference of the SQNR of outputs
 * @property {(number | null)[]} bytes difference
 */

/**
 * @param {string} id of the script element that holds it
 * @returns {PageData}
 */
export function readPageData(id) {
  return JSON.parse(document.getElementById(id)?.textContent ?? "");
}

/**
 * @param {unknown[] | null | undefined} tuple
 * @returns {Series | null}
 */
export function unpackSeries(tuple) {
  if (!tuple) return null;
  const [scale, zero, jump, zeroJump, score, severity, rows, ramp] = tuple;
  return /** @type {Series} */ ({ scale, zero, jump, zeroJump, score, severity, rows, ramp });
}

/**
 * The series of a layer, or of the model, in each report that has one; the subject's first.
 * @param {PageData} data
 * @param {number | null} layer
 * @returns {{ label: string, series: Series }[]}
 */
export function seriesOf(data, layer) {
  return data.reports.flatMap((label, report) => {
    const series = unpackSeries(
      layer === null ? data.model[report] : data.series[report]?.[layer],
    );
    return series === null ? [] : [{ label, series }];
  });
}
