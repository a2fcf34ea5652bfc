/** What a checkpoint format is: what it can store, which files it writes, and how they are read back. */

import type { LayerPlan, LayerStorage } from "../plan/plan_layer.ts";
import type { Selection } from "../plan/select_layers.ts";
import type { Model } from "../model/open_model.ts";
import type { FloatDtype, NarrowDtype } from "../safetensors/dtype.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import type { Bits, FilePlace, FormatName, LayerParams } from "../types.ts";
import type { AffineParams, Packing } from "./pack_rows.ts";

/** Bytes of one of a layer's tensors. */
export interface TensorPart {
  /** Which of them: the first is that of the codes. */
  tensor: number;
  /** First byte of the part in it. */
  offset: number;
  /** The part. */
  bytes: Uint8Array;
}

/** How the rows of a tensor are stored. */
export interface RowOrder {
  /**
   * Rows of an attention head, whose two halves are stored by turns: row j of the second half follows
   * row j of the first. Absent: rows are stored in their own order.
   */
  headRows?: number | undefined;
}

/** The tensors that stand for a layer's weight in a file. */
export interface StoredLayer extends RowOrder {
  /** The layer. */
  layer: LayerPlan;
  /** First byte of each of its tensors in the file, that of its codes first: a name takes more memory. */
  begins: readonly number[];
  /** How they are laid out. */
  packing: Packing;
  /** Bytes of all its tensors. */
  byteLength: number;
}

/** A tensor that is written as it is, but for its name, dtype and order of rows. */
export interface StoredCopy extends RowOrder {
  /** The source tensor. */
  tensor: TensorInfo;
  /** Name of the shard that holds it. */
  shard: string;
  /** Its first byte in the file. */
  begin: number;
  /** The source's dtype, where it is written as F32 instead. */
  widen?: NarrowDtype | undefined;
}

/** A file of weights to be written. */
export interface FilePlan {
  /** File name. */
  name: string;
  /** What it begins with. */
  head: Uint8Array<ArrayBuffer>;
  /** Its length. */
  byteLength: number;
  /** Layers whose codes go here. */
  layers: StoredLayer[];
  /** Everything else. */
  copies: StoredCopy[];
  /** Names of all tensors, where an index lists them. */
  tensorNames: string[] | undefined;
}

/** A checkpoint to be written. */
export interface CheckpointPlan {
  /** Weight files. */
  files: FilePlan[];
  /** The `quantization_config` of config.json; `undefined`: config.json stays as it is. */
  quantization: Record<string, unknown> | undefined;
  /** Whether the files are the source's own, so that its index goes along. */
  keepsShards: boolean;
}

/** A tensor and where it lies. */
export interface StoredTensor {
  /** Name, dtype and shape. */
  tensor: TensorInfo;
  /** Its first byte. */
  place: FilePlace;
}

/** Reads from places in files. */
export interface PlaceReader {
  /** Fills `out` from byte `offset` behind a place on. */
  read(place: FilePlace, offset: number, out: Uint8Array): Promise<void> | void;
}

/** What stands for a weight in a written checkpoint, checked against it and itself. */
export interface WrittenLayer extends RowOrder {
  /** Module name. */
  name: string;
  /** Width of a code. */
  bits: Bits;
  /** Dtype of the weights it stands for. */
  dtype: FloatDtype;
  /** Output features. */
  rows: number;
  /** Input features. */
  columns: number;
  /** Blocks side by side in a row that have parameters of their own. */
  blocks: number;
  /** First byte of the codes. */
  codes: FilePlace;
  /** File of its scales, for messages. */
  label: string;
  /** How they are laid out. */
  packing: Packing;
  /** The parameters of some rows, [count * blocks] row by row; absent where they lie among the codes. */
  readParams?: (from: number, count: number, files: PlaceReader) => Promise<AffineParams>;
  /** Checks what it says of itself beside that, and throws a `BadInputError` where that is wrong. */
  check?: (files: PlaceReader) => Promise<void>;
}

/** A tensor of a written checkpoint that holds the values of the model's. */
export interface WrittenCopy extends RowOrder {
  /** The tensor. */
  copy: StoredTensor;
  /** The model's dtype, where this one is F32 instead. */
  widen?: NarrowDtype | undefined;
}

/** A checkpoint directory as it is read back. */
export interface Checkpoint {
  /** Name for messages. */
  name: string;
  /** Its format. */
  format: FormatName;
  /** Bytes of its weight files. */
  byteLength: number;
  /** Its tensors, in the order of the files. */
  tensors: ReadonlyMap<string, StoredTensor>;
  /**
   * What stands for a tensor of the model.
   *
   * @throws {BadInputError} Nothing does, or its parts do not fit it or each other.
   */
  find(original: TensorInfo): { layer: WrittenLayer } | WrittenCopy;
  /** Names of its tensors that stand for one of the model's, by that one's name. */
  partsOf(original: string): readonly string[];
}

/** A checkpoint format. */
export interface CheckpointFormat {
  /** What it can store. */
  storage: LayerStorage;
  /**
   * Plans the files of a checkpoint.
   *
   * @throws {BadInputError} The model is none that the format can hold.
   */
  plan(model: Model, selection: Selection): CheckpointPlan;
  /** What of a layer's tensors does not depend on its weights. */
  encodeConstants(layer: LayerPlan): TensorPart[];
  /**
   * The tensors of parameters, part by part, of all rows of a layer or of some that begin where a word
   * of packed zero points does.
   *
   * @param most Parameters expanded at a time, about.
   */
  encodeParams(layer: LayerPlan, params: LayerParams, most?: number): Iterable<TensorPart>;
}
