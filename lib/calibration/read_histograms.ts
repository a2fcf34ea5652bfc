/** Reads the histograms of a layer's inputs, timestep by timestep, in slabs of bounded memory. */

import { openSource } from "../safetensors/read.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import type { Calibration, LayerStatistics } from "./calibration.ts";
import { checkUnchangedFile } from "./check_unchanged_file.ts";
import { readVector, visitCounts } from "./read_rows.ts";

/** Most bins that are told apart: neighbours of finer histograms are added up. */
const MAX_BINS = 2048;

/** A layer of which is known what a quantizer of its inputs needs. */
export type WithHistogram = LayerStatistics & Record<"min" | "max" | "histogram", TensorInfo>;

/** Histograms of a layer's inputs over the time axis. */
export interface InputHistograms {
  /** [T] the least input of each timestep. */
  min: Float32Array;
  /** [T] the largest one. */
  max: Float32Array;
  /** Left end of the first bin. */
  from: number;
  /** Width of a bin; 0 where all inputs are the same. */
  width: number;
  /** Bins of each histogram. */
  bins: number;
  /** Visits the counts of each timestep, ascending: [bins], written over afterwards. */
  visit(see: (counts: Float64Array, timestep: number) => void): void;
}

/** Whether a quantizer of the inputs can be made. */
export function hasHistogram(layer: LayerStatistics | undefined): layer is WithHistogram {
  return layer?.histogram !== undefined && layer.min !== undefined && layer.max !== undefined;
}

/**
 * Opens the histograms of a layer, and hands them on; the file is closed afterwards.
 *
 * @throws {BadInputError} The file has changed since it was checked, or cannot be read.
 */
export function withHistograms<T>(
  calibration: Omit<Calibration, "layers">,
  { min, max, histogram }: WithHistogram,
  use: (histograms: InputHistograms) => T,
): T {
  const source = openSource(calibration.path, calibration.label);
  try {
    checkUnchangedFile(source, calibration);
    const [timesteps, stored] = histogram.shape as [number, number];
    const joined = Math.ceil(stored / MAX_BINS);
    const bins = Math.ceil(stored / joined);
    const [least, most] = [min, max].map((tensor) => readVector(source, tensor, timesteps)) as [
      Float32Array,
      Float32Array,
    ];
    const from = least.reduce((a, b) => Math.min(a, b), Infinity);
    const end = most.reduce((a, b) => Math.max(a, b), -Infinity);
    const counts = new Float64Array(bins);
    return use({
      min: least,
      max: most,
      from,
      width: (end - from) / stored * joined,
      bins,
      visit: (see) =>
        visitCounts(source, histogram, stored, 0, timesteps, (values, at, row) => {
          counts.fill(0);
          for (let bin = 0; bin < stored; bin++) {
            const to = Math.floor(bin / joined);
            counts[to] = counts[to]! + values[at + bin]!;
          }
          see(counts, row);
        }),
    });
  } finally {
    source.close();
  }
}
