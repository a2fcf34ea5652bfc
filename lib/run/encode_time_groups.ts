/** The schedule of each layer, its parameters over its steps, as a file of their own. */

import { newTensor } from "../format/plan_shards.ts";
import { type ActivationRecords, trackOfInputs } from "../layer/activation_record.ts";
import { type LayerRecord, trackOfGroups } from "../layer/layer_record.ts";
import { encodeEntries, type NewTensor } from "../safetensors/encode_header.ts";
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
  const metadata = {
    format: SCHEDULE_FORMAT,
    version: LAYOUT_VERSION,
    source,
    phase,
    ...activations && { input_bits: String(activations.bits) },
  };
  // Gone through twice: the schedules of many layers would take more than what is written.
  const { bytes, byteLength } = encodeEntries(
    listTensors(records, activations),
    new Map(Object.entries(metadata)),
  );
  const values = new Uint8Array(byteLength - bytes.length);
  // All values take 4 bytes.
  const [floats, integers] = [new Float32Array(values.buffer), new Int32Array(values.buffer)];
  let at = 0;
  for (const schedule of listSchedules(records, activations)) {
    const { axis: { boundaries }, track: { starts, scale, zero_point }, isByStep } = schedule;
    integers.set(boundaries, at);
    at += boundaries.length;
    const length = lengthOf(schedule);
    for (let segment = 0; segment < scale.length; segment++) {
      const from = at + (isByStep ? starts[segment]! : segment);
      const to = at + (isByStep ? starts[segment + 1]! : segment + 1);
      floats.fill(scale[segment]!, from, to);
      integers.fill(Math.round(zero_point[segment]!), from + length, to + length);
    }
    at += 2 * length;
  }
  if (activations !== undefined) floats.set(activations.timesteps, at);
  return [bytes, values];
}

/** The tensors of the file, in their order. */
function* listTensors(
  records: readonly LayerRecord[],
  activations: ActivationRecords | undefined,
): Generator<NewTensor> {
  for (const schedule of listSchedules(records, activations)) {
    const { prefix, axis } = schedule;
    const length = lengthOf(schedule);
    yield newTensor(`${prefix}boundaries`, "I32", [axis.boundaries.length]);
    yield newTensor(`${prefix}scale`, "F32", [length]);
    yield newTensor(`${prefix}zero_point`, "I32", [length]);
  }
  if (activations !== undefined) {
    yield newTensor("timesteps", "F32", [activations.timesteps.length]);
  }
}

/** How many scales a schedule has, and zero points. */
function lengthOf({ track: { starts, scale }, isByStep }: Schedule): number {
  return isByStep ? starts.at(-1)! : scale.length;
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
