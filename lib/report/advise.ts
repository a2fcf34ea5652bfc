/**
 * What to do after a run: of the settings that would help, the one that costs the fewest bytes among those that
 * are expected to be enough. What each is expected to gain was measured on digits-dit and small-dlm
 * (docs/metrics.md); the figures of the run say which is needed, and what it costs.
 */

import {
  DEFAULT_GROUP_SIZE,
  DEFAULT_WINDOWS,
  LIMITS,
  type QuantizeSettings,
} from "../settings/settings.ts";
import type { Bits } from "../types.ts";
import { GRADES, isLow } from "./grades.ts";
import type { Verdict } from "./judge_quality.ts";
import { rankDamage, savedBytes } from "./rank_damage.ts";
import type { CalibrationReport } from "./report_calibration.ts";
import type { LayerReport } from "./report_layer.ts";

/** The settings that an advice may change; those of the run stay as they are. */
export interface ChangedSettings {
  /** `--bit-width`. */
  bit_width?: 4 | 8;
  /** `--phase`. */
  phase?: "smooth" | "optimize";
  /** Whether a `--calibration` has to be recorded and given. */
  needs_calibration?: true;
  /** `--group-size`. */
  group_size?: number;
  /** Layers to add to `--ignore`. */
  ignore?: string[];
  /** `--smoothing-window`. */
  smoothing_window?: number;
}

/** What to do next. */
export interface Advice {
  /** What, and why, in words. */
  words: string;
  /** The settings to change; `null`: none, the report can be kept. */
  change: ChangedSettings | null;
  /** What the weights on disk are expected to grow by, in 10^6 bytes; 0: they keep their size. */
  growth_mb: number;
}

/** A setting that may help. */
interface Option extends Advice {
  /** By how many dB the graded SQNR is expected to rise. */
  gain: number;
}

/** What of a report advice is given by. */
export interface AdvisedReport
  extends Pick<QuantizeSettings, "phase" | "granularity" | "format" | "symmetric"> {
  /** Width of a code. */
  bit_width: Bits;
  /** Columns of a block as asked for; `null`: one block a row, or one a slice. */
  group_size: number | null;
  /** Steps over which parameters move beside a boundary; `null`: they do not. */
  smoothing_window: number | null;
  /** What errors were compensated by; absent where nothing was. */
  calibration?: CalibrationReport;
  /** Quantized layers. */
  layers: readonly LayerReport[];
}

/** Expected gains in dB; digits-dit and small-dlm had at least so much. */
const GAINS = {
  /** From 2 to 4 bits, and from 4 to 8. */
  width: { 2: 13, 4: 24 },
  /** Searched parameters, by granularity; they are searched by rows at 2 bits alone. */
  search: { row: 2, slice: { 2: 5, 4: 1, 8: 0.5 } },
  /** Compensation by a calibration, in the outputs. */
  calibration: 6,
  /** Half the columns in a block. */
  halving: 0.7,
} as const;

/** Narrowest block that is advised: at half of it scales and zero points cost half a bit a weight more. */
const NARROWEST = 32;

/** Layers that may be left alone: not more than this share of the weights, for at least this share of the error. */
const DOMINATED = { layers: 3, elements: 0.1, error: 0.5 } as const;

/**
 * Advises on what to do: for the quality first, and where that is good, for the smoothness.
 *
 * @param verdict Of that report.
 */
export function advise(report: AdvisedReport, { quality, smoothness }: Verdict): Advice {
  if (!isLow(quality.grade)) {
    const smoother = smoothness !== null && isLow(smoothness) ? smooth(report) : undefined;
    return smoother ?? KEEP;
  }
  // Among those of the same size the order in which they are listed: by the effort they take.
  const options = listOptions(report).sort((a, b) => a.growth_mb - b.growth_mb);
  const { sqnr_db, measure } = quality;
  const wanted = GRADES.find(({ grade }) => grade === "good")![measure] - (sqnr_db ?? Infinity);
  const enough = options.find(({ gain }) => gain >= wanted);
  const most = options.toSorted((a, b) => b.gain - a.gain)[0];
  const chosen = enough ?? most;
  if (chosen === undefined) return NOTHING_LEFT;
  const { gain: _gain, ...advice } = chosen;
  return advice;
}

/** An advice as a sentence without a full stop: what, with which flags, and what it costs. */
export function describeAdvice(advice: Advice): string {
  const { words, change } = advice;
  if (change === null) return words;
  const flags = listFlags(change).map(([name, value]) => `--${name} ${value}`).join(" ");
  return `${words}: ${flags}, ${describeCost(advice)}`;
}

/** What an advice costs in size. */
export function describeCost({ growth_mb: growth }: Advice): string {
  return growth < 0.005 ? "at the same size" : `about ${growth.toFixed(2)} MB larger`;
}

/** The flags that change settings, without dashes. */
export function listFlags(change: ChangedSettings): [name: string, value: string][] {
  const { bit_width, phase, needs_calibration, group_size, ignore = [], smoothing_window } = change;
  return [
    ...bit_width === undefined ? [] : [["bit-width", `${bit_width}`] as [string, string]],
    ...phase === undefined ? [] : [["phase", phase] as [string, string]],
    ...needs_calibration ? [["calibration", "FILE"] as [string, string]] : [],
    ...group_size === undefined ? [] : [["group-size", `${group_size}`] as [string, string]],
    ...smoothing_window === undefined
      ? []
      : [["smoothing-window", `${smoothing_window}`] as [string, string]],
    ...ignore.map((name): [string, string] => ["ignore", name]),
  ];
}

