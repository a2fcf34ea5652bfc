/** How the inputs of a model's layers change over the diffusion time, by kind of layer. */

import { type ByteSource, openSource } from "../safetensors/read.ts";
import {
  type Calibration,
  countSquares,
  type LayerStatistics,
  segmentRange,
} from "./calibration.ts";
import { checkUnchangedFile } from "./check_unchanged_file.ts";
import { readVector, visitCounts, visitRows } from "./read_rows.ts";

/** Most points of a curve: a chart shows no more. */
const MAX_POINTS = 50;

/** Most kinds: those that drift most. A model has ten or so. */
const MAX_KINDS = 12;

/** Drift over the timesteps of a calibration. */
export interface Drift {
  /** [P] the middle of each point's timesteps or mask levels, ascending; at most 50. */
  timesteps: number[];
  /** At most 12 kinds of layers, those that drift most first. */
  kinds: DriftOfKind[];
}

/**
 * Drift of the layers of a kind. A curve is the mean of those of its layers, each relative to its own mean over
 * the timesteps, so that 1 is usual and every layer counts the same.
 */
export interface DriftOfKind {
  /** What stands behind the first number in their names, without numbers: `attn.qkv` of `blocks.0.attn.qkv`. */
  kind: string;
  /** Layers whose drift is known. */
  layers: number;
  /** [P] the range of the inputs, largest less least; `null` where it was not recorded, or was always 0. */
  range: number[] | null;
  /** Largest over smallest of the range's curve, of single timesteps; `null`: not known, or the smallest is 0. */
  range_ratio: number | null;
  /** [P] the root of the mean square of the inputs; `null` where it is known of no time of its own. */
  rms: number[] | null;
  /** Largest over smallest of its curve; `null` as that of the range. */
  rms_ratio: number | null;
}

/** The curves of a layer: [T] each; absent where they are not known. */
interface Curves {
  range: Float64Array | undefined;
  rms: Float64Array | undefined;
}

/** Curves of the layers of a kind, added up. */
interface KindSums {
  layers: number;
  range: CurveSum;
  rms: CurveSum;
}

/** Curves added up, and how many; absent where there are none. */
type CurveSum = { sum: Float64Array; count: number } | undefined;

/**
 * Measures drift. Mean squares by time are those of the squares where they are of several timesteps or segments,
 * else those of the histograms, every input counted as the middle of its bin.
 *
 * @param names The layers, those that share an input too; names without statistics say nothing.
 * @returns `undefined` where no layer has anything that is of a time of its own, or there is one timestep.
 * @throws {BadInputError} The file has changed since it was checked, or cannot be read.
 */
export function measureDrift(
  calibration: Calibration,
  names: Iterable<string>,
): Drift | undefined {
  const { timesteps } = calibration;
  if (timesteps.length === 1) return undefined;
  const kinds = new Map<string, KindSums>();
  const source = openSource(calibration.path, calibration.label);
  try {
    checkUnchangedFile(source, calibration);
    for (const [layer, users] of groupByInput(calibration, names)) {
      const curves = readCurves(source, layer, timesteps.length);
      if (curves.range === undefined && curves.rms === undefined) continue;
      for (const name of users) {
        const kind = kindOfLayer(name);
        kinds.set(kind, addCurves(kinds.get(kind), curves));
      }
    }
  } finally {
    source.close();
  }
  if (kinds.size === 0) return undefined;
  const found = [...kinds].map(([kind, sums]) => describeKind(kind, sums));
  const drift = ({ range_ratio, rms_ratio }: DriftOfKind) => range_ratio ?? rms_ratio ?? 0;
  return {
    timesteps: thinOut(timesteps).map((value) => Number(value.toPrecision(6))),
    kinds: found.sort((a, b) => drift(b) - drift(a) || (a.kind < b.kind ? -1 : 1))
      .slice(0, MAX_KINDS),
  };
}

/** Layers by their statistics, so that those of a shared input are read once. */
function groupByInput(
  { layers }: Calibration,
  names: Iterable<string>,
): Map<LayerStatistics, string[]> {
  const known = [...names].flatMap((name) => {
    const layer = layers.get(name);
    return layer === undefined ? [] : [{ layer, name }];
  });
  const groups = Map.groupBy(known, ({ layer }) => layer);
  return new Map([...groups].map(([layer, users]) => [layer, users.map(({ name }) => name)]));
}

function addCurves(sums: KindSums | undefined, { range, rms }: Curves): KindSums {
  return {
    layers: (sums?.layers ?? 0) + 1,
    range: addCurve(sums?.range, range),
    rms: addCurve(sums?.rms, rms),
  };
}

