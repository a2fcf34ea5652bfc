/** Reads the schedules of a checkpoint: the parameters of its layers over their steps. */

import { join } from "node:path";
import { isMissing } from "../base/describe_io_error.ts";
import { disk } from "../base/disk.ts";
import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { areBoundaries } from "../plan/plan_time_groups.ts";
import { openSource, readHeader } from "../safetensors/read.ts";
import { ACTIVATION_WIDTHS } from "../settings/settings.ts";
import type { ActivationBits } from "../types.ts";
import { INFIXES, LAYOUT_VERSION, SCHEDULE_FORMAT } from "./encode_time_groups.ts";
import { OUTPUT_MARK } from "./check_output.ts";

/** The schedule of a layer. */
export interface LayerSchedule {
  /** Module name. */
  name: string;
  /** First step of each time group, and the number of steps at the end: [G+1], ascending from 0. */
  boundaries: number[];
  /** Mean scale of each group, [G]; or of each step, where single steps have their own. */
  scale: number[];
  /** Mean zero point, rounded, of each group or step. */
  zero_point: number[];
}

/** The schedules of a checkpoint. */
export interface TimeGroups {
  /** Where the steps come from. */
  source: string;
  /** How the parameters were chosen. */
  phase: string;
  /** Those of each layer, in the order of their names. */
  layers: LayerSchedule[];
  /** The quantizers of the layers' inputs; absent where inputs are not quantized. */
  inputs?: InputSchedules;
}

/** The quantizers of inputs over the timesteps of a calibration. */
export interface InputSchedules {
  /** Width of a code. */
  bits: ActivationBits;
  /** [T] diffusion timesteps or mask levels, ascending: the steps of the schedules. */
  timesteps: number[];
  /** Those of each layer, in the order of their names. */
  layers: LayerSchedule[];
}

/**
 * Reads the schedules that a run wrote beside a checkpoint.
 *
 * @param directory The checkpoint's; of a pipeline that of a component.
 * @returns `undefined` where there are none.
 * @throws {BadInputError} The file is malformed.
 */
export function readTimeGroups(directory: string): TimeGroups | undefined {
  const path = join(directory, OUTPUT_MARK);
  if (!hasFile(path)) return undefined;
  const fail = (what: string): never => {
    throw new BadInputError(`Cannot read the schedules ${quote(OUTPUT_MARK)}: ${what}`);
  };
  const file = openSource(path, OUTPUT_MARK);
  try {
    const { tensors, metadata } = readHeader(file, OUTPUT_MARK);
    for (const [key, expected] of [["format", SCHEDULE_FORMAT], ["version", LAYOUT_VERSION]]) {
      const found = metadata?.get(key!) ?? "";
      if (found !== expected) fail(`their ${key} is ${quote(found)}, expected "${expected}"`);
    }
    const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    const read = (name: string, dtype: "F32" | "I32"): number[] => {
      const tensor = byName.get(name) ?? fail(`they hold no ${quote(name)}`);
      if (tensor.dtype !== dtype || tensor.shape.length !== 1) {
        fail(
          `${quote(name)} is ${tensor.dtype} [${tensor.shape}], expected ${dtype} of one dimension`,
        );
      }
      const bytes = new Uint8Array(tensor.end - tensor.begin);
      file.readInto(tensor.begin, bytes);
      return [...(dtype === "F32" ? new Float32Array(bytes.buffer) : new Int32Array(bytes.buffer))];
    };
    const schedulesOf = (infix: string) => {
      const end = `${infix}boundaries`;
      const names = tensors.flatMap(({ name }) =>
        name.endsWith(end) ? [name.slice(0, -end.length)] : []
      );
      return names.sort().map((name): LayerSchedule => {
        const boundaries = read(`${name}${end}`, "I32");
        const scale = read(`${name}${infix}scale`, "F32");
        const zero_point = read(`${name}${infix}zero_point`, "I32");
        if (!areBoundaries(boundaries) || boundaries.length < 2) {
          fail(`the boundaries of ${quote(name)} do not ascend from 0`);
        }
        const lengths = [boundaries.length - 1, boundaries.at(-1)];
        if (scale.length !== zero_point.length || !lengths.includes(scale.length)) {
          fail(`${quote(name)} has ${scale.length} scales and ${zero_point.length} zero points`);
        }
        return { name, boundaries, scale, zero_point };
      });
    };
    const readInputs = (): InputSchedules | undefined => {
      const bits = Number(metadata?.get("input_bits"));
      if (metadata?.get("input_bits") === undefined) return undefined;
      if (!ACTIVATION_WIDTHS.some((one) => one === bits)) {
        fail(`their input_bits is ${quote(metadata.get("input_bits")!)}, expected 4, 6 or 8`);
      }
      const timesteps = read("timesteps", "F32");
      const layers = schedulesOf(INFIXES.inputs);
      const strange = layers.find(({ boundaries }) => boundaries.at(-1) !== timesteps.length);
      if (strange !== undefined) {
        fail(`the input of ${quote(strange.name)} is not of ${timesteps.length} timesteps`);
      }
      return { bits: bits as ActivationBits, timesteps, layers };
    };
    const inputs = readInputs();
    return {
      source: metadata?.get("source") ?? "",
      phase: metadata?.get("phase") ?? "",
      layers: schedulesOf(INFIXES.weights),
      ...inputs && { inputs },
    };
  } finally {
    file.close();
  }
}

function hasFile(path: string): boolean {
  try {
    return disk.statSync(path).isFile;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
