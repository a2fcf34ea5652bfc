/** What a calibration knows of the layers of a run, for people. */

import { countNouns, escapeText, quote } from "../base/text.ts";
import { formatBytes, formatDecibel, formatPercent } from "../../templates/client/format.js";
import type { CalibrationSummary } from "../run/summarize_calibration.ts";

/** Layers named for each width. */
const LAYERS_SHOWN = 3;

/** The lines that stand below a plan. */
export function listCalibration(summary: CalibrationSummary): string[] {
  return [
    `Calibration ${quote(summary.file)}:`,
    ...describeFile(summary),
    ...describeLayers(summary),
    ...describeDrift(summary),
    ...describeErrors(summary),
    ...describeGroups(summary),
  ];
}

function describeFile({ version, bytes, timesteps, equal_weights, segments }: CalibrationSummary) {
  const { count, first, last } = timesteps;
  const times = count === 1
    ? `1 timestep, ${shorten(first)}`
    : `${count} timesteps from ${shorten(first)} to ${shorten(last)}`;
  const weights = equal_weights ? "all weighing the same" : "weighed when recorded";
  const parts = Object.entries(bytes).filter(([, size]) => size > 0)
    .map(([part, size]) => `${part} ${formatBytes(size)}`);
  return [
    `  ${times}, ${weights}, ${countNouns(segments, "segment")}, version ${version}`,
    `  size: ${parts.length === 0 ? "no statistics" : parts.join(", ")}`,
  ];
}

function describeLayers({ layers, ranks, shared_inputs, strange_layers }: CalibrationSummary) {
  const rank = ranks === null
    ? ""
    : ranks.least === ranks.most
    ? ` of rank ${ranks.most}`
    : ` of rank ${ranks.least} to ${ranks.most}`;
  const kinds: [string, readonly string[]][] = [
    [`with a sketch${rank}, to be compensated`, layers.sketched],
    ["with squares alone, to be measured and not compensated", layers.squares_only],
    ["with histograms or ranges alone, for --activation-bits", layers.ranges_only],
    ["without statistics", layers.missing],
  ];
  const shared = shared_inputs === 0
    ? []
    : [`  ${countNouns(shared_inputs, "layer")} fed the same as another one`];
  const strange = strange_layers[0] === undefined
    ? []
    : [`  statistics of ${listNames(strange_layers)} that the model does not have`];
  return [
    ...kinds.filter(([, names]) => names.length > 0)
      .map(([words, names]) => `  ${listNames(names)} ${words}`),
    ...shared,
    ...strange,
  ];
}

/** `3 layers (a, ...)`. */
function listNames(names: readonly string[]): string {
  const more = names.length > 1 ? ", ..." : "";
  return `${countNouns(names.length, "layer")} (${escapeText(names[0]!)}${more})`;
}

function describeDrift({ drift }: CalibrationSummary): string[] {
  if (drift === null) return ["", "Inputs over time: nothing was recorded by time"];
  const kinds = drift.kinds.map((one) => ({ ...one, kind: escapeText(one.kind) }));
  const width = kinds.reduce((most, { kind }) => Math.max(most, kind.length), "layers".length);
  const show = (ratio: number | null) =>
    (ratio === null ? "-" : `${ratio.toFixed(2)}x`).padStart(9);
  return [
    "",
    "Inputs over time, largest over smallest of the timesteps, by kind of layer:",
    `  ${"layers".padEnd(width)}${"count".padStart(7)}${"range".padStart(9)}${"RMS".padStart(9)}`,
    ...kinds.map(({ kind, layers, range_ratio, rms_ratio }) =>
      `  ${kind.padEnd(width)}${String(layers).padStart(7)}${show(range_ratio)}${show(rms_ratio)}`
    ),
  ];
}

function describeErrors({ predicted_errors }: CalibrationSummary): string[] {
  if (predicted_errors.length === 0) {
    return ["", "Errors of outputs: not known, there are no squares"];
  }
  return [
    "",
    "Errors of outputs, rounded to nearest and not compensated, of a few rows of each layer:",
    ...predicted_errors.map(({ bits, output_sqnr_db, layers }) => {
      const most = layers.slice(0, LAYERS_SHOWN).map(({ name, share, output_sqnr_db }) =>
        `${escapeText(name)} ${formatPercent(share)} (${formatDecibel(output_sqnr_db)})`
      );
      return `  INT${bits}: ${formatDecibel(output_sqnr_db)}, most of it in ${most.join(", ")}`;
    }),
  ];
}

/** What time groups of inputs would come to, and how many are suggested. */
function describeGroups({ predicted_groups }: CalibrationSummary): string[] {
  if (predicted_groups === null) {
    return ["", "Time groups of inputs: not known, there are no histograms"];
  }
  const { bits, group_counts, kinds } = predicted_groups;
  const rows = kinds.map((one) => ({ ...one, kind: escapeText(one.kind) }));
  const width = rows.reduce((most, { kind }) => Math.max(most, kind.length), "layers".length);
  const show = (db: number | null) => (db === null ? "exact" : db.toFixed(1)).padStart(7);
  return [
    "",
    `Inputs quantized to ${bits} bits, expected SQNR in dB by the number of time groups:`,
    `  ${"layers".padEnd(width)}${
      group_counts.map((count) => String(count).padStart(7)).join("")
    }` +
    `${"each".padStart(7)}  suggested`,
    ...rows.map(({ kind, sqnr_db, timestep_sqnr_db, suggested_groups }) =>
      `  ${kind.padEnd(width)}${sqnr_db.map(show).join("")}${show(timestep_sqnr_db)}` +
      `${String(suggested_groups).padStart(11)}`
    ),
  ];
}

/** A timestep or mask level, of which single precision makes long tails. */
function shorten(value: number): string {
  return String(Number(value.toPrecision(6)));
}
