/** Opens a calibration file: nothing of it is used before all of it has been checked. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { Header, TensorInfo } from "../safetensors/header.ts";
import { type ByteSource, openSource, readHeader } from "../safetensors/read.ts";
import { type Calibration, FORMAT, MAX_TIMESTEPS } from "./calibration.ts";
import { checkLayer, checkTimesteps, checkWeights } from "./check_values.ts";
import { readLayers } from "./read_layers.ts";
import { readVector } from "./read_rows.ts";

/**
 * Opens a file, and checks its header and every value, in slabs of bounded memory.
 *
 * @param path The file; messages name it so.
 * @throws {BadInputError} It is no calibration file of version 1 or 2, is cut short, or holds a value that
 *   no recording gives.
 */
export function openCalibration(path: string): Calibration {
  const source = openSource(path, path);
  try {
    const contents = checkCalibration(source, path);
    return { label: path, ...contents, path, fileVersion: source.version };
  } finally {
    source.close();
  }
}

/** All of a calibration but where it is from. */
export type CalibrationContents = Omit<Calibration, "label" | "path" | "fileVersion">;

/**
 * Checks an open file.
 *
 * @param label The file's name in messages.
 * @throws {BadInputError} See {@linkcode openCalibration}.
 */
export function checkCalibration(source: ByteSource, label: string): CalibrationContents {
  const header = readHeader(source, label);
  try {
    return checkContents(source, header);
  } catch (error) {
    if (!(error instanceof BadInputError) || error.message.startsWith("Cannot read")) throw error;
    throw new BadInputError(`Cannot read calibration ${quote(label)}: ${error.message}`);
  }
}

function checkContents(source: ByteSource, { tensors, metadata }: Header): CalibrationContents {
  const version = readVersion(metadata);
  const rest = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const take = (name: string) => {
    const tensor = rest.get(name);
    rest.delete(name);
    return tensor;
  };
  const axis = takeAxis(version, take);
  const timesteps = readAxis(source, axis, version);
  const weightTensor = version === 2 ? take("weights") : undefined;
  const weights = weightTensor && readWeights(source, weightTensor, timesteps.length);
  const { layers, segments } = readLayers([...rest.values()], {
    version,
    timesteps: timesteps.length,
    sameInput: metadata?.get("same_input"),
  });
  // Layers that share an input are there more than once.
  for (const layer of new Set(layers.values())) checkLayer(source, layer, { timesteps, weights });
  return { version, timesteps, weights, segments, layers };
}

/** Files of version 1 need not have metadata. */
function readVersion(metadata: Header["metadata"]): 1 | 2 {
  if (metadata === undefined || metadata.size === 0) return 1;
  const format = metadata.get("format");
  if (format !== FORMAT) {
    const found = format === undefined ? "missing" : quote(format);
    throw new BadInputError(
      `metadata "format" is ${found}, must be "${FORMAT}": it is no calibration file`,
    );
  }
  const version = metadata.get("version");
  if (version === "1") return 1;
  if (version === "2") return 2;
  const found = version === undefined ? "missing" : quote(version);
  throw new BadInputError(`metadata "version" is ${found}, must be "1" or "2"`);
}

function takeAxis(
  version: 1 | 2,
  take: (name: string) => TensorInfo | undefined,
): TensorInfo {
  const timesteps = take("timesteps");
  const levels = version === 1 ? take("levels") : undefined;
  if (timesteps !== undefined && levels !== undefined) {
    throw new BadInputError('it has both "timesteps" and "levels", must have one of them');
  }
  const axis = timesteps ?? levels;
  if (axis !== undefined) return axis;
  const names = version === 1 ? '"timesteps" and no "levels"' : '"timesteps"';
  throw new BadInputError(`it has no tensor ${names}: it is no calibration file`);
}

function readAxis(source: ByteSource, axis: TensorInfo, version: 1 | 2): number[] {
  const isInteger = axis.dtype === "I32" && version === 1 && axis.name === "timesteps";
  const count = checkVector(axis, isInteger ? "I32" : "F32", undefined);
  const bytes = new Uint8Array(count * 4);
  source.readInto(axis.begin, bytes);
  const values = isInteger ? new Int32Array(bytes.buffer) : new Float32Array(bytes.buffer);
  const timesteps = [...values];
  checkTimesteps(timesteps, axis);
  return timesteps;
}

function readWeights(source: ByteSource, tensor: TensorInfo, count: number): number[] {
  checkVector(tensor, "F32", count);
  const weights = [...readVector(source, tensor, count)];
  checkWeights(weights, tensor.name);
  return weights;
}

/** Checks dtype and shape of a vector of the time axis, and returns its length. */
function checkVector(
  { name, dtype, shape }: TensorInfo,
  expected: "F32" | "I32",
  length: number | undefined,
): number {
  const [found] = shape;
  const fits = length === undefined
    ? found !== undefined && found >= 1 && found <= MAX_TIMESTEPS
    : found === length;
  if (dtype === expected && shape.length === 1 && found !== undefined && fits) return found;
  const allowed = length === undefined ? `[T], T from 1 to ${MAX_TIMESTEPS}` : `[${length}]`;
  throw new BadInputError(
    `tensor ${quote(name)} is ${dtype} [${shape.slice(0, 8)}], must be ${expected} ${allowed}`,
  );
}
