/** The quantizers of a run's layer inputs as a report has them: how smoothly they move, and what time groups are worth. */

import { groupOf, recommendGroups } from "../params/plan_input_quantizer.ts";
import { meanSqnr } from "../params/measure_quality.ts";
import { middlesOf, planPoints } from "../params/plan_points.ts";
import {
  type ActivationRecord,
  type ActivationRecords,
  trackOfInputs,
} from "../layer/activation_record.ts";
import {
  type BoundaryJump,
  scoreJumps,
  type Smoothness,
  weightJumps,
} from "../params/score_smoothness.ts";
import { measureTrackJumps } from "../params/score_track.ts";
import { activationRangeOf, groupingOf, type QuantizeSettings } from "../settings/settings.ts";
import type { ActivationBits, ActivationRange, AxisSource, Grouping } from "../types.ts";

/** What quantizers of inputs are expected to come to, in dB: 10 log10(sum x^2 / sum (x - v)^2); `null`: no error. */
export interface InputFigures {
  /** With one range for all timesteps. */
  static_sqnr_db: number | null;
  /** With the time groups of the run, as they are stored. */
  grouped_sqnr_db: number | null;
  /** With a range of its own for each timestep: the limit. */
  timestep_sqnr_db: number | null;
}

/** The quantizer of a layer's inputs. */
export interface LayerActivations
  extends InputFigures, Pick<Smoothness, "smoothness_score" | "violation_count"> {
  /** Module name; layers that share an input have the same figures. */
  name: string;
  /** [G] scale of each time group. */
  scale: number[];
  /** [G] zero point of each time group. */
  zero_point: number[];
  /** [G] scales of phase baseline: from the least to the largest input. */
  baseline_scale: number[];
  /**
   * The least of 1, 2, 4, 8 and 16 equal groups with which it would come within 0.5 dB of a range
   * for each timestep; the most of them where none does.
   */
  recommended_groups: number;
  /**
   * [P] the range of the inputs, largest less least, to 4 digits: at each timestep, or in each of 256 runs of them
   * where there are more. Only of the {@linkcode DRAWN_INPUTS} inputs that drift most; absent of the others, and
   * of layers that share an input with one before them.
   */
  range?: number[];
  /** [P] the scale at the same timesteps, to 4 digits, beside `range`; absent where it is that of the time groups. */
  moving_scale?: number[];
}

/** A layer whose inputs are left as they are. */
export interface KeptInput {
  /** Module name. */
  name: string;
  /** What the time groups of the run would be expected to come to, in dB. */
  grouped_sqnr_db: number | null;
}

/** The quantizers of a run. */
export interface ActivationsReport extends InputFigures, Smoothness {
  /** Width of a code. */
  bits: ActivationBits;
  /** How ranges were chosen. */
  range: ActivationRange;
  /** Where time groups begin. */
  grouping: Grouping;
  /** Where the time axis comes from. */
  source: AxisSource;
  /** [T] diffusion timesteps or mask levels. */
  timesteps: number[];
  /** First timestep of each time group, by its place among them, and T at the end: [G+1]. */
  boundaries: number[];
  /** Jumps of all layers at each boundary, weighted by their elements: [G-1]. */
  boundary_jumps: BoundaryJump[];
  /** The score of the parameters as they are stored, whose zero points are rounded; absent without smoothing. */
  stored_smoothness_score?: number;
  /** What phase baseline comes to. */
  baseline: Pick<Smoothness, "smoothness_score" | "violation_count"> & {
    grouped_sqnr_db: number | null;
  };
  /** Layers whose inputs are not known, and so are left as they are. */
  other_layers: number;
  /**
   * Layers whose inputs are outlying, and so left as they are: at 8 bits their relative error would be more than ten
   * times that of the median layer's.
   */
  kept_layers: KeptInput[];
  /** Layers whose inputs are quantized. */
  layers: LayerActivations[];
}

/** Inputs whose ranges a report keeps over time: those that a page draws. */
export const DRAWN_INPUTS = 6;

