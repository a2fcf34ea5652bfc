/** Numbers in words, the same on the page as in what is rendered before. */

/**
 * A score from 0 to 1.
 * @param {number | null} value
 * @returns {string}
 */
export function formatScore(value) {
  return value === null || Number.isNaN(value) ? "n/a" : value.toFixed(4);
}

/**
 * A share, 1 being all of it.
 * @param {number} value
 * @returns {string}
 */
export function formatPercent(value) {
  return `${(100 * value).toFixed(1)}%`;
}

/**
 * A ratio of signal to noise; without noise it has no end.
 * @param {number | null} value
 * @returns {string}
 */
export function formatDecibel(value) {
  return value === null ? "no error" : `${value.toFixed(2)} dB`;
}

/**
 * A number of bytes.
 * @param {number} value
 * @returns {string}
 */
export function formatBytes(value) {
  for (const [unit, size] of /** @type {[string, number][]} */ ([["GB", 1e9], ["MB", 1e6]])) {
    if (value >= size) return `${(value / size).toFixed(2)} ${unit}`;
  }
  return value >= 1000 ? `${(value / 1000).toFixed(1)} kB` : `${value} B`;
}

/**
 * A whole number, in groups of three digits.
 * @param {number} value
 * @returns {string}
 */
export function formatCount(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

/**
 * Any other number, to three significant digits.
 * @param {number} value
 * @returns {string}
 */
export function formatShort(value) {
  return String(Number(value.toPrecision(3)));
}
