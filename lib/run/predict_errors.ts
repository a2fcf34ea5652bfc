/** Predicts how much the output of each layer would err if its weights were rounded to the nearest code. */

import type { Calibration } from "../calibration/calibration.ts";
import { type LayerInputs, readInputs } from "../calibration/read_inputs.ts";
import type { Model } from "../model/open_model.ts";
import { estimateScheme, isWithinBounds, roundHalfEven } from "../params/estimate_params.ts";
import { sqnrOf } from "../params/measure_quality.ts";
import { fullName, type LayerPlan } from "../plan/plan_layer.ts";
import { decodeFloats, floatBytes } from "../safetensors/dtype.ts";
import { openSource } from "../safetensors/read.ts";
import { WIDTHS } from "../settings/settings.ts";
import { type Bits, qmaxOf, type Scheme } from "../types.ts";
import type { PartPlan } from "./plan_run.ts";

/** Most rows of a layer that are looked at: even 16 tell layers apart that differ by a decibel. */
const MAX_ROWS = 16;

/** Products of sketch and row that a layer may cost, for each width: wide sketches get fewer rows. */
const MAX_PRODUCTS = 2 ** 24;

/** What rounding to a width comes to. */
export interface PredictedErrors {
  /** The width. */
  bits: Bits;
  /** SQNR of the outputs in dB: of the mean relative error, weighted by elements; `null`: there is none. */
  output_sqnr_db: number | null;
  /** The layers, those with the largest share of that error first. */
  layers: PredictedError[];
}

/** What it comes to for a layer. */
export interface PredictedError {
  /** Its name. */
  name: string;
  /** Its share of the error, 0 to 1. */
  share: number;
  /** SQNR of its output in dB; `null`: there is no error. */
  output_sqnr_db: number | null;
}

/**
 * Predicts the errors of all layers whose inputs are known, at every width: of at most 16 rows of each, evenly
 * spread, every block of the plan rounded to the nearest code of its own range, and nothing searched or
 * compensated. Signal and error of a row x are x H x^T and d H d^T, as in a report's `output_sqnr_db`; with squares
 * alone H is their diagonal. A run compensates, and so comes out better: what it shows is where errors matter.
 *
 * @returns An entry for each width; none where no inputs are known.
 * @throws {BadInputError} A file has changed since it was checked, or cannot be read.
 */
export function predictErrors(
  calibration: Calibration,
  parts: readonly PartPlan[],
): PredictedErrors[] {
  const found = parts.flatMap(({ component, model, selection }) =>
    selection.layers.flatMap((layer) => {
      const relative = predictLayer(calibration, model, layer);
      if (relative === undefined) return [];
      const { rows, columns } = layer;
      return [{ name: fullName(component, layer.name), elements: rows * columns, relative }];
    })
  );
  if (found.length === 0) return [];
  const elements = found.reduce((sum, one) => sum + one.elements, 0);
  return WIDTHS.map((bits, i) => {
    const whole = found.reduce((sum, one) => sum + one.elements * one.relative[i]!, 0);
    const layers = found.map(({ name, elements, relative }) => ({
      name,
      share: whole === 0 ? 0 : elements * relative[i]! / whole,
      output_sqnr_db: sqnrOf(relative[i]!),
    }));
    return {
      bits,
      output_sqnr_db: sqnrOf(whole / elements),
      layers: layers.sort((a, b) => b.share - a.share || (a.name < b.name ? -1 : 1)),
    };
  });
}

/** Error over signal at each width; `undefined` where nothing follows. */
function predictLayer(
  calibration: Calibration,
  model: Model,
  layer: LayerPlan,
): number[] | undefined {
  const statistics = calibration.layers.get(layer.name);
  const inputs = statistics && readInputs(calibration, statistics, undefined, false);
  if (inputs === undefined) return undefined;
  const cost = layer.columns * Math.max(1, inputs.rank);
  const count = Math.min(MAX_ROWS, layer.rows, Math.max(1, Math.floor(MAX_PRODUCTS / cost)));
  let signal = 0;
  const errors = WIDTHS.map(() => 0);
  for (const row of readRows(model, layer, count)) {
    signal += energyOf(row, inputs);
    for (const [i, bits] of WIDTHS.entries()) {
      const error = roundRow(row, layer.grid.blockColumns, { ...layer, bits });
      errors[i] = errors[i]! + (error === undefined ? NaN : energyOf(error, inputs));
    }
  }
  const relative = errors.map((error) => error / signal);
  return relative.every(Number.isFinite) ? relative : undefined;
}

/** So many rows of a layer, evenly spread. */
function readRows(model: Model, layer: LayerPlan, count: number): Float32Array[] {
  const shard = model.shards.find(({ name }) => name === layer.shard)!;
  const bytes = new Uint8Array(layer.columns * floatBytes(layer.dtype));
  const source = openSource(shard.path, shard.name);
  try {
    return Array.from({ length: count }, (_, i) => {
      const row = Math.floor((i + 0.5) * layer.rows / count);
      source.readInto(layer.tensor.begin + row * bytes.length, bytes);
      const values = new Float32Array(layer.columns);
      decodeFloats(bytes, layer.dtype, values);
      return values;
    });
  } finally {
    source.close();
  }
}

/** What rounding takes from a row, block by block; `undefined` where a run would refuse it. */
function roundRow(
  row: Float32Array,
  blockColumns: number,
  scheme: Scheme,
): Float32Array | undefined {
  const errors = new Float32Array(row.length);
  const most = qmaxOf(scheme.bits);
  for (let from = 0; from < row.length; from += blockColumns) {
    const to = Math.min(row.length, from + blockColumns);
    let [lo, hi] = [0, 0];
    for (let c = from; c < to; c++) {
      lo = Math.min(lo, row[c]!);
      hi = Math.max(hi, row[c]!);
    }
    if (!isWithinBounds({ lo, hi })) return undefined;
    if (lo === hi) continue;
    const { scale, zero_point: zero } = estimateScheme(lo, hi, scheme);
    for (let c = from; c < to; c++) {
      const code = Math.min(most, Math.max(0, roundHalfEven(row[c]! / scale) + zero));
      errors[c] = row[c]! - (code - zero) * scale;
    }
  }
  return errors;
}

/** x H x^T. */
function energyOf(x: Float32Array, { rank, sketch, diagonal }: LayerInputs): number {
  const seen = new Float64Array(rank);
  let energy = 0;
  for (let c = 0; c < x.length; c++) {
    const value = x[c]!;
    energy += diagonal[c]! * value * value;
    const at = c * rank;
    for (let k = 0; k < rank; k++) seen[k] = seen[k]! + sketch[at + k]! * value;
  }
  return seen.reduce((sum, value) => sum + value * value, energy);
}
