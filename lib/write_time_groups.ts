/** The schedules of a run as a safetensors file: `time_groups.safetensors`. */

import { encodeHeader, type NewTensor } from "./safetensors/header.ts";

/** The schedule of one layer, one entry for each time group. */
export interface TimeGroupSchedule {
  /** Module name. */
  name: string;
  /** First step of each group, and the number of steps at the end: [G+1]. */
  boundaries: readonly number[];
  /** [G]. */
  scale: readonly number[];
  /** [G]; a mean over blocks is rounded to the nearest integer. */
  zero_point: readonly number[];
}

/** Version of the file's layout. */
const LAYOUT_VERSION = "1";

/**
 * Encodes schedules: for each layer `NAME.boundaries` I32 [G+1], `NAME.scale` F32 [G] and
 * `NAME.zero_point` I32 [G].
 *
 * @returns The bytes of the whole file.
 */
export function encodeTimeGroups(
  layers: readonly TimeGroupSchedule[],
  source: string,
  phase: string,
): Uint8Array<ArrayBuffer> {
  const data = new Map<string, Int32Array | Float32Array>();
  for (const { name, boundaries, scale, zero_point } of layers) {
    data.set(`${name}.boundaries`, Int32Array.from(boundaries));
    data.set(`${name}.scale`, Float32Array.from(scale));
    data.set(`${name}.zero_point`, Int32Array.from(zero_point, Math.round));
  }
  const tensors = [...data].map(([name, values]): NewTensor => ({
    name,
    dtype: values instanceof Float32Array ? "F32" : "I32",
    shape: [values.length],
    byteLength: values.byteLength,
  }));
  const metadata = { format: "isotherm-time-groups", version: LAYOUT_VERSION, source, phase };
  const header = encodeHeader(tensors, new Map(Object.entries(metadata)));
  const file = new Uint8Array(header.byteLength);
  file.set(header.bytes);
  for (const [name, values] of data) {
    file.set(new Uint8Array(values.buffer), header.begins.get(name)!);
  }
  return file;
}
