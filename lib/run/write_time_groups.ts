/** The schedules of a run as a safetensors file: `time_groups.safetensors`. */

import { encodeHeader, type NewTensor } from "../safetensors/header.ts";
import { meanParams, storedSchedule } from "../params/score_schedule.ts";
import type { LayerPlan, Schedule } from "../types.ts";

/** What a run did with the steps of one layer. */
export interface LayerSchedules {
  /** The layer, for its name and time groups. */
  layer: Pick<LayerPlan, "name" | "boundaries">;
  /** The parameters of its time groups. */
  groups: Schedule;
  /** The parameters of its steps: `groups` unless single steps have their own. */
  schedule: Schedule;
}

/** Version of the file's layout. */
const LAYOUT_VERSION = "1";

/**
 * Encodes schedules: for each layer `NAME.boundaries` I32 [G+1], `NAME.scale` F32 and
 * `NAME.zero_point` I32, [G] or, where single steps have their own parameters, [S]: the means over the
 * blocks, those of zero points rounded to the nearest integer.
 *
 * @returns The bytes of the whole file.
 */
export function encodeTimeGroups(
  layers: readonly LayerSchedules[],
  source: string,
  phase: string,
): Uint8Array<ArrayBuffer> {
  const data = new Map<string, Int32Array | Float32Array>();
  for (const { layer: { name, boundaries }, groups, schedule } of layers) {
    // One entry for each segment, or for each step.
    const starts = schedule === groups ? [...groups.starts.keys()] : schedule.starts;
    const scale = new Float32Array(starts.at(-1)!);
    const zeroPoint = new Int32Array(scale.length);
    for (const [segment, params] of meanParams(storedSchedule(schedule)).entries()) {
      const [from, to] = [starts[segment]!, starts[segment + 1]!];
      scale.fill(params.scale, from, to);
      zeroPoint.fill(Math.round(params.zero_point), from, to);
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
  const metadata = { format: "isotherm-time-groups", version: LAYOUT_VERSION, source, phase };
  const header = encodeHeader(tensors, new Map(Object.entries(metadata)));
  const file = new Uint8Array(header.byteLength);
  file.set(header.bytes);
  for (const [name, values] of data) {
    file.set(new Uint8Array(values.buffer), header.begins.get(name)!);
  }
  return file;
}
