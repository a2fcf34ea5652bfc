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
  /** Load it by `dequantize=True`: otherwise transformers loads no asymmetric parameters. */
  dequantize?: true;
  /** The dtype that the runtime rounds weights to; none where it decodes in F32. */
  decodesTo?: "bfloat16" | "float16";
  /** Most that a weight may differ, as a share of the layer's largest; by default {@linkcode ROUNDING}. */
  weightError?: number;
}

/** What a few roundings of F32 come to: a runtime may multiply first and add later, or the other way round. */
export const ROUNDING = 2 ** -22;

/** diffusers decodes blocks of GGUF files in F16, whatever it computes in. */
export const LAYER_ERROR = 2e-3;

/** Most that a prediction may differ, as a share of its largest value. */
export const FORWARD_ERROR = 1e-3;

const rows = ["--group-size", "row"];
const slices = ["--granularity", "slice", "--group-size", "32"];

/** The cases, format by format. */
export const CASES: readonly Case[] = [
  { model: "qwen2", format: "compressed-tensors", bits: 2, dequantize: true },
  { model: "qwen2", format: "compressed-tensors", bits: 4, dequantize: true },
  { model: "qwen2", format: "compressed-tensors", bits: 8, dequantize: true },
  { model: "qwen2", format: "compressed-tensors", bits: 2, dequantize: true, args: rows },
  { model: "qwen2", format: "compressed-tensors", bits: 4, dequantize: true, args: rows },
  { model: "qwen2", format: "compressed-tensors", bits: 8, dequantize: true, args: rows },
  { model: "qwen2", format: "compressed-tensors", bits: 4, dequantize: true, args: slices },
  {
    model: "dream",
    format: "compressed-tensors",
    bits: 2,
    dequantize: true,
    decodesTo: "bfloat16",
  },
  {
    model: "dream",
    format: "compressed-tensors",
    bits: 4,
    dequantize: true,
    decodesTo: "bfloat16",
  },
  {
    model: "dream",
    format: "compressed-tensors",
    bits: 8,
    dequantize: true,
    decodesTo: "bfloat16",
  },
];

/** What to call a case. */
export function titleOf({ model, format, bits, args = [], inPipeline }: Case): string {
  const where = inPipeline ? ", in a pipeline" : "";
  return [`${model} in INT${bits} as ${format}`, ...args].join(" ") + where;
}