/** Reports the quantizers of a run. */
export function reportActivations(
  records: ActivationRecords,
  settings: QuantizeSettings,
): ActivationsReport {
  const { bits, axis, layers, kept, timesteps, missing } = records;
  const { threshold } = settings;
  const jumpsOf = (layer: ActivationRecord, which: "exact" | "stored" | "baseline") => {
    const track = which === "baseline"
      ? { starts: axis.boundaries, ...layer.baseline }
      : trackOfInputs(records, layer, which);
    return measureTrackJumps(track, axis.boundaries, bits);
  };
  const scoreAll = (which: "exact" | "stored" | "baseline") => {
    const jumps = weightJumps(
      layers.map((layer) => ({
        jumps: jumpsOf(layer, which),
        elements: layer.rows * layer.columns,
      })),
    );
    return { ...scoreJumps(jumps, threshold), boundary_jumps: jumps };
  };
  const drawn = chooseDrawn(layers);
  const middles = middlesOf(planPoints(timesteps.length));
  const isSmoothed = layers.some(({ schedule }) => schedule !== null);
  const { smoothness_score, violation_count } = scoreAll("baseline");
  return {
    bits,
    range: activationRangeOf(settings),
    grouping: groupingOf(settings),
    source: axis.source,
    timesteps: [...timesteps],
    boundaries: axis.boundaries,
    ...scoreAll("exact"),
    ...isSmoothed && { stored_smoothness_score: scoreAll("stored").smoothness_score },
    ...figuresOf(layers),
    baseline: {
      smoothness_score,
      violation_count,
      grouped_sqnr_db: sqnrBy(layers, ({ baseline }) => baseline.error),
    },
    other_layers: missing,
    kept_layers: kept.map((layer) => ({
      name: layer.name,
      grouped_sqnr_db: figuresOf([layer]).grouped_sqnr_db,
    })),
    layers: layers.map((layer) => {
      const own = scoreJumps(jumpsOf(layer, "exact"), threshold);
      return {
        name: layer.name,
        ...figuresOf([layer]),
        smoothness_score: own.smoothness_score,
        violation_count: own.violation_count,
        scale: layer.scale,
        zero_point: layer.zero_point,
        baseline_scale: layer.baseline.scale,
        recommended_groups: recommendGroups(layer.error_by_groups, layer.limit_error),
        ...drawn.has(layer) && describeCurves(layer, middles),
      };
    }),
  };
}

/**
 * How far inputs drift: their largest range over their smallest, of all points; `null`: the smallest is 0, as where
 * nothing was recorded at a timestep.
 */
export function driftOf(range: readonly number[]): number | null {
  const least = range.reduce((a, b) => Math.min(a, b), Infinity);
  return least > 0 ? range.reduce((a, b) => Math.max(a, b)) / least : null;
}

/** The layers whose inputs drift most, one of those that share an input. */
function chooseDrawn(layers: readonly ActivationRecord[]): Set<ActivationRecord> {
  const first = new Map<number[], ActivationRecord>();
  for (const layer of layers) if (!first.has(layer.range)) first.set(layer.range, layer);
  return new Set(
    [...first.values()]
      .map((layer) => ({ layer, drift: driftOf(layer.range) ?? 0 }))
      .sort((a, b) => b.drift - a.drift)
      .slice(0, DRAWN_INPUTS)
      .map(({ layer }) => layer),
  );
}

function describeCurves(
  { range, schedule }: ActivationRecord,
  middles: readonly number[],
): Pick<LayerActivations, "range" | "moving_scale"> {
  const fourDigits = (value: number) => Number(value.toPrecision(4));
  return {
    range: range.map(fourDigits),
    ...schedule !== null && {
      moving_scale: middles.map((t) =>
        fourDigits(schedule.stored.scale[groupOf(schedule.stored.starts, t)]!)
      ),
    },
  };
}

function figuresOf(layers: readonly ActivationRecord[]): InputFigures {
  return {
    static_sqnr_db: sqnrBy(layers, ({ static_error }) => static_error),
    grouped_sqnr_db: sqnrBy(layers, ({ error }) => error),
    timestep_sqnr_db: sqnrBy(layers, ({ limit_error }) => limit_error),
  };
}

function sqnrBy(
  layers: readonly ActivationRecord[],
  errorOf: (layer: ActivationRecord) => number,
): number | null {
  return meanSqnr(layers.map((layer) => ({
    elements: layer.rows * layer.columns,
    error: errorOf(layer),
    signal: layer.signal,
  })));
}
