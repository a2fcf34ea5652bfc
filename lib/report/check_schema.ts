/**
 * Checks a value against the part of JSON Schema that the report's schema uses, so that the schema
 * which ships is the one that is enforced. Keys it does not name are accepted: a later version may
 * have added them.
 */

import { escapeText } from "../base/text.ts";

/** A JSON Schema. */
export interface Schema {
  /** Types allowed. */
  type?: string | string[];
  /** The only value. */
  const?: unknown;
  /** The only values. */
  enum?: unknown[];
  /** Least number. */
  minimum?: number;
  /** Greatest number. */
  maximum?: number;
  /** The number has to be above this. */
  exclusiveMinimum?: number;
  /** Fewest items. */
  minItems?: number;
  /** Most items. */
  maxItems?: number;
  /** Each item. */
  items?: Schema;
  /** Keys that have to be there. */
  required?: string[];
  /** What each key holds. */
  properties?: Record<string, Schema>;
  /** A schema among the definitions: `#/$defs/NAME`. */
  $ref?: string;
  /** Definitions. */
  $defs?: Record<string, Schema>;
}

const WORDS: Record<string, string> = {
  array: "a list",
  boolean: "true or false",
  integer: "a whole number",
  null: "null",
  number: "a number",
  object: "an object",
  string: "text",
};

/**
 * Finds the first thing that is wrong with a value.
 *
 * @returns It in words, or `undefined`: `layers[3].rows is "x", must be a whole number`.
 */
export function findProblem(value: unknown, root: Schema): string | undefined {
  const visit = (value: unknown, schema: Schema, path: string): string | undefined => {
    if (schema.$ref !== undefined) {
      return visit(value, root.$defs![schema.$ref.slice("#/$defs/".length)]!, path);
    }
    const limit = brokenLimit(value, schema);
    if (limit !== undefined) return `${path || "it"} is ${show(value)}, must be ${limit}`;
    if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) {
        const problem = visit(item, schema.items ?? {}, `${path}[${i}]`);
        if (problem !== undefined) return problem;
      }
    } else if (isObject(value)) {
      const missing = schema.required?.find((key) => !Object.hasOwn(value, key));
      if (missing !== undefined) return `${path === "" ? "" : `${path}.`}${missing} is missing`;
      for (const [key, part] of Object.entries(schema.properties ?? {})) {
        if (!Object.hasOwn(value, key)) continue;
        const problem = visit(value[key], part, path === "" ? key : `${path}.${key}`);
        if (problem !== undefined) return problem;
      }
    }
    return undefined;
  };
  return visit(value, root, "");
}

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function brokenLimit(value: unknown, schema: Schema): string | undefined {
  if (schema.const !== undefined && value !== schema.const) return JSON.stringify(schema.const);
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    return schema.enum.map((one) => JSON.stringify(one)).join(" or ");
  }
  const types = [schema.type ?? []].flat();
  if (types.length > 0 && !types.some((type) => isOfType(value, type))) {
    return types.map((type) => WORDS[type]).join(" or ");
  }
  if (typeof value === "number") {
    const { minimum = -Infinity, maximum = Infinity, exclusiveMinimum = -Infinity } = schema;
    if (value < minimum) return `at least ${minimum}`;
    if (value > maximum) return `at most ${maximum}`;
    if (value <= exclusiveMinimum) return `above ${exclusiveMinimum}`;
  }
  if (Array.isArray(value)) {
    const { minItems = 0, maxItems = Infinity } = schema;
    if (value.length < minItems) return `a list of at least ${minItems}`;
    if (value.length > maxItems) return `a list of at most ${maxItems}`;
  }
  return undefined;
}

function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case "array":
      return Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    case "null":
      return value === null;
    case "number":
      return Number.isFinite(value);
    case "object":
      return isObject(value);
    case "boolean":
      return typeof value === "boolean";
    case "string":
      return typeof value === "string";
    default:
      return false;
  }
}

/** A value in a message: lists and objects only by their kind, since they may be of any size. */
function show(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (isObject(value)) return "an object";
  return typeof value === "number" ? String(value) : escapeText(JSON.stringify(value));
}
