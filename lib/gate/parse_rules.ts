/** From the text of a rules file, `isotherm.gate.json`, to rules. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { compilePattern } from "../base/match_pattern.ts";
import { isObject } from "../report/check_schema.ts";
import { directionOf, type GateRule } from "./gate_rules.ts";
import { LAYER_COUNTS } from "../report/metrics.ts";
import { parseJson } from "../report/parse_report.ts";

const RULE_KEYS = ["metric", "direction", "absolute", "relative", "level", "must_not_move"];

/**
 * Reads rules: `{"rules": [{"metric": "sqnr_db", "absolute": 0.5, "level": "warn"}, ...]}`. A metric is
 * the name of a figure of the report, `vanished_layers`, `new_layers`, `renamed_layers`, or
 * `layers[PATTERN].NAME` for a figure of each layer the pattern matches.
 *
 * @throws {BadInputError} It is malformed; the message names the rule and no file.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const [rule] = parseRules('{"rules": [{"metric": "layers[blocks.0.*].sqnr_db", "absolute": 1}]}');
 * assert.deepEqual([rule?.layers, rule?.metric, rule?.level], ["blocks.0.*", "sqnr_db", "fail"]);
 * ```
 */
export function parseRules(text: string): GateRule[] {
  const value = parseJson(text);
  if (!isObject(value) || !Array.isArray(value.rules)) {
    throw new BadInputError('it has no list "rules"');
  }
  const surplus = Object.keys(value).find((key) => key !== "rules" && key !== "$schema");
  if (surplus !== undefined) {
    throw new BadInputError(`its key ${quote(surplus)} is unknown, must be rules`);
  }
  return value.rules.map((rule, i) => parseRule(rule, `rules[${i}]`));
}

function parseRule(value: unknown, place: string): GateRule {
  const fail = (what: string): never => {
    throw new BadInputError(`${place}${what}`);
  };
  if (!isObject(value)) return fail(" is no object");
  const surplus = Object.keys(value).find((key) => !RULE_KEYS.includes(key));
  if (surplus !== undefined) {
    fail(` has the unknown key ${quote(surplus)}, must be ${RULE_KEYS.join(", ")}`);
  }
  const { metric, level = "fail", must_not_move = false } = value;
  if (typeof metric !== "string") return fail(".metric is missing or no text");
  if (level !== "warn" && level !== "fail") return fail('.level must be "warn" or "fail"');
  if (typeof must_not_move !== "boolean") return fail(".must_not_move must be true or false");
  const tolerance = (key: "absolute" | "relative") => {
    const amount = value[key] ?? 0;
    if (typeof amount === "number" && amount >= 0) return amount;
    return fail(`.${key} must be a number from 0 on`);
  };
  const [absolute, relative] = [tolerance("absolute"), tolerance("relative")];
  if (must_not_move && (absolute > 0 || relative > 0)) {
    fail(": what must not move has no tolerance: leave absolute and relative out");
  }
  const { layers, name } = splitMetric(metric);
  const better = directionOf(name, layers !== null);
  if (better === undefined) {
    fail(`.metric ${quote(metric)} is unknown: name a figure of the report`);
  }
  if (layers !== null) checkPattern(layers, fail);
  if (
    LAYER_COUNTS.some((count) => count === name) && (relative > 0 || value.direction === "higher")
  ) {
    fail(`: a number of layers takes no relative tolerance, and less is better: give absolute`);
  }
  const direction = value.direction ?? better ?? (must_not_move ? "higher" : undefined);
  if (direction !== "higher" && direction !== "lower") {
    return fail(
      `.direction must be "higher" or "lower", whichever is better for ${quote(name)}`,
    );
  }
  return {
    metric: name as GateRule["metric"],
    layers,
    direction,
    absolute,
    relative,
    level,
    must_not_move,
  };
}

/** `layers[PATTERN].NAME`, or a name alone. A pattern may hold brackets itself. */
function splitMetric(metric: string): { layers: string | null; name: string } {
  const [, layers = null, name = metric] = /^layers\[(.+)\]\.([^\].]+)$/su.exec(metric) ?? [];
  return { layers, name };
}

function checkPattern(pattern: string, fail: (what: string) => never): void {
  try {
    compilePattern(pattern);
  } catch (error) {
    if (!(error instanceof BadInputError)) throw error;
    fail(`.metric: ${error.message}`);
  }
}
