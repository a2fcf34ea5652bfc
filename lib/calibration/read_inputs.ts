/** Reads what error compensation needs of a layer's inputs: the matrix H, as a sketch and a diagonal. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import { type ByteSource, openSource } from "../safetensors/read.ts";
import {
  type Calibration,
  type LayerStatistics,
  meanOf,
  segmentRange,
  sumWeights,
} from "./calibration.ts";
import { checkUnchangedFile } from "./check_unchanged_file.ts";
import { readDiagonal, visitRows } from "./read_rows.ts";
import { reduceRank } from "./reduce_rank.ts";

/** H ~ K K^T + diag(D), the mean of x x^T over timesteps. */
export interface LayerInputs {
  /** C, columns of the layer. */
  columns: number;
  /** r, columns of the sketch; 0 where there is none. */
  rank: number;
  /** K, [C, r] row by row. */
  sketch: Float64Array;
  /** D = max(0, diag H - sum_k K^2) + 0.01 mean(diag H): [C], all above 0. */
  diagonal: Float64Array;
  /** diag H: [C], the mean of x_c^2. */
  square: Float64Array;
}

/** What is added to the diagonal, as a share of its mean: GPTQ's damping (Frantar et al., 2023). */
const DAMPING = 0.01;

/**
 * Reads H of a layer: H = sum_s w_s H_s / sum_s w_s, w_s the sum of the weights over segment s. A sketch of
 * one segment, and squares by timestep beside it, keep the weights they were recorded with.
 *
 * @param layer One of the calibration's.
 * @param weights [T] how much each timestep counts; absent: as much as in the file.
 * @param isReduced Whether the sketches of several segments are brought back to the rank of one, which takes
 *   long; else they stand side by side, and the rank is that of all together.
 * @returns `undefined` where no squares were recorded, or all inputs were 0: H says nothing then.
 * @throws {BadInputError} The weights are not as many as the timesteps, not at least 0 or all 0, or the
 *   file has changed or cannot be read.
 */
export function readInputs(
  calibration: Omit<Calibration, "layers">,
  layer: LayerStatistics,
  weights: readonly number[] | undefined,
  isReduced = true,
): LayerInputs | undefined {
  const { square, columns } = layer;
  if (square === undefined || columns === undefined) return undefined;
  const shares = shareSegments(calibration, layer.segments, weights);
  const source = openSource(calibration.path, calibration.label);
  try {
    checkUnchangedFile(source, calibration);
    const diagonal = readSquares(source, { ...layer, square, columns }, calibration, shares);
    const damping = DAMPING * meanOf(diagonal);
    if (damping === 0) return undefined;
    const { sketch, rank: own = 0 } = layer;
    const rank = isReduced ? own : own * shares.length;
    const kept = sketch === undefined
      ? new Float64Array(0)
      : readSketch(source, sketch, { columns, rank: own, kept: rank }, shares);
    return {
      columns,
      rank,
      sketch: kept,
      diagonal: diagonal.map((value, c) => {
        let rest = value;
        for (let k = c * rank; k < (c + 1) * rank; k++) rest -= kept[k]! * kept[k]!;
        return Math.max(0, rest) + damping;
      }),
      square: diagonal,
    };
  } finally {
    source.close();
  }
}

/**
 * Reads H of each segment of the time axis, for those who ask how a layer does at different times.
 *
 * @param layer With a sketch for each of several segments.
 * @returns [S]; `undefined` where there is one segment, or all inputs of one were 0.
 * @throws {BadInputError} The file has changed or cannot be read.
 */
export function readSegments(
  calibration: Omit<Calibration, "layers">,
  layer: LayerStatistics,
): LayerInputs[] | undefined {
  if (layer.segments === 1 || layer.sketch === undefined) return undefined;
  const { timesteps } = calibration;
  const found = Array.from({ length: layer.segments }, (_, s) => {
    const { from, to } = segmentRange(s, layer.segments, timesteps.length);
    const weights = timesteps.map((_, t) => t >= from && t < to ? 1 : 0);
    return readInputs(calibration, layer, weights);
  });
  return found.every((inputs) => inputs !== undefined) ? found : undefined;
}

/** A segment that counts. */
interface SegmentShare {
  /** Which one. */
  s: number;
  /** Its share of all weights: above 0, together 1. */
  share: number;
}

function shareSegments(
  { timesteps, weights: own, label }: Pick<Calibration, "timesteps" | "weights" | "label">,
  segments: number,
  weights: readonly number[] | undefined = own,
): SegmentShare[] {
  const count = timesteps.length;
  const isValid = weights === undefined ||
    (weights.length === count && weights.every((w) => w >= 0 && Number.isFinite(w)) &&
      weights.some((w) => w > 0));
  if (!isValid) {
    throw new BadInputError(
      `Cannot weigh the timesteps of calibration ${quote(label)}: the weights must be ${count} ` +
        "finite numbers of at least 0, and not all 0",
    );
  }
  const whole = sumWeights(weights, 0, count);
  return Array.from({ length: segments }, (_, s) => {
    const { from, to } = segmentRange(s, segments, count);
    return { s, share: sumWeights(weights, from, to) / whole };
  }).filter(({ share }) => share > 0);
}

/** The diagonal of H: [C]. */
function readSquares(
  source: ByteSource,
  layer: LayerStatistics & { square: TensorInfo; columns: number },
  { timesteps, weights }: Pick<Calibration, "timesteps" | "weights">,
  shares: readonly SegmentShare[],
): Float64Array {
  const sum = new Float64Array(layer.columns);
  for (const { s, share } of shares) {
    const part = readDiagonal(source, layer, s, timesteps.length, weights);
    for (let c = 0; c < sum.length; c++) sum[c] = sum[c]! + share * part[c]!;
  }
  return sum;
}

/** K: [C, kept]. The sketches of all segments side by side, brought back to the rank asked for. */
function readSketch(
  source: ByteSource,
  sketch: TensorInfo,
  { columns, rank, kept }: { columns: number; rank: number; kept: number },
  shares: readonly SegmentShare[],
): Float64Array {
  const width = shares.length * rank;
  const wide = new Float64Array(columns * width);
  shares.forEach(({ s, share }, position) => {
    const root = Math.sqrt(share);
    const first = s * columns;
    visitRows(source, sketch, rank, first, first + columns, (values, at, row) => {
      const to = (row - first) * width + position * rank;
      for (let k = 0; k < rank; k++) wide[to + k] = root * values[at + k]!;
    });
  });
  return kept === width ? wide : reduceRank(wide, columns, width, kept);
}
