/** The figures that the page carries with it. */

/**
 * The parameters of a layer, or of the model, over G time groups, and their jumps.
 * @typedef {object} Series
 * @property {number[]} scale [G]
 * @property {number[]} zero [G], zero points
 * @property {number[]} jump [G-1], scale jumps
 * @property {number[]} zeroJump [G-1], zero point jumps
 * @property {number[]} score [G-1], boundary scores
 * @property {string} severity [G-1], a letter for each boundary: h, m, l, or - for no violation; empty: none at all
 * @property {number[]} rows [G+1], first row of each group and the end; empty for the model
 * @property {number[]} ramp [G-1], share of a group on each side of a boundary over which the
 * parameters move, 0 to 0.5; empty where they jump
 */

/**
 * A series as the page carries it: scale, zero, jump in thousandths, zeroJump in thousandths, score in
 * ten-thousandths, severity, place of its rows in the list of all of them or -1, ramp.
 * @typedef {[number[], number[], number[], number[], number[], string, number, number[]]} PackedSeries
 */

/**
 * What `lib/render/html_data.ts` puts into the page: one entry a layer in every list.
 * @typedef {object} PageData
 * @property {string[]} reports what the series are called, the subject first
 * @property {number} groups
 * @property {number} qmax largest code of the run's width
 * @property {number} threshold
 * @property {number[]} heat least score of each color but the last, best first
 * @property {string[]} grades best first
 * @property {number[][]} rows first row of each group and the end, each list once
 * @property {Record<number, { from: number, width: number }>} codes where the bins of histograms lie among the codes
 * of a width: the left end of the first one and the width of each
 * @property {(PackedSeries | null)[]} model series of the model, one a report
 * @property {(PackedSeries | null)[][]} series of each report, those of the layers
 * @property {LayerColumns} layers
 * @property {LayerChanges | null} changes
 * @property {{ timesteps: number[], kinds: DriftCurves[] } | null} drift of the inputs, by a calibration
 * @property {InputColumns | null} activations quantizers of the inputs; null: inputs are not quantized
 */

/**
 * @typedef {object} LayerColumns
 * @property {string[]} name
 * @property {number[]} rows
 * @property {number[]} columns
 * @property {string[]} dtypes each once
 * @property {number[]} dtype place in that list
 * @property {number[]} bits width of a code
 * @property {(number | null)[] | null} share of the model's error; null in it: unknown, in its place: of all layers
 * @property {string} grade a digit a layer: its place in the list of grades
 * @property {number[]} score
 * @property {number[]} violations
 * @property {number[]} cosine
 * @property {(number | null)[]} sqnr
 * @property {(number | null)[] | null} output SQNR of outputs; null in it: not known, in its place: of no layer
 * @property {number[]} source bytes before
 * @property {number[]} bytes after
 * @property {(string | null)[]} codes where the weights lie among the codes, a letter a bin; null: not known
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

/** Curves over the timesteps; `null`: not known. @typedef {{ range: number[] | null, rms: number[] | null }} DriftCurves */

/**
 * Quantizers of inputs, one entry a layer in every list behind `drawn`.
 * @typedef {object} InputColumns
 * @property {number} groups G, time groups
 * @property {number[]} points [P], the timesteps or mask levels of curves
 * @property {number[]} edges [G+1], where time groups begin and end among them
 * @property {InputCurves[]} drawn those that drift most, the largest drift first
 * @property {number[]} layer its place among the layers
 * @property {(number | null)[]} once expected SQNR with one range for all timesteps; null: no error
 * @property {(number | null)[]} grouped with the time groups
 * @property {(number | null)[]} each with a range for each timestep
 * @property {number[]} score
 * @property {number[]} violations
 * @property {number[]} recommended time groups
 */

/**
 * The inputs of a layer over time.
 * @typedef {object} InputCurves
 * @property {number[]} range [P]
 * @property {number[]} scale [G]
 * @property {number[] | null} moving [P], the scale where it moves within time groups; null: it does not
 * @property {number[]} before [G], the scale in phase baseline
 */

/** Words for the letters of a severity. */
export const SEVERITIES = { h: "high", m: "medium", l: "low" };

/**
 * @param {string} id of the script element that holds it
 * @returns {PageData}
 */
export function readPageData(id) {
  return JSON.parse(document.getElementById(id)?.textContent ?? "");
}

/**
 * @param {PageData} data
 * @param {PackedSeries | null | undefined} packed
 * @returns {Series | null}
 */
export function unpackSeries(data, packed) {
  if (!packed) return null;
  const [scale, zero, jump, zeroJump, score, severity, rows, ramp] = packed;
  return {
    scale,
    zero,
    jump: jump.map((value) => value / 1000),
    zeroJump: zeroJump.map((value) => value / 1000),
    score: unpackScores(score),
    severity,
    rows: data.rows[rows] ?? [],
    ramp,
  };
}

/**
 * The boundary scores of a layer of the subject.
 * @param {PageData} data
 * @param {number} layer
 * @returns {number[] | null} `null`: the page does not carry them
 */
export function scoresOf(data, layer) {
  const packed = data.series[0]?.[layer];
  return packed ? unpackScores(packed[4]) : null;
}

/**
 * @param {number[]} scores
 * @returns {number[]}
 */
function unpackScores(scores) {
  return scores.map((value) => value / 10_000);
}

/**
 * The series of a layer, or of the model, in each report that has one; the subject's first.
 * @param {PageData} data
 * @param {number | null} layer
 * @returns {{ label: string, series: Series }[]}
 */
export function seriesOf(data, layer) {
  return data.reports.flatMap((label, report) => {
    const packed = layer === null ? data.model[report] : data.series[report]?.[layer];
    const series = unpackSeries(data, packed);
    return series === null ? [] : [{ label, series }];
  });
}

/**
 * The letters of a histogram, one for each height: in the order of their heights.
 */
const HEIGHTS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/**
 * Packs a histogram, a letter a bin: the square root of its share of the fullest one in 63 steps, so that thin
 * tails show too. What is not empty is at least 1.
 * @param {readonly number[]} counts 0 or more
 * @returns {string}
 */
export function packHistogram(counts) {
  const most = counts.reduce((a, b) => Math.max(a, b), 0);
  return counts.map((count) => {
    const height = count > 0 ? Math.max(1, Math.round(63 * Math.sqrt(count / most))) : 0;
    return HEIGHTS[height];
  }).join("");
}

/**
 * @param {string} letters
 * @returns {number[]} square roots of the shares of the fullest bin, 0 to 1
 */
export function unpackHistogram(letters) {
  return [...letters].map((letter) => HEIGHTS.indexOf(letter) / 63);
}
