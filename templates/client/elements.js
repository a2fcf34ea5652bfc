/** Makes elements; text is only ever set as text. */

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {import("./svg.js").SvgNode} SvgNode */

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * @param {SvgNode | string} node
 * @returns {Node}
 */
export function svgElement(node) {
  if (typeof node === "string") return document.createTextNode(node);
  const made = document.createElementNS(SVG, node.tag);
  for (const [name, value] of Object.entries(node.attributes)) {
    made.setAttribute(name, String(value));
  }
  made.append(...node.children.map(svgElement));
  return made;
}

/**
 * The element of an id that the page is known to have.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}
