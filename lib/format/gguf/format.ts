/** GGUF: what diffusers, ComfyUI-GGUF and stable-diffusion.cpp read, and llama.cpp of language models. */

import { BadInputError } from "../../base/errors.ts";
import { cutToBytes, quote } from "../../base/text.ts";
import { type Model, readJsonFile } from "../../model/open_model.ts";
import type { LayerPlan } from "../../plan/plan_layer.ts";
import { isFloatDtype, type NarrowDtype } from "../../safetensors/dtype.ts";
import type { TensorInfo } from "../../safetensors/header.ts";
import { startClaims } from "../claim_names.ts";
import type { CheckpointFormat, FilePlan, StoredCopy } from "../checkpoint_format.ts";
import { fixPlaces, type PlacedLayer } from "../plan_shards.ts";
import { BLOCK_TYPES, blockBytes, type BlockType } from "./block_types.ts";
import { describeModel } from "./describe_model.ts";
import { encodeGgufHeader, GGML_LIMITS, type NewGgufTensor } from "./encode_header.ts";
import { nameTensors } from "./name_tensors.ts";
import {
  type Architecture,
  ARCHITECTURES,
  isLanguage,
  recognizeArchitecture,
} from "./recognize_architecture.ts";
import { F32_TYPE, plainTensorType } from "./tensor_types.ts";

/** Columns of the blocks of Q4_1 and Q8_0, and of those of the K-quants. */
const [SMALL, LARGE] = [BLOCK_TYPES.q4_1.columns, BLOCK_TYPES.q4_k.columns];

/** The format. */
export const GGUF: CheckpointFormat = {
  storage: {
    scaleDtype: () => "F16",
    isSymmetric: (bits, asked) => bits === 8 || asked,
    holds: (bits, blockColumns) =>
      (bits !== 2 && blockColumns === SMALL) || (bits !== 8 && blockColumns % LARGE === 0),
  },
  plan: (model, { layers }) => ({
    files: [planFile(model, layers)],
    quantization: undefined,
    keepsShards: false,
  }),
  encodeConstants: () => [],
  // They lie in the blocks.
  encodeParams: () => [],
};

/** The block layout of a layer. */
function blockTypeOf({ bits, grid: { blockColumns } }: LayerPlan): BlockType {
  if (bits === 8) return "q8_0";
  if (bits === 2) return "q2_k";
  return blockColumns % LARGE === 0 ? "q4_k" : "q4_1";
}

/** The one file, which has the tensors of all shards. */
function planFile(model: Model, layers: readonly LayerPlan[]): FilePlan {
  const tensors = model.shards.flatMap(({ name: shard, tensors }) =>
    tensors.map((tensor) => ({ shard, tensor }))
  );
  const names = tensors.map(({ tensor }) => tensor.name);
  const config = model.config?.entries;
  const architecture = recognizeArchitecture(config, names) ?? refuseArchitecture(model);
  const targets = nameTensors(architecture, names, config);
  const byTensor = new Map(layers.map((layer) => [layer.tensor.name, layer]));
  const own: PlacedLayer[] = [];
  const copies: StoredCopy[] = [];
  const { claim } = startClaims("rename one of them, or give another --format");
  const written = tensors.map(({ shard, tensor }, at): NewGgufTensor => {
    const { name, headRows } = targets.get(tensor.name)!;
    const layer = byTensor.get(tensor.name);
    claim(name, { tensor: tensor.name, shard });
    if (layer === undefined) {
      const { type, widen, byteLength } = planCopy(tensor);
      copies.push({ tensor, shard, begin: at, headRows, widen });
      return { name, shape: tensor.shape, type, byteLength };
    }
    const packing = blockTypeOf(layer);
    const byteLength = blockBytes(packing, layer.rows, layer.columns);
    own.push({ layer, begins: [at], packing, headRows, byteLength });
    return { name, shape: tensor.shape, type: BLOCK_TYPES[packing].type, byteLength };
  });
  const pairs = describeModel({
    architecture,
    config,
    tokenizer: readTokenizer(model, architecture),
  });
  const limits = isLanguage(architecture) ? GGML_LIMITS : undefined;
  const { bytes, begins, byteLength } = encodeGgufHeader(pairs, written, limits);
  return {
    name: fileName(model),
    head: bytes,
    byteLength,
    ...fixPlaces(own, copies, begins),
    tensorNames: undefined,
  };
}

/** Longest file name, in bytes, on the file systems in use. */
const MAX_NAME_BYTES = 255;

/** The model's own name, since a reader of GGUF shows it. */
function fileName({ name }: Model): string {
  const ending = ".gguf";
  const own = name.slice(name.lastIndexOf("/") + 1);
  return `${cutToBytes(own, MAX_NAME_BYTES - ending.length)}${ending}`;
}

function refuseArchitecture({ name }: Model): never {
  throw new BadInputError(
    `Cannot write ${quote(name)} as GGUF: its architecture is none of ${
      ARCHITECTURES.join(", ")
    }: ` +
      "give --format sdnq, or compressed-tensors for a language model",
  );
}

/** How a tensor is written that is not quantized. */
function planCopy(
  tensor: TensorInfo,
): { type: number; widen: NarrowDtype | undefined; byteLength: number } {
  const { dtype, begin, end } = tensor;
  const type = plainTensorType(tensor);
  const isWide = type === F32_TYPE && isFloatDtype(dtype) && dtype !== "F32";
  return {
    type,
    widen: isWide ? dtype : undefined,
    byteLength: (end - begin) * (isWide ? 2 : 1),
  };
}

function readTokenizer({ directory, sideFiles }: Model, architecture: Architecture) {
  const name = "tokenizer.json";
  if (!isLanguage(architecture) || !sideFiles.includes(name)) return undefined;
  return readJsonFile(directory, name);
}
