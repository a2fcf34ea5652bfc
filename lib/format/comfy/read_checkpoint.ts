/** Reads checkpoints in ComfyUI's formats back. */

import { quote } from "../../base/text.ts";
import { type Model, modelBytes } from "../../model/open_model.ts";
import { moduleName } from "../../plan/plan_layer.ts";
import type { TensorInfo } from "../../safetensors/header.ts";
import { type Bits, middleOf } from "../../types.ts";
import type { Checkpoint, PlaceReader, StoredTensor, WrittenLayer } from "../checkpoint_format.ts";
import {
  checkBlocks,
  checkParts,
  failVerify,
  findPart,
  floatDtypeOf,
  placeTensors,
  readFloats,
} from "../read_tensors.ts";
import { comfyNames, describeQuant } from "./layer_tensors.ts";

/** Opens a checkpoint; the widths of its layers follow from the sizes of their tensors. */
export function readCheckpoint(model: Model): Checkpoint {
  const tensors = placeTensors(model);
  return {
    name: model.name,
    format: "comfy",
    byteLength: modelBytes(model),
    tensors,
    partsOf(original) {
      const names = comfyNames(moduleName(original));
      if (!original.endsWith(".weight") || !tensors.has(names.quant)) return [original];
      return [original, names.scale, names.zeros, names.quant];
    },
    find(original) {
      const found = findPart(original, tensors, original.name);
      const isLayer = tensors.has(comfyNames(moduleName(original.name)).quant);
      return isLayer ? { layer: findLayer(original, found, tensors) } : { copy: found };
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
  const names = comfyNames(name);
  const [rows = 0, columns = 0] = original.shape;
  const scale = findPart(original, written, names.scale);
  const zeros = written.get(names.zeros);
  const bits: Bits = zeros === undefined ? 8 : 4;
  const [blocks = 0] = zeros === undefined ? [1] : scale.tensor.shape;
  const dtype = floatDtypeOf(original);
  checkBlocks(original, blocks);
  const quant = findPart(original, written, names.quant);
  const text = describeQuant(bits, columns / blocks);
  checkParts(original, [
    ["weight", codes, "I8", [rows, (columns * bits) / 8]],
    ["comfy_quant", quant, "U8", [text.length]],
    ...zeros === undefined ? [["weight_scale", scale, "F32", [rows, 1]] as const] : [
      ["weight_scale", scale, "BF16", [blocks, rows]] as const,
      ["weight_zeros", zeros, "BF16", [blocks, rows]] as const,
    ],
  ]);
  const readParams = async (from: number, count: number, files: PlaceReader) => {
    const params = {
      scale: new Float64Array(count * blocks),
      offset: new Float64Array(count * blocks),
    };
    for (let block = 0; block < blocks; block++) {
      const scales = await readFloats(scale, block * rows + from, count, files);
      const middles = zeros && await readFloats(zeros, block * rows + from, count, files);
      for (let row = 0; row < count; row++) {
        const at = row * blocks + block;
        params.scale[at] = scales[row]!;
        params.offset[at] = (middles?.[row] ?? 0) - middleOf(bits) * scales[row]!;
      }
    }
    return params;
  };
  const check = async (files: PlaceReader) => {
    const bytes = new Uint8Array(text.length);
    await files.read(quant.place, 0, bytes);
    const found = new TextDecoder().decode(bytes);
    if (found !== text) {
      failVerify(original, `its comfy_quant is ${quote(found)}, expected ${text}`);
    }
  };
  const { label } = scale.place;
  const packing = bits === 8 ? "signed" : "bytes";
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
    check,
  };
}
