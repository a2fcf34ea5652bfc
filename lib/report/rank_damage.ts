/** Which layers the error of a model comes from. */

import { measureOutput } from "../params/measure_quality.ts";
import type { QualitySums } from "../types.ts";
import type { LayerReport } from "./report_layer.ts";

/** A layer as far as its damage is ranked. */
export type RankedLayer = Pick<
  LayerReport,
  "name" | "sqnr_db" | "output_sqnr_db" | "error_share" | "source_bytes" | "output_bytes"
>;

/**
 * The share of each layer in the model's error: of the mean relative error of the outputs, weighted by elements,
 * where a calibration tells it of any layer, else of the energy of the weights' error.
 *
 * @returns Shares, 0 to 1, together 1 or all 0; `undefined` for a layer whose output is not known where others' are.
 */
export function shareErrors(
  layers: readonly { elements: number; sums: QualitySums }[],
): (number | undefined)[] {
  const isMeasured = layers.some(({ sums }) => measureOutput(sums) !== undefined);
  const errors = layers.map(({ elements, sums: { error, output } }) =>
    !isMeasured
      ? error
      : output === undefined || !(output.signal > 0)
      ? undefined
      : elements * output.error / output.signal
  );
  const whole = errors.reduce<number>((sum, error) => sum + (error ?? 0), 0);
  return errors.map((error) => error === undefined ? undefined : whole === 0 ? 0 : error / whole);
}

/** Layers by their share of the model's error, the largest first; those whose share is unknown by SQNR, behind. */
export function rankDamage<L extends RankedLayer>(layers: readonly L[]): L[] {
  // Looked up once for each layer, not at each comparison: there may be a hundred thousand.
  const share = Float64Array.from(layers, ({ error_share = -1 }) => error_share);
  const decibel = Float64Array.from(
    layers,
    ({ output_sqnr_db, sqnr_db }) => output_sqnr_db ?? sqnr_db ?? Infinity,
  );
  const order = [...layers.keys()].sort((a, b) =>
    share[b]! - share[a]! || decibel[a]! - decibel[b]! ||
    (layers[a]!.name < layers[b]!.name ? -1 : 1)
  );
  return order.map((i) => layers[i]!);
}

/** Bytes that quantizing a layer saved. */
export function savedBytes({ source_bytes, output_bytes }: RankedLayer): number {
  return source_bytes - output_bytes;
}

/** How many layers have violations of their own: the model's are those of their mean. */
export function countRough(layers: readonly Pick<LayerReport, "violation_count">[]): number {
  return layers.filter(({ violation_count }) => violation_count > 0).length;
}
