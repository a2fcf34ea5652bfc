/** Holds a calibration against the layers of a model. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { Calibration } from "./calibration.ts";

/** A layer of a model. */
export interface ModelLayer {
  /** Module name: that of its weight without `.weight`. */
  name: string;
  /** Columns of its weight. */
  columns: number;
}

/** Names that only one of the two has. */
export interface Mismatch {
  /** Layers of the model that have no statistics, in its order. */
  missing: string[];
  /** Statistics of no layer, in the order of the calibration. */
  strange: string[];
}

/**
 * Compares names and columns.
 *
 * @throws {BadInputError} The statistics of a layer are of another number of columns.
 */
export function matchCalibration(
  { label, layers: recorded }: Pick<Calibration, "label" | "layers">,
  layers: readonly ModelLayer[],
): Mismatch {
  for (const { name, columns } of layers) {
    const found = recorded.get(name)?.columns;
    if (found === undefined || found === columns) continue;
    throw new BadInputError(
      `Cannot use calibration ${quote(label)}: its statistics of layer ${quote(name)} are of ` +
        `${found} columns, must be of ${columns}: it was recorded on another model`,
    );
  }
  const names = new Set(layers.map(({ name }) => name));
  return {
    missing: [...names].filter((name) => !recorded.has(name)),
    strange: [...recorded.keys()].filter((name) => !names.has(name)),
  };
}
