/** How deep JSON of unknown origin may be nested, and how much of it may be kept: the one place that says so. */

/** Deepest nesting of a safetensors header: tensors, their fields, a shape, and one more in a field nobody knows. */
export const HEADER_DEPTH = 4;

/** Deepest nesting of everything else: reports, rules, indexes, configs. */
export const DOCUMENT_DEPTH = 32;

/** Most memory that may be kept of a document, in bytes, as estimated by {@linkcode COST}. */
export const MAX_KEPT = 160 * 2 ** 20;

/** Longest text and number, in bytes. */
export const MAX_TEXT = 16 * 2 ** 20;

/** What values take in memory, in bytes; measured on V8 with 64-bit pointers. */
export const COST = {
  /** A text, without its characters. */
  text: 32,
  /** A list, without its items. */
  list: 56,
  /** Place of an item or of a number in a list. */
  item: 8,
  /** Place of an item until its list is closed. */
  openItem: 28,
  /** A number that is no small integer. */
  number: 16,
  /** A number kept as it is written. */
  literal: 64,
  /** A map, without its entries. */
  map: 240,
  /** An entry of a map or a set. */
  entry: 64,
  /** An object, without its values. */
  object: 80,
  /** Place of a value in an object. */
  value: 12,
  /** An object with keys in an order that was not there before. */
  shape: 640,
} as const;
