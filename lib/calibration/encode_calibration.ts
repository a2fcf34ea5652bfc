/** Writes calibration files of version 2. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { encodeHeader } from "../safetensors/encode_header.ts";
import { FORMAT, SUFFIXES } from "./calibration.ts";

/** Statistics of one layer's input; see {@linkcode LayerStatistics} for what each is. */
export interface RecordedLayer {
  /** [T]. */
  min?: Float32Array;
  /** [T]. */
  max?: Float32Array;
  /** [T, bins]. */
  histogram?: Int32Array;
  /**
   * [C]; [segments, C] or [T, C] beside a sketch. Without one, [segments, C], which T makes those of
   * every timestep.
   */
  square?: Float32Array;
  /** [C, rank]; [segments, C, rank] where `segments` is given. */
  sketch?: Float32Array;
  /** Columns of the sketch; needed with one. */
  rank?: number;
  /** Segments of the time axis; absent: statistics over all of it, without that dimension. */
  segments?: number;
}

/** What is recorded of a model. */
export interface RecordedCalibration {
  /** [T], ascending, no two equal. */
  timesteps: ArrayLike<number>;
  /** [T] what each timestep weighed in the sums; absent: all the same. */
  weights?: ArrayLike<number>;
  /** Layers by the layer whose input they share. */
  sameInput?: ReadonlyMap<string, string>;
  /** Name of the model. */
  model?: string;
  /** By module name. */
  layers: ReadonlyMap<string, RecordedLayer>;
}

interface EncodedTensor {
  name: string;
  dtype: "F32" | "I32";
  shape: number[];
  values: Float32Array | Int32Array;
}

/**
 * Encodes a calibration file. Values are written as they are: opening the file checks them.
 *
 * @throws {BadInputError} The length of an array is no whole number of what it should hold.
 */
export function encodeCalibration(calibration: RecordedCalibration): Uint8Array<ArrayBuffer> {
  const { timesteps, weights, sameInput, model, layers } = calibration;
  const tensors = [vector("timesteps", timesteps)];
  if (weights !== undefined) tensors.push(vector("weights", weights));
  for (const [name, layer] of layers) tensors.push(...listTensors(name, layer, timesteps.length));
  const metadata = new Map([["format", FORMAT], ["version", "2"]]);
  if (model !== undefined) metadata.set("model", model);
  if (sameInput !== undefined && sameInput.size > 0) {
    metadata.set("same_input", JSON.stringify(Object.fromEntries(sameInput)));
  }
  const header = encodeHeader(
    tensors.map(({ name, dtype, shape, values: { byteLength } }) => ({
      name,
      dtype,
      shape,
      byteLength,
    })),
    metadata,
  );
  const file = new Uint8Array(header.byteLength);
  file.set(header.bytes);
  for (const [i, { values: { buffer, byteOffset, byteLength } }] of tensors.entries()) {
    file.set(new Uint8Array(buffer, byteOffset, byteLength), header.begins[i]);
  }
  return file;
}

function vector(name: string, numbers: ArrayLike<number>): EncodedTensor {
  const values = Float32Array.from(numbers);
  return { name, dtype: "F32", shape: [values.length], values };
}

function listTensors(layer: string, recorded: RecordedLayer, timesteps: number): EncodedTensor[] {
  const { min, max, histogram, square, sketch, rank = 0, segments } = recorded;
  const tensors: EncodedTensor[] = [];
  const add = (name: string, values: Float32Array | Int32Array, shape: number[]) => {
    const dtype = values instanceof Int32Array ? "I32" as const : "F32" as const;
    if (shape.reduce((product, size) => product * size, 1) !== values.length) {
      throw new BadInputError(
        `Cannot encode tensor ${quote(name)}: ${values.length} values, [${shape}] was expected`,
      );
    }
    tensors.push({ name, dtype, shape, values });
  };
  const leading = segments === undefined ? [] : [segments];
  const count = segments ?? 1;
  const columns = Math.floor(
    sketch === undefined ? (square?.length ?? 0) / count : sketch.length / (count * rank),
  );
  if (min !== undefined) add(layer + SUFFIXES.min, min, [timesteps]);
  if (max !== undefined) add(layer + SUFFIXES.max, max, [timesteps]);
  if (histogram !== undefined) {
    const bins = Math.floor(histogram.length / timesteps);
    add(layer + SUFFIXES.histogram, histogram, [timesteps, bins]);
  }
  if (square !== undefined) {
    const isByTimestep = square.length === timesteps * columns && timesteps > 1;
    add(layer + SUFFIXES.square, square, [...(isByTimestep ? [timesteps] : leading), columns]);
  }
  if (sketch !== undefined) add(layer + SUFFIXES.sketch, sketch, [...leading, columns, rank]);
  return tensors;
}
