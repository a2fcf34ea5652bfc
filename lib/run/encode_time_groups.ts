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
 * @returns The bytes of the whole file.
 */
export function encodeTimeGroups(
  records: readonly LayerRecord[],
  source: string,
  phase: string,
  activations?: ActivationRecords,
): Uint8Array<ArrayBuffer> {
  const schedules = records.map((record) =>
    planSchedule(
      `${record.name}${INFIXES.weights}`,
      record.axis,
      record.schedule?.stored ?? trackOfGroups(record, record),
      record.schedule !== null,
    )
  );
  if (activations !== undefined) {
    for (const layer of activations.layers) {
      schedules.push(planSchedule(
        `${layer.name}${INFIXES.inputs}`,
        activations.axis,
        trackOfInputs(activations, layer, "stored"),
        layer.schedule !== null,
      ));
    }
  }
  const timesteps = activations && newTensor("timesteps", "F32", [activations.timesteps.length]);
  const tensors = [
    ...schedules.flatMap(({ boundaries, scale, zeroPoint }) => [boundaries, scale, zeroPoint]),
    ...timesteps === undefined ? [] : [timesteps],
  ];
  const metadata = {
    format: SCHEDULE_FORMAT,
    version: LAYOUT_VERSION,
    source,
    phase,
    ...activations && { input_bits: String(activations.bits) },
  };
  const { bytes, begins, byteLength } = encodeHeader(tensors, new Map(Object.entries(metadata)));
  const file = new Uint8Array(byteLength);
  file.set(bytes);
  // A header's length is a multiple of 8, and all values take 4 bytes.
  const view: View = ({ name, byteLength }) => [file.buffer, begins.get(name)!, byteLength / 4];
  for (const schedule of schedules) putSchedule(schedule, view);
  if (timesteps !== undefined) {
    new Float32Array(...view(timesteps)).set(activations!.timesteps);
  }
  return file;
}

/** What stands between a layer's name and that of a tensor of its schedule. */
export const INFIXES = { weights: ".", inputs: ".input_" } as const;

/** The parameters of a layer's weights, or of its inputs, over its steps, and the tensors that hold them. */
interface Schedule {
  axis: TimeAxis;
  track: ParamTrack;
  /** First entry of each segment of the track, and the number of entries at the end. */
  starts: readonly number[];
  boundaries: NewTensor;
  scale: NewTensor;
  zeroPoint: NewTensor;
}

/** Where the values of a tensor go: the file, their first byte, and how many they are. */
type View = (tensor: NewTensor) => [ArrayBuffer, number, number];

/**
 * Plans the tensors of a schedule.
 *
 * @param prefix What their names begin with.
 * @param isByStep Whether there is an entry for each step, not for each time group.
 */
function planSchedule(
  prefix: string,
  axis: TimeAxis,
  track: ParamTrack,
  isByStep: boolean,
): Schedule {
  const starts = isByStep ? track.starts : [...axis.boundaries.keys()];
  const length = starts.at(-1)!;
  return {
    axis,
    track,
    starts,
    boundaries: newTensor(`${prefix}boundaries`, "I32", [axis.boundaries.length]),
    scale: newTensor(`${prefix}scale`, "F32", [length]),
    zeroPoint: newTensor(`${prefix}zero_point`, "I32", [length]),
  };
}

function putSchedule(schedule: Schedule, view: View): void {
  const { axis, track, starts } = schedule;
  const scale = new Float32Array(...view(schedule.scale));
  const zeroPoint = new Int32Array(...view(schedule.zeroPoint));
  for (const [segment, mean] of track.scale.entries()) {
    const [from, to] = [starts[segment]!, starts[segment + 1]!];
    scale.fill(mean, from, to);
    zeroPoint.fill(Math.round(track.zero_point[segment]!), from, to);
  }
  new Int32Array(...view(schedule.boundaries)).set(axis.boundaries);
}
