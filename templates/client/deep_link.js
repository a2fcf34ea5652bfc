/** Links to a layer of the page: `#layer=NAME`. */

const PREFIX = "#layer=";

/**
 * The link to a layer.
 * @param {string} name
 * @returns {string}
 */
export function linkTo(name) {
  return `${PREFIX}${encodeURIComponent(name)}`;
}

/**
 * The layer that a link names.
 * @param {string} hash of an address
 * @returns {string | null} `null`: it leads to no layer
 */
export function readLink(hash) {
  if (!hash.startsWith(PREFIX)) return null;
  const name = hash.slice(PREFIX.length);
  try {
    return decodeURIComponent(name);
  } catch {
    // Typed by hand.
    return name;
  }
}
