/** Reads SDNQ checkpoints back. */

import type { Model } from "../../model/open_model.ts";
import { isFloatDtype } from "../../safetensors/dtype.ts";
import type { TensorInfo } from "../../safetensors/header.ts";
import type { Bits } from "../../types.ts";
import type { Checkpoint, PlaceReader, StoredTensor, WrittenLayer } from "../checkpoint_format.ts";
import { checkParts, failVerify, findPart, placeTensors, readFloats } from "../read_tensors.ts";
import { sdnqNames, shapeOfCodes, shapeOfParams } from "./layer_tensors.ts";

/** Opens a checkpoint; the widths of its layers follow from the sizes of their tensors. */
export function readCheckpoint(model: Model): Checkpoint {
  const tensors = placeTensors(model);
  return {
    name: model.name,
    format: "sdnq",
    byteLength: model.shards.reduce((size, { byteLength }) => size + byteLength, 0),
    tensors,
    partsOf(original) {
      const names = sdnqNames(original.replace(/\.weight$/, ""));
      const dtype = tensors.get(original)?.tensor.dtype;
      if (!original.endsWith(".weight") || (dtype !== "U8" && dtype !== "I8")) return [original];
      return [original, names.scale, ...dtype === "U8" ? [names.zeroPoint] : []];
    },
    find(original) {
      const copy = findPart(original, tensors, original.name);
      const isCopy = copy.tensor.dtype === original.dtype;
      return isCopy ? { copy } : { layer: findLayer(original, copy, tensors) };
    },
  };
}

/** The tensors that stand for a weight, checked against it and each other. */
function findLayer(
  original: TensorInfo,
  codes: StoredTensor,
  written: ReadonlyMap<string, StoredTensor>,
): WrittenLayer {
  const name = original.name.replace(/\.weight$/, "");
  const names = sdnqNames(name);
  const [rows = 0, columns = 0] = original.shape;
  const isSigned = codes.tensor.dtype === "I8";
  const scale = findPart(original, written, names.scale);
  const zeroPoint = isSigned ? undefined : findPart(original, written, names.zeroPoint);
  const blocks = scale.tensor.shape.length === 2 ? 1 : scale.tensor.shape[1] ?? 0;
  const bits = isSigned ? 8 : widthOf(original, codes);
  const { dtype } = original;
  if (!isFloatDtype(dtype)) return failVerify(original, `it is ${dtype}`);
  if (blocks === 0 || columns % blocks !== 0) {
    failVerify(original, `its ${blocks} blocks do not divide ${columns} columns`);
  }
  const shape = shapeOfParams(rows, blocks);
  checkParts(original, [
    ["weight", codes, isSigned ? "I8" : "U8", shapeOfCodes({ rows, columns, bits }, blocks)],
    ["scale", scale, original.dtype, shape],
    ...zeroPoint === undefined ? [] : [["zero_point", zeroPoint, "F32", shape] as const],
  ]);
  const readParams = async (from: number, count: number, files: PlaceReader) => {
    const scales = await readFloats(scale, from * blocks, count * blocks, files);
    const offset = zeroPoint === undefined
      ? scales.map((scale) => -128 * scale)
      : await readFloats(zeroPoint, from * blocks, count * blocks, files);
    return { scale: scales, offset };
  };
  const { label } = scale.place;
  const packing = isSigned ? "signed" : "bytes";
  return {
    name,
    bits,
    dtype,
    rows,
    columns,
    blocks,
    codes: codes.place,
    label,
    packing,
    readParams,
  };
}

/** The width of unsigned codes, by how many of them share a byte. */
function widthOf(original: TensorInfo, { tensor }: StoredTensor): Bits {
  const [rows = 0, columns = 0] = original.shape;
  const bits = ((tensor.end - tensor.begin) * 8) / (rows * columns);
  if (bits === 2 || bits === 4) return bits;
  return failVerify(
    original,
    `its codes are ${tensor.dtype} [${tensor.shape}], of 2 or 4 bits none`,
  );
}
