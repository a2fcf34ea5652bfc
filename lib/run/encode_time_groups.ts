/** The schedule of each layer, its parameters over its steps, as a file of their own. */

import { type LayerRecord, trackOfGroups } from "../layer/layer_record.ts";
import { encodeHeader, type NewTensor } from "../safetensors/header.ts";

/** What the file says it is. */
export const SCHEDULE_FORMAT = "isotherm-time-groups";

/** Version of the file's layout. */
export const LAYOUT_VERSION = "1";

/**
 * Encodes the schedules of a run: for each layer `NAME.boundaries` I32 [G+1], `NAME.scale` F32 and
 * `NAME.zero_point` I32, [G] or, where single steps have their own parameters, [S]: the means over the
 * blocks, those of zero points rounded to the nearest integer.
 *
 * @returns The bytes of the whole file.
 */
export function encodeTimeGroups(
  records: readonly LayerRecord[],
  source: string,
  phase: string,
): Uint8Array<ArrayBuffer> {
  const data = new Map<string, Int32Array | Float32Array>();
  for (const record of records) {
    const { name, axis: { boundaries }, schedule } = record;
    const track = schedule?.stored ?? trackOfGroups(record, record);
    // One entry for each group, or for each step.
    const starts = schedule === null ? [...boundaries.keys()] : track.starts;
    const scale = new Float32Array(starts.at(-1)!);
    const zeroPoint = new Int32Array(scale.length);
    for (const [segment, mean] of track.scale.entries()) {
      const [from, to] = [starts[segment]!, starts[segment + 1]!];
      scale.fill(mean, from, to);
      zeroPoint.fill(Math.round(track.zero_point[segment]!), from, to);
    }
    data.set(`${name}.boundaries`, Int32Array.from(boundaries));
    data.set(`${name}.scale`, scale);
    data.set(`${name}.zero_point`, zeroPoint);
  }
  const tensors = [...data].map(([name, values]): NewTensor => ({
    name,
    dtype: values instanceof Float32Array ? "F32" : "I32",
    shape: [values.length],
    byteLength: values.byteLength,
  }));
  const metadata = { format: SCHEDULE_FORMAT, version: LAYOUT_VERSION, source, phase };
  const header = encodeHeader(tensors, new Map(Object.entries(metadata)));
  const file = new Uint8Array(header.byteLength);
  file.set(header.bytes);
  for (const [name, values] of data) {
    file.set(new Uint8Array(values.buffer), header.begins.get(name)!);
  }
  return file;
}
