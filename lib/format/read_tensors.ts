/** Tensors of a written checkpoint: where they lie, and whether they are what they should be. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { Model } from "../model/open_model.ts";
import { decodeFloats, floatBytes, type FloatDtype, isFloatDtype } from "../safetensors/dtype.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import { type Bits, middleOf } from "../types.ts";
import type { PlaceReader, StoredTensor } from "./checkpoint_format.ts";
import type { AffineParams } from "./pack_rows.ts";

/** Where each tensor of a model lies, in the order of the files. */
export function placeTensors({ shards }: Pick<Model, "shards">): Map<string, StoredTensor> {
  return new Map(
    shards.flatMap(({ path, name: label, tensors }) =>
      tensors.map((tensor): [string, StoredTensor] => [
        tensor.name,
        { tensor, place: { path, label, begin: tensor.begin } },
      ])
    ),
  );
}

/**
 * Says what is wrong with a tensor.
 *
 * @throws {BadInputError} Always.
 */
export function failVerify({ name }: { name: string }, what: string): never {
  throw new BadInputError(`Cannot verify tensor ${quote(name)}: ${what}`);
}

/**
 * One of the tensors that stand for a weight.
 *
 * @throws {BadInputError} The checkpoint does not hold it.
 */
export function findPart(
  original: TensorInfo,
  written: ReadonlyMap<string, StoredTensor>,
  name: string,
): StoredTensor {
  const what = name === original.name ? "no such tensor" : `neither it nor ${quote(name)}`;
  return written.get(name) ?? failVerify(original, `the checkpoint holds ${what}`);
}

/**
 * The dtype of the weight that codes stand for.
 *
 * @throws {BadInputError} It is no float.
 */
export function floatDtypeOf(original: TensorInfo): FloatDtype {
  const { dtype } = original;
  return isFloatDtype(dtype) ? dtype : failVerify(original, `it is ${dtype}`);
}

/**
 * Checks that a row of a weight is a whole number of blocks.
 *
 * @throws {BadInputError} It is not.
 */
export function checkBlocks(original: TensorInfo, blocks: number): void {
  const [, columns = 0] = original.shape;
  if (blocks !== 0 && columns % blocks === 0) return;
  failVerify(original, `its ${blocks} blocks do not divide ${columns} columns`);
}

/** A tensor as messages name it, and the dtype and shape it should have. */
export type ExpectedPart = readonly [
  part: string,
  stored: StoredTensor,
  dtype: string,
  shape: readonly number[],
];

/**
 * Checks the dtypes and shapes of tensors that stand for a weight.
 *
 * @throws {BadInputError} One has another.
 */
export function checkParts(original: TensorInfo, parts: readonly ExpectedPart[]): void {
  for (const [part, { tensor }, dtype, shape] of parts) {
    if (tensor.dtype === dtype && String(tensor.shape) === String(shape)) continue;
    const found = `${tensor.dtype} [${tensor.shape}]`;
    failVerify(original, `its ${part} is ${found}, expected ${dtype} [${shape}]`);
  }
}

/** Reads `count` values of a tensor of F32, F16 or BF16, from value `first` on. */
export async function readFloats(
  { tensor, place }: StoredTensor,
  first: number,
  count: number,
  files: PlaceReader,
): Promise<Float64Array> {
  const dtype = floatDtypeOf(tensor);
  const width = floatBytes(dtype);
  const bytes = new Uint8Array(count * width);
  await files.read(place, first * width, bytes);
  const values = new Float32Array(count);
  decodeFloats(bytes, dtype, values);
  return Float64Array.from(values);
}

/** Parameters of blocks that are symmetric about 0. */
export function centred(scale: Float64Array, bits: Bits): AffineParams {
  return { scale, offset: scale.map((scale) => -middleOf(bits) * scale) };
}