function addCurve(known: CurveSum, curve: Float64Array | undefined): CurveSum {
  if (curve === undefined) return known;
  if (known === undefined) return { sum: curve.slice(), count: 1 };
  curve.forEach((value, t) => known.sum[t] = known.sum[t]! + value);
  return { sum: known.sum, count: known.count + 1 };
}

/**
 * The kind of a layer: what stands behind the first number in its name, without numbers; all of a name that has
 * nothing there.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(kindOfLayer("blocks.0.attn.qkv"), "attn.qkv");
 * assert.equal(kindOfLayer("transformer_blocks.3.ff.net.0.proj"), "ff.net.proj");
 * assert.equal(kindOfLayer("proj_out"), "proj_out");
 * ```
 */
export function kindOfLayer(name: string): string {
  const parts = name.split(".");
  const isNumber = (part: string) => /^\d+$/.test(part);
  const behind = parts.slice(parts.findIndex(isNumber) + 1).filter((part) => !isNumber(part));
  return behind.length === 0 ? name : behind.join(".");
}

function readCurves(source: ByteSource, layer: LayerStatistics, count: number): Curves {
  return { range: readRange(source, layer, count), rms: readRms(source, layer, count) };
}

function readRange(
  source: ByteSource,
  { min, max }: LayerStatistics,
  count: number,
): Float64Array | undefined {
  if (min === undefined || max === undefined) return undefined;
  const least = readVector(source, min, count);
  return relative(Float64Array.from(readVector(source, max, count), (most, t) => most - least[t]!));
}

function readRms(
  source: ByteSource,
  layer: LayerStatistics,
  count: number,
): Float64Array | undefined {
  const { square, columns } = layer;
  if (square !== undefined && columns !== undefined && countSquares(square) > 1) {
    const rows = countSquares(square);
    const mean = new Float64Array(count);
    visitRows(source, square, columns, 0, rows, (values, at, row) => {
      let sum = 0;
      for (let c = at; c < at + columns; c++) sum += values[c]!;
      const { from, to } = segmentRange(row, rows, count);
      mean.fill(sum / columns, from, to);
    });
    return relative(mean.map(Math.sqrt));
  }
  return readHistogram(source, layer, count);
}

/** From the bins, which are of equal width over all that occurs at any timestep. */
function readHistogram(
  source: ByteSource,
  { histogram, min, max }: LayerStatistics,
  count: number,
): Float64Array | undefined {
  if (histogram === undefined || min === undefined || max === undefined) return undefined;
  const least = readVector(source, min, count).reduce((a, b) => Math.min(a, b));
  const most = readVector(source, max, count).reduce((a, b) => Math.max(a, b));
  const bins = histogram.shape[1]!;
  const width = (most - least) / bins;
  const rms = new Float64Array(count);
  visitCounts(source, histogram, bins, 0, count, (values, at, row) => {
    let [sum, inputs] = [0, 0];
    for (let i = 0; i < bins; i++) {
      sum += values[at + i]! * (least + (i + 0.5) * width) ** 2;
      inputs += values[at + i]!;
    }
    rms[row] = inputs === 0 ? 0 : Math.sqrt(sum / inputs);
  });
  return relative(rms);
}

/** A curve divided by its mean; `undefined` where it is 0 everywhere, or leaves the range of F64. */
function relative(curve: Float64Array): Float64Array | undefined {
  const mean = curve.reduce((sum, value) => sum + value, 0) / curve.length;
  return mean > 0 && Number.isFinite(mean) ? curve.map((value) => value / mean) : undefined;
}

function describeKind(kind: string, sums: KindSums): DriftOfKind {
  const [range, rms] = [meanCurve(sums.range), meanCurve(sums.rms)];
  return {
    kind,
    layers: sums.layers,
    range: range === undefined ? null : thinOut(range).map(fourDigits),
    range_ratio: ratioOf(range),
    rms: rms === undefined ? null : thinOut(rms).map(fourDigits),
    rms_ratio: ratioOf(rms),
  };
}

function meanCurve(known: CurveSum): Float64Array | undefined {
  return known?.sum.map((value) => value / known.count);
}

function ratioOf(curve: Float64Array | undefined): number | null {
  if (curve === undefined) return null;
  const least = curve.reduce((a, b) => Math.min(a, b));
  return least > 0 ? fourDigits(curve.reduce((a, b) => Math.max(a, b)) / least) : null;
}

/** Means of runs of as many values, so that at most {@linkcode MAX_POINTS} are left. */
function thinOut(values: ArrayLike<number>): number[] {
  const points = Math.min(MAX_POINTS, values.length);
  return Array.from({ length: points }, (_, p) => {
    const { from, to } = segmentRange(p, points, values.length);
    let sum = 0;
    for (let t = from; t < to; t++) sum += values[t]!;
    return sum / (to - from);
  });
}

function fourDigits(value: number): number {
  return Number(value.toPrecision(4));
}
