/** From the plain nodes of `templates/client/svg.js` to markup. */

import type { SvgNode } from "../../templates/client/svg.js";

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as it may stand in an element and in a quoted attribute. */
export function escapeMarkup(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => ENTITIES[char]!);
}

/** A tree of nodes as markup. */
export function toMarkup(node: SvgNode | string): string {
  if (typeof node === "string") return escapeMarkup(node);
  const attributes = Object.entries(node.attributes)
    .map(([name, value]) => ` ${name}="${escapeMarkup(String(value))}"`);
  return `<${node.tag}${attributes.join("")}>${node.children.map(toMarkup).join("")}</${node.tag}>`;
}
