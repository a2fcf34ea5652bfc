/** Reads SDNQ checkpoints back. */

import { type Model, modelBytes } from "../../model/open_model.ts";
import { moduleName } from "../../plan/plan_layer.ts";
import type { TensorInfo } from "../../safetensors/header.ts";
import type { Bits } from "../../types.ts";
import type { Checkpoint, PlaceReader, StoredTensor, WrittenLayer } from "../checkpoint_format.ts";
import {
  centred,
  checkBlocks,
  checkParts,
  failVerify,
  findPart,
  floatDtypeOf,
  placeTensors,
  readFloats,
} from "../read_tensors.ts";
import { readQuantization } from "./read_quantization.ts";
import { sdnqNames, shapeOfCodes, shapeOfParams } from "./layer_tensors.ts";

/** Opens a checkpoint; the widths of its layers follow from the sizes of their tensors, and config.json has to agree. */
export function readCheckpoint(model: Model): Checkpoint {
  const tensors = placeTensors(model);
  const quantization = readQuantization(model);
  return {
    name: model.name,
    format: "sdnq",
    byteLength: modelBytes(model),
    tensors,
    partsOf(original) {
      const names = sdnqNames(moduleName(original));
      const dtype = tensors.get(original)?.tensor.dtype;
      if (!original.endsWith(".weight") || (dtype !== "U8" && dtype !== "I8")) return [original];
      return [original, names.scale, ...dtype === "U8" ? [names.zeroPoint] : []];
    },
    find(original) {
      const copy = findPart(original, tensors, original.name);
      if (copy.tensor.dtype === original.dtype) {
        quantization.checkCopy(original);
        return { copy };
      }
      const layer = findLayer(original, copy, tensors);
      quantization.checkLayer(original, layer.bits, layer.blocks);
      return { layer };
    },
  };
}

/** The tensors that stand for a weight, checked against it and each other. */
function findLayer(
  original: TensorInfo,
  codes: StoredTensor,
  written: ReadonlyMap<string, StoredTensor>,
): WrittenLayer {
  const name = moduleName(original.name);
  const names = sdnqNames(name);
  const [rows = 0, columns = 0] = original.shape;
  const isSigned = codes.tensor.dtype === "I8";
  const scale = findPart(original, written, names.scale);
  const zeroPoint = isSigned ? undefined : findPart(original, written, names.zeroPoint);
  const blocks = scale.tensor.shape.length === 2 ? 1 : scale.tensor.shape[1] ?? 0;
  const bits = isSigned ? 8 : widthOf(original, codes);
  const dtype = floatDtypeOf(original);
  checkBlocks(original, blocks);
  const shape = shapeOfParams(rows, blocks);
  checkParts(original, [
    ["weight", codes, isSigned ? "I8" : "U8", shapeOfCodes({ rows, columns, bits }, blocks)],
    ["scale", scale, original.dtype, shape],
    ...zeroPoint === undefined ? [] : [["zero_point", zeroPoint, "F32", shape] as const],
  ]);
  const readParams = async (from: number, count: number, files: PlaceReader) => {
    const scales = await readFloats(scale, from * blocks, count * blocks, files);
    if (zeroPoint === undefined) return centred(scales, bits);
    const offset = await readFloats(zeroPoint, from * blocks, count * blocks, files);
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
