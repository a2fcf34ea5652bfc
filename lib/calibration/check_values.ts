/** Checks every value of a calibration, so that nothing behind it has to. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import type { ByteSource } from "../safetensors/read.ts";
import {
  type Calibration,
  countSquares,
  type LayerStatistics,
  meanOf,
  segmentRange,
  sumWeights,
} from "./calibration.ts";
import { readDiagonal, readVector, visitCounts, visitRows } from "./read_rows.ts";

/** The time axis of a file. */
export type TimeValues = Pick<Calibration, "timesteps" | "weights">;

/** How far a sketch may pass the squares it was made from: both are rounded to F32. */
const TOLERANCE = { ofSquare: 1e-3, ofMean: 1e-6 };

/**
 * Checks timesteps.
 *
 * @param tensor Where they are from, as messages name it.
 * @throws {BadInputError} One is not finite, or not above the one before.
 */
export function checkTimesteps(timesteps: readonly number[], { name }: TensorInfo): void {
  timesteps.forEach((value, t) => {
    if (!Number.isFinite(value)) failValue(name, t, value, "finite");
    const previous = timesteps[t - 1];
    if (previous === undefined || value > previous) return;
    failValue(name, t, value, `above the one before, ${previous}`);
  });
}

/**
 * Checks the weights of timesteps.
 *
 * @throws {BadInputError} One is below 0 or not finite, or all are 0.
 */
export function checkWeights(weights: readonly number[], name: string): void {
  weights.forEach((value, t) => {
    if (!(value >= 0 && Number.isFinite(value))) failValue(name, t, value, "finite and at least 0");
  });
  if (weights.every((value) => value === 0)) {
    throw new BadInputError(`tensor ${quote(name)}: all weights are 0, one must be above`);
  }
}

/**
 * Reads and checks all values of a layer.
 *
 * @throws {BadInputError} A value is not finite or not in its range; the message names tensor and place.
 */
export function checkLayer(source: ByteSource, layer: LayerStatistics, time: TimeValues): void {
  const count = time.timesteps.length;
  const { min, max, histogram, square, sketch, columns, rank } = layer;
  if (min !== undefined && max !== undefined) checkRange(source, min, max, count);
  if (histogram !== undefined) {
    const bins = histogram.shape[1]!;
    visitCounts(source, histogram, bins, 0, count, (values, at, row) => {
      for (let i = at; i < at + bins; i++) {
        if (values[i]! < 0) {
          failValue(histogram.name, row * bins + i - at, values[i]!, "at least 0");
        }
      }
    });
  }
  if (square === undefined || columns === undefined) return;
  visitRows(source, square, columns, 0, countSquares(square), (values, at, row) => {
    for (let i = at; i < at + columns; i++) {
      const value = values[i]!;
      // One comparison for all that is wrong: NaN is neither below infinity nor above 0.
      if (value >= 0 && value < Infinity) continue;
      failValue(square.name, row * columns + i - at, value, "finite and at least 0");
    }
  });
  if (sketch === undefined || rank === undefined) return;
  for (let s = 0; s < layer.segments; s++) {
    checkSegment(source, { ...layer, square, sketch, columns, rank }, s, time);
  }
}

function checkRange(source: ByteSource, min: TensorInfo, max: TensorInfo, count: number): void {
  const least = readVector(source, min, count);
  const most = readVector(source, max, count);
  for (let t = 0; t < count; t++) {
    if (!Number.isFinite(least[t])) failValue(min.name, t, least[t]!, "finite");
    if (!Number.isFinite(most[t])) failValue(max.name, t, most[t]!, "finite");
    if (least[t]! > most[t]!) {
      failValue(min.name, t, least[t]!, `at most that of ${quote(max.name)}, ${most[t]}`);
    }
  }
}

/** A layer with a sketch. */
type SketchedLayer = LayerStatistics & {
  square: TensorInfo;
  sketch: TensorInfo;
  columns: number;
  rank: number;
};

/** Checks the sketch of one segment: finite, and not above the squares. */
function checkSegment(source: ByteSource, layer: SketchedLayer, s: number, time: TimeValues): void {
  const { square, sketch, columns, rank, segments } = layer;
  checkSegmentWeight(layer, s, time);
  const diagonal = readDiagonal(source, layer, s, time.timesteps.length, time.weights);
  const slack = TOLERANCE.ofMean * meanOf(diagonal);
  const first = s * columns;
  visitRows(source, sketch, rank, first, first + columns, (values, at, row) => {
    let sum = 0;
    for (let k = at; k < at + rank; k++) sum += values[k]! * values[k]!;
    const c = row - first;
    if (sum <= diagonal[c]! * (1 + TOLERANCE.ofSquare) + slack) return;
    // The square of every F32 is finite here: the sum is not where one of the values is not.
    if (!Number.isFinite(sum)) {
      const k = values.subarray(at, at + rank).findIndex((value) => !Number.isFinite(value));
      failValue(sketch.name, row * rank + k, values[at + k]!, "finite");
    }
    const where = segments === 1 ? `column ${c}` : `column ${c} of segment ${s}`;
    throw new BadInputError(
      `tensor ${quote(sketch.name)}: its squares in ${where} add up to ${show(sum)}, more than ` +
        `${show(diagonal[c]!)} of ${quote(square.name)}: the two are of different inputs`,
    );
  });
}

/** Squares by timestep that are added up to a segment need one that weighs something. */
function checkSegmentWeight(
  layer: SketchedLayer,
  s: number,
  { timesteps, weights }: TimeValues,
): void {
  if (countSquares(layer.square) === layer.segments) return;
  const { from, to } = segmentRange(s, layer.segments, timesteps.length);
  if (sumWeights(weights, from, to) > 0) return;
  throw new BadInputError(
    `layer ${quote(layer.name)}: all timesteps of segment ${s} weigh 0, one must weigh more`,
  );
}

function show(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function failValue(name: string, index: number, value: number, allowed: string): never {
  throw new BadInputError(`tensor ${quote(name)}: value ${index} is ${value}, must be ${allowed}`);
}
