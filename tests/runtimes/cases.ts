/** What is written, and what a runtime may make of it: to add a case, add a line. */

import type { Bits } from "../../lib/types.ts";

/** A format that can be written. */
export type Format = "compressed-tensors" | "sdnq" | "gguf" | "comfy";

/** A model of make_models.py, as it is to be written, and how it is to be loaded. */
export interface Case {
  /** Name of the model. */
  model: string;
  /** What to write. */
  format: Format;
  /** Width of a code. */
  bits: Bits;
  /** Further flags of the command line. */
  args?: readonly string[];
  /** Load it as the transformer of the pipeline, whose transformer is the model "pixart". */
  inPipeline?: true;
  /** The dtype that the runtime rounds weights to; none where it decodes in F32. */
  decodesTo?: "bfloat16" | "float16";
  /** Most that a weight may differ, as a share of the layer's largest; by default {@linkcode ROUNDING}. */
  weightError?: number;
  /** Most that a prediction may differ; by default {@linkcode FORWARD_ERROR}. */
  forwardError?: number;
}

/** What a few roundings of F32 come to: a runtime may multiply first and add later, or the other way round. */
export const ROUNDING = 2 ** -22;

/** diffusers decodes blocks of GGUF files in F16, whatever it computes in. */
export const LAYER_ERROR = 2e-3;

/** Most that a prediction may differ, as a share of its largest value. */
export const FORWARD_ERROR = 1e-3;

const rows = ["--group-size", "row"];
const slices = ["--granularity", "slice", "--group-size", "32"];
const symmetric = ["--symmetric"];
const g = (size: number) => ["--group-size", String(size)];
const ct = "compressed-tensors";

/** What predictions may differ where diffusers multiplies two scales of a K-quant in F16. */
const HALVES = 2e-3;

/** What zeros of BF16 may be off. */
const ZEROS = 2 ** -8;

/** The cases, format by format. */
export const CASES: readonly Case[] = [
  { model: "qwen2", format: ct, bits: 2 },
  { model: "qwen2", format: ct, bits: 4 },
  { model: "qwen2", format: ct, bits: 8 },
  { model: "qwen2", format: ct, bits: 2, args: rows },
  { model: "qwen2", format: ct, bits: 4, args: rows },
  { model: "qwen2", format: ct, bits: 8, args: rows },
  { model: "qwen2", format: ct, bits: 4, args: slices },
  { model: "qwen2", format: ct, bits: 2, args: symmetric },
  { model: "qwen2", format: ct, bits: 4, args: symmetric },
  { model: "qwen2", format: ct, bits: 8, args: [...symmetric, ...rows] },
  { model: "dream", format: ct, bits: 2, decodesTo: "bfloat16" },
  { model: "dream", format: ct, bits: 4, decodesTo: "bfloat16" },
  { model: "dream", format: ct, bits: 8, decodesTo: "bfloat16" },
  { model: "dream", format: ct, bits: 4, args: [...symmetric, ...g(48)] },
  { model: "qwen2", format: "sdnq", bits: 4 },
  { model: "qwen2", format: "sdnq", bits: 2, args: rows },
  { model: "qwen2", format: "sdnq", bits: 8, args: symmetric },
  { model: "dream", format: "sdnq", bits: 4, args: g(32) },
  { model: "flux", format: "sdnq", bits: 4, args: g(32) },
  { model: "flux", format: "sdnq", bits: 2 },
  { model: "flux", format: "sdnq", bits: 8, args: symmetric },
  { model: "flux", format: "sdnq", bits: 4, args: [...g(64), "--modulation", "keep"] },
  { model: "sd3", format: "sdnq", bits: 4, args: ["--modulation", "4"] },
  { model: "sd3", format: "sdnq", bits: 2, args: [...g(48)] },
  { model: "pixart", format: "sdnq", bits: 4 },
  { model: "pixart", format: "sdnq", bits: 4, args: slices },
  { model: "pixart", format: "sdnq", bits: 4, inPipeline: true },
  { model: "dit", format: "sdnq", bits: 4, args: rows },
  { model: "qwen-image", format: "sdnq", bits: 4 },
  { model: "qwen-image", format: "sdnq", bits: 8, args: [...symmetric, ...g(32)] },
  { model: "wan", format: "sdnq", bits: 4 },
  { model: "wan", format: "sdnq", bits: 2, args: rows },
  { model: "flux", format: "gguf", bits: 4 },
  { model: "flux", format: "gguf", bits: 8, args: symmetric },
  { model: "flux", format: "gguf", bits: 4, args: g(256), forwardError: HALVES },
  { model: "flux", format: "gguf", bits: 2, forwardError: HALVES },
  { model: "sd3", format: "gguf", bits: 4 },
  { model: "sd3", format: "gguf", bits: 8, args: symmetric },
  { model: "qwen-image", format: "gguf", bits: 4 },
  { model: "qwen-image", format: "gguf", bits: 4, args: ["--modulation", "keep"] },
  { model: "wan", format: "gguf", bits: 4 },
  { model: "wan", format: "gguf", bits: 8, args: symmetric },
  { model: "dream", format: "gguf", bits: 4 },
  { model: "dream", format: "gguf", bits: 8, args: symmetric },
  { model: "flux", format: "comfy", bits: 4, args: g(64), weightError: ZEROS },
  { model: "flux", format: "comfy", bits: 8, args: symmetric },
  { model: "sd3", format: "comfy", bits: 4, weightError: ZEROS },
];

/** What to call a case. */
export function titleOf({ model, format, bits, args = [], inPipeline }: Case): string {
  const where = inPipeline ? ", in a pipeline" : "";
  return [`${model} in INT${bits} as ${format}`, ...args].join(" ") + where;
}
