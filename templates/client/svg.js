/** Nodes that stand for SVG elements, until they are made into markup or into elements. */

/**
 * An SVG element.
 * @typedef {{ tag: string, attributes: Record<string, string | number>, children: (SvgNode | string)[] }} SvgNode
 */

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {(SvgNode | string)[]} children
 * @returns {SvgNode}
 */
export function svgNode(tag, attributes = {}, children = []) {
  return { tag, attributes, children };
}
