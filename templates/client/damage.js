/** What layers are ranked by: their shares of the model's error, or in a report without them their SQNR. */
import { formatDecibel, formatShort } from "./format.js";

/**
 * @typedef {object} Damage
 * @property {boolean} isShare else a ratio of signal to noise, which is worse the lower it is
 * @property {string} label of an axis
 * @property {(number | null)[]} values of each layer; null: not known, or no error
 */

/**
 * @param {import("./page_data.js").LayerColumns} layers
 * @returns {Damage}
 */
export function damageOf({ share, sqnr, output }) {
  if (share !== null) return { isShare: true, label: "share of the model's error", values: share };
  const values = sqnr.map((value, i) => output?.[i] ?? value);
  return { isShare: false, label: "SQNR in dB, low is worse", values };
}

/**
 * Layers by their damage, the worst first; those of which nothing is known behind.
 * @param {number[]} rows layers
 * @param {Damage} damage
 * @returns {number[]}
 */
export function rankLayers(rows, { isShare, values }) {
  const keyOf = (/** @type {number} */ layer) => {
    const value = values[layer];
    return value === null ? Infinity : isShare ? -value : value;
  };
  return rows.map((layer) => ({ layer, key: keyOf(layer) }))
    .sort((a, b) => a.key === b.key ? 0 : a.key < b.key ? -1 : 1)
    .map(({ layer }) => layer);
}

/**
 * A share of the error: small ones keep three digits.
 * @param {number | null} value
 * @returns {string}
 */
export function formatShare(value) {
  return value === null ? "n/a" : `${formatShort(100 * value)}%`;
}

/**
 * What is known of a layer's error, in a sentence.
 * @param {import("./page_data.js").PageData} data
 * @param {number} layer
 * @returns {string}
 */
export function describeDamage({ layers, grades }, layer) {
  const share = layers.share?.[layer];
  const output = layers.output?.[layer] ?? null;
  return [
    ...share === undefined || share === null ? [] : [`${formatShare(share)} of the model's error`],
    grades[Number(layers.grade[layer])],
    output === null
      ? `SQNR of the weights ${formatDecibel(layers.sqnr[layer])}`
      : `SQNR of the outputs ${formatDecibel(output)}`,
  ].join(", ");
}
