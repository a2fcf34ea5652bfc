/** Writes a baseline: the part of a report that is compared, made to be reviewed in a pull request. */

import { sixDigits } from "../report/metrics.ts";
import {
  FIGURE_KEYS,
  LAYER_KEYS,
  type LayerFigures,
  OPTIONAL_KEYS,
  type ReportFigures,
  SETTING_KEYS,
} from "../report/report_figures.ts";

/** Characters that a reviewer does not see, or that reorder what is seen. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * The text of a baseline: no times, paths, backend or machine; figures to 6 significant digits; fixed
 * order of keys, patterns and layers sorted, each layer on one line. Equal figures give equal bytes.
 */
export function formatBaseline(report: ReportFigures): string {
  const settings = new Set<string>(SETTING_KEYS);
  const optional = OPTIONAL_KEYS.filter((key) => report[key] !== undefined);
  const head = [...FIGURE_KEYS, ...optional].map((key) => {
    const value = key === "ignore"
      ? [...report.ignore].sort()
      : key === "calibration"
      ? withoutDrift(report.calibration)
      : report[key];
    return `  ${format(key)}: ${format(settings.has(key) ? value : round(value))}`;
  });
  const layers = [...report.layers].sort((a, b) => a.name < b.name ? -1 : 1).map((layer) =>
    `    ${format(Object.fromEntries(keysOf(layer).map((key) => [key, round(layer[key])])))}`
  );
  const table = layers.length === 0 ? "[]" : `[\n${layers.join(",\n")}\n  ]`;
  return `{\n${head.join(",\n")},\n  "layers": ${table}\n}\n`;
}

/** A calibration without its curves, which are compared by nobody. */
function withoutDrift(calibration: ReportFigures["calibration"]): ReportFigures["calibration"] {
  if (calibration === undefined) return undefined;
  const { drift: _drift, ...kept } = calibration;
  return kept;
}

/** Keys of a layer that are kept. */
function keysOf({ output_sqnr_db }: LayerFigures): (keyof LayerFigures)[] {
  return output_sqnr_db === undefined ? [...LAYER_KEYS] : [...LAYER_KEYS, "output_sqnr_db"];
}

/** The value with every number in it that is not whole rounded. */
function round(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(round);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, round(part)]));
  }
  return typeof value === "number" && !Number.isInteger(value) ? sixDigits(value) : value;
}

/** JSON on one line with spaces, so that a diff of it can be read. */
function format(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(format).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([key, part]) => `${format(key)}: ${format(part)}`);
    return `{${entries.join(", ")}}`;
  }
  return JSON.stringify(value).replace(UNSEEN, (text) =>
    [...Array(text.length).keys()]
      .map((i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, "0")}`).join(""));
}
