/** The schedule of each layer, its parameters over its steps, as a file of their own. */

import { newTensor } from "../format/plan_shards.ts";
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
 * @returns The bytes of the file: its header, and all values behind it.
 */
export function encodeTimeGroups(
  records: readonly LayerRecord[],
  source: string,
  phase: string,
  activations?: ActivationRecords,
): [header: Uint8Array<ArrayBuffer>, values: Uint8Array<ArrayBuffer>] {
  // Made twice, since those of many layers would take more than what is written.
  const schedules = () => listSchedules(records, activations);
  const tensors: NewTensor[] = [];
  const shapes = new Map<number, number[]>();
  const shapeOf = (length: number) => {
    const shape = shapes.get(length) ?? [length];
    shapes.set(length, shape);
    return shape;
  };
  for (const { prefix, axis, track, isByStep } of schedules()) {
    const length = shapeOf(isByStep ? track.starts.at(-1)! : track.scale.length);
    tensors.push(
      newTensor(`${prefix}boundaries`, "I32", shapeOf(axis.boundaries.length)),
      newTensor(`${prefix}scale`, "F32", length),
      newTensor(`${prefix}zero_point`, "I32", length),
    );
  }
  if (activations !== undefined) {
    tensors.push(newTensor("timesteps", "F32", [activations.timesteps.length]));
  }
  const metadata = {
    format: SCHEDULE_FORMAT,
    version: LAYOUT_VERSION,
    source,
    phase,
    ...activations && { input_bits: String(activations.bits) },
  };
  const { bytes, begins, byteLength } = encodeHeader(tensors, new Map(Object.entries(metadata)));
  // All values take 4 bytes.
  const values = new Uint8Array(byteLength - bytes.length);
  const [floats, integers] = [new Float32Array(values.buffer), new Int32Array(values.buffer)];
  let tensor = 0;
  const next = () => (begins[tensor++]! - bytes.length) / 4;
  for (const { axis, track, isByStep } of schedules()) {
    integers.set(axis.boundaries, next());
    const [scale, zeroPoint] = [next(), next()];
    for (let segment = 0; segment < track.scale.length; segment++) {
      const from = isByStep ? track.starts[segment]! : segment;
      const to = isByStep ? track.starts[segment + 1]! : segment + 1;
      floats.fill(track.scale[segment]!, scale + from, scale + to);
      integers.fill(Math.round(track.zero_point[segment]!), zeroPoint + from, zeroPoint + to);
    }
  }
  if (activations !== undefined) floats.set(activations.timesteps, next());
  return [bytes, values];
}

/** What stands between a layer's name and that of a tensor of its schedule. */
export const INFIXES = { weights: ".", inputs: ".input_" } as const;

/** The parameters of a layer's weights, or of its inputs, over its steps. */
interface Schedule {
  /** What the names of its tensors begin with. */
  prefix: string;
  axis: TimeAxis;
  track: ParamTrack;
  /** Whether there is an entry for each step, not for each time group. */
  isByStep: boolean;
}

function* listSchedules(
  records: readonly LayerRecord[],
  activations: ActivationRecords | undefined,
): Generator<Schedule> {
  for (const record of records) {
    yield {
      prefix: `${record.name}${INFIXES.weights}`,
      axis: record.axis,
      track: record.schedule?.stored ?? trackOfGroups(record, record),
      isByStep: record.schedule !== null,
    };
  }
  if (activations === undefined) return;
  for (const layer of activations.layers) {
    yield {
      prefix: `${layer.name}${INFIXES.inputs}`,
      axis: activations.axis,
      track: trackOfInputs(activations, layer, "stored"),
      isByStep: layer.schedule !== null,
    };
  }
}