const KEEP: Advice = {
  words: "Keep this report as the baseline of later runs",
  change: null,
  growth_mb: 0,
};

const NOTHING_LEFT: Advice = {
  words:
    "No setting is left that is known to help: look at the layers that most of the error comes from",
  change: null,
  growth_mb: 0,
};

/** Lets parameters move over more steps than they do. */
function smooth({ phase, granularity, smoothing_window }: AdvisedReport): Advice | undefined {
  const { max } = LIMITS.smoothingWindow;
  if (smoothing_window === max) return undefined;
  const wider = smoothing_window === null
    ? DEFAULT_WINDOWS[granularity]
    : Math.min(max, 2 * smoothing_window);
  return {
    words: "Let parameters move across each boundary step by step",
    change: phase === "baseline" ? { phase: "smooth" } : { smoothing_window: wider },
    growth_mb: 0,
  };
}

function listOptions(report: AdvisedReport): Option[] {
  return [
    ...leaveLayers(report),
    ...searchParameters(report),
    ...recordInputs(report),
    ...narrowBlocks(report),
    ...widenCodes(report),
  ];
}

/** Leaves alone the few layers that most of the error comes from. */
function leaveLayers({ layers }: AdvisedReport): Option[] {
  const all = elementsOf(layers);
  const taken: LayerReport[] = [];
  let share = 0;
  for (const layer of rankDamage(layers).slice(0, DOMINATED.layers)) {
    taken.push(layer);
    share += layer.error_share ?? 0;
    if (share >= DOMINATED.error) break;
  }
  if (share < DOMINATED.error || elementsOf(taken) > DOMINATED.elements * all) return [];
  // All of the error in these layers: nothing is left of it.
  const gain = share < 1 ? -10 * Math.log10(1 - share) : Infinity;
  const bytes = taken.reduce((sum, layer) => sum + savedBytes(layer), 0);
  return [{
    words: `Leave alone what ${Math.round(100 * share)} % of the error comes from`,
    change: { ignore: taken.map(({ name }) => name) },
    growth_mb: bytes / 1e6,
    gain,
  }];
}

/** Searches parameters for the least error. */
function searchParameters({ phase, granularity, bit_width }: AdvisedReport): Option[] {
  if (phase === "optimize") return [];
  const gain = granularity === "slice"
    ? GAINS.search.slice[bit_width]
    : bit_width === 2
    ? GAINS.search.row
    : 0;
  if (gain === 0) return [];
  return [{
    words: "Search the parameters for the least error",
    change: { phase: "optimize" },
    growth_mb: 0,
    gain,
  }];
}

/** Compensates errors by what the layers are fed. */
function recordInputs({ calibration, phase }: AdvisedReport): Option[] {
  if (calibration !== undefined) return [];
  return [{
    words:
      "Record what the layers are fed (docs/calibration.md) and let errors be compensated by it",
    change: { ...phase !== "optimize" && { phase: "optimize" }, needs_calibration: true },
    growth_mb: 0,
    gain: GAINS.calibration,
  }];
}

/** Gives fewer weights a scale of their own, where the format lets one choose. */
function narrowBlocks(report: AdvisedReport): Option[] {
  const { format, group_size, granularity, bit_width, symmetric } = report;
  const layers = own(report);
  const isFree = format === "compressed-tensors" || format === "sdnq";
  const size = group_size ?? DEFAULT_GROUP_SIZE * 2;
  if (!isFree || size <= NARROWEST || granularity !== "row" || layers.length === 0) return [];
  const more = layers.reduce((sum, { rows, columns, dtype }) => {
    const blocks = rows * (columns / NARROWEST - Math.max(1, columns / (group_size ?? columns)));
    const bytes = (dtype === "F32" ? 4 : 2) + (symmetric ? 0 : bit_width / 8);
    return sum + Math.max(0, blocks) * bytes;
  }, 0);
  return [{
    words: `Give each ${NARROWEST} columns parameters of their own`,
    change: { group_size: NARROWEST },
    growth_mb: more / 1e6,
    gain: GAINS.halving * Math.log2(size / NARROWEST),
  }];
}

/** Twice the bits. */
function widenCodes(report: AdvisedReport): Option[] {
  const { bit_width } = report;
  const layers = own(report);
  if (bit_width === 8 || layers.length === 0) return [];
  const wide = bit_width === 2 ? 4 : 8;
  return [{
    words: `Give each weight ${wide} bits`,
    change: { bit_width: wide },
    growth_mb: elementsOf(layers) * (wide - bit_width) / 8e6,
    gain: GAINS.width[bit_width],
  }];
}

/** The layers of the run's own width: others keep theirs. */
function own({ layers, bit_width }: AdvisedReport): LayerReport[] {
  return layers.filter(({ bits }) => bits === bit_width);
}

function elementsOf(layers: readonly Pick<LayerReport, "rows" | "columns">[]): number {
  return layers.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
}
