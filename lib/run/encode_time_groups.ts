/** The schedule of each layer, its parameters over its steps, as a file of their own. */

import { type ActivationRecords, trackOfInputs } from "../layer/activation_record.ts";
import { type LayerRecord, trackOfGroups } from "../layer/layer_record.ts";
import { encodeHeader, type NewTensor } from "../safetensors/encode_header.ts";
import type { ParamTrack, TimeAxis } from "../types.ts";

/** What the file says it is. */
export const SCHEDULE_FORMAT = "isotherm-time-groups";

/** Version of the file's layout. */
export const LAYOUT_VERSION = "1";

/**
 * Encodes the schedules of a run: for each layer `NAME.boundaries` I32 [G+1], `NAME.scale` F32 and
 * `NAME.zero_point` I32, [G] or, where single steps have their own parameters, [S]: the means over the
 * blocks, those of zero points rounded to the nearest integer. Of quantized inputs `timesteps` F32 [T], and for each
 * layer the same three of its input, over the timesteps: `NAME.input_boundaries`, `NAME.input_scale`,
 * `NAME.input_zero_point`; the metadata entry `input_bits` is the width of their codes.
 *
 * @returns The bytes of the whole file.
 */
export function encodeTimeGroups(
  records: readonly LayerRecord[],
  source: string,
  phase: string,
  activations?: ActivationRecords,
): Uint8Array<ArrayBuffer> {
  const data = new Map<string, Int32Array | Float32Array>();
  for (const record of records) {
    const track = record.schedule?.stored ?? trackOfGroups(record, record);
    putSchedule(data, record.name, record.axis, track, record.schedule !== null, INFIXES.weights);
  }
  if (activations !== undefined) {
    const { axis, timesteps } = activations;
    data.set("timesteps", Float32Array.from(timesteps));
    for (const layer of activations.layers) {
      const track = trackOfInputs(activations, layer, "stored");
      putSchedule(data, layer.name, axis, track, layer.schedule !== null, INFIXES.inputs);
    }
  }
  const tensors = [...data].map(([name, values]): NewTensor => ({
    name,
    dtype: values instanceof Float32Array ? "F32" : "I32",
    shape: [values.length],
    byteLength: values.byteLength,
  }));
  const metadata = {
    format: SCHEDULE_FORMAT,
    version: LAYOUT_VERSION,
    source,
    phase,
    ...activations && { input_bits: String(activations.bits) },
  };
  const header = encodeHeader(tensors, new Map(Object.entries(metadata)));
  const file = new Uint8Array(header.byteLength);
  file.set(header.bytes);
  for (const [name, values] of data) {
    file.set(new Uint8Array(values.buffer), header.begins.get(name)!);
  }
  return file;
}

/** What stands between a layer's name and that of a tensor of its schedule. */
export const INFIXES = { weights: ".", inputs: ".input_" } as const;

/** Puts a schedule among the tensors: one entry for each time group, or for each step. */
function putSchedule(
  data: Map<string, Int32Array | Float32Array>,
  name: string,
  { boundaries }: TimeAxis,
  track: ParamTrack,
  isByStep: boolean,
  infix: string,
): void {
  const starts = isByStep ? track.starts : [...boundaries.keys()];
  const scale = new Float32Array(starts.at(-1)!);
  const zeroPoint = new Int32Array(scale.length);
  for (const [segment, mean] of track.scale.entries()) {
    const [from, to] = [starts[segment]!, starts[segment + 1]!];
    scale.fill(mean, from, to);
    zeroPoint.fill(Math.round(track.zero_point[segment]!), from, to);
  }
  data.set(`${name}${infix}boundaries`, Int32Array.from(boundaries));
  data.set(`${name}${infix}scale`, scale);
  data.set(`${name}${infix}zero_point`, zeroPoint);
}
