/** The tensor types of ggml that Isotherm writes and reads, and which of them holds a tensor as it is. */

import { BadInputError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import { BLOCK_TYPES } from "./block_types.ts";

/** How a tensor type lays out a row. */
export interface TensorLayout {
  /** ggml's name in upper case. */
  name: string;
  /** Elements of a block; a row is a whole number of blocks. */
  columns: number;
  /** Bytes of a block. */
  bytes: number;
}

const PLAIN: [type: number, name: string, bytes: number][] = [
  [0, "F32", 4],
  [1, "F16", 2],
  [24, "I8", 1],
  [25, "I16", 2],
  [26, "I32", 4],
  [27, "I64", 8],
  [28, "F64", 8],
  [30, "BF16", 2],
];

const LAYOUTS = new Map<number, TensorLayout>([
  ...PLAIN.map((
    [type, name, bytes],
  ): [number, TensorLayout] => [type, { name, columns: 1, bytes }]),
  ...Object.entries(BLOCK_TYPES).map(([name, { type, columns, bytes }]): [number, TensorLayout] => [
    type,
    { name: name.toUpperCase(), columns, bytes },
  ]),
]);

const PLAIN_TYPES = new Map(PLAIN.map(([type, name]) => [name, type]));

/** ggml's number for F32. */
export const F32_TYPE = 0;

/** The layout of a tensor type, by ggml's number; `undefined` for one Isotherm does not know. */
export function tensorLayout(type: number): TensorLayout | undefined {
  return LAYOUTS.get(type);
}

/** Known types, as a message lists them. */
export function knownTensorTypes(): string {
  return [...LAYOUTS].map(([type, { name }]) => `${type} (${name})`).join(" ");
}

/**
 * The tensor type that holds a tensor that is not quantized. Vectors and scalars of F16 and BF16 become F32,
 * since ggml adds and multiplies only those with whatever else it computes; and so does all of BF16 that is no
 * matrix of a layer, since diffusers takes such bytes for numbers. The rest stays as it is.
 *
 * @param dtype The dtype of a safetensors file.
 * @throws {BadInputError} ggml has no such type, for example U8 or BOOL.
 */
export function plainTensorType(tensor: { name: string; dtype: string; shape: number[] }): number {
  const { name, dtype, shape } = tensor;
  const isMatrix = shape.length === 2 && name.endsWith(".weight");
  if ((dtype === "F16" && shape.length <= 1) || (dtype === "BF16" && !isMatrix)) return F32_TYPE;
  const type = PLAIN_TYPES.get(dtype);
  if (type !== undefined) return type;
  throw new BadInputError(
    `Cannot write tensor ${quote(name)} to GGUF: its dtype is ${quote(dtype)}, expected one of ${
      [...PLAIN_TYPES.keys()].join(" ")
    }: convert it first`,
  );
}
