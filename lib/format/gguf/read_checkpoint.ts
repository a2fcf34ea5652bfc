/** Reads GGUF checkpoints back. */

import { join } from "node:path";
import { BadInputError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import type { ModelListing } from "../../model/list_model_files.ts";
import { modelName, readJsonFile } from "../../model/open_model.ts";
import { moduleName } from "../../plan/plan_layer.ts";
import { isFloatDtype } from "../../safetensors/dtype.ts";
import { openSource } from "../../safetensors/read.ts";
import type { Checkpoint, StoredTensor } from "../checkpoint_format.ts";
import { failVerify, floatDtypeOf } from "../read_tensors.ts";
import { BLOCK_TYPES, isBlockType } from "./block_types.ts";
import { nameTensors } from "./name_tensors.ts";
import { readGgufHeader } from "./read_header.ts";
import { type Architecture, ARCHITECTURES } from "./recognize_architecture.ts";
import { tensorLayout } from "./tensor_types.ts";

/** The GGUF file of a directory, where it is its only weights. */
export function findGguf({ weightFiles, leftOut }: ModelListing): string | undefined {
  if (weightFiles.length > 0) return undefined;
  const [name, other] = leftOut.filter((name) => /^[^/]+\.gguf$/.test(name));
  return other === undefined ? name : undefined;
}

/**
 * Opens a checkpoint.
 *
 * @param name The GGUF file.
 * @throws {BadInputError} It is malformed, or of an architecture that Isotherm does not write.
 */
export function readCheckpoint({ directory, sideFiles }: ModelListing, name: string): Checkpoint {
  const path = join(directory, name);
  const source = openSource(path, name);
  const { metadata, tensors: found } = ((): ReturnType<typeof readGgufHeader> => {
    try {
      return readGgufHeader(source, name);
    } finally {
      source.close();
    }
  })();
  const architecture = readArchitecture(metadata.get("general.architecture"), name);
  const config = sideFiles.includes("config.json") ? readJsonFile(directory, "config.json") : null;
  const entries = config instanceof Map ? config : undefined;
  const tensors = new Map(found.map(({ name: own, type, shape, begin, end }) => {
    const tensor = { name: own, dtype: tensorLayout(type)!.name, shape, begin, end };
    return [own, { tensor, place: { path, label: name, begin } }];
  }));
  const targetOf = (original: string) =>
    nameTensors(architecture, [original], entries).get(original)!;
  return {
    name: modelName(directory),
    format: "gguf",
    byteLength: source.byteLength,
    tensors,
    partsOf: (original) => [targetOf(original).name],
    find(original) {
      const { name: own, headRows } = targetOf(original.name);
      const stored: StoredTensor = tensors.get(own) ??
        failVerify(original, `the checkpoint holds no ${quote(own)}`);
      const { dtype, shape } = stored.tensor;
      const packing = dtype.toLowerCase();
      const { dtype: source } = original;
      if (!isBlockType(packing)) {
        const isWide = dtype === "F32" && isFloatDtype(source) && source !== "F32";
        return { copy: stored, headRows, widen: isWide ? source : undefined };
      }
      const [rows = 0, columns = 0] = original.shape;
      if (String(shape) !== String(original.shape)) {
        failVerify(original, `it is ${dtype} [${shape}], expected [${original.shape}]`);
      }
      const layer = {
        name: moduleName(original.name),
        bits: BLOCK_TYPES[packing].bits,
        dtype: floatDtypeOf(original),
        rows,
        columns,
        blocks: 1,
        codes: stored.place,
        label: name,
        packing,
        headRows,
      };
      return { layer };
    },
  };
}

function readArchitecture(value: unknown, file: string): Architecture {
  const found = ARCHITECTURES.find((name) => name === value);
  if (found !== undefined) return found;
  throw new BadInputError(
    `Cannot verify ${quote(file)}: its architecture is ${
      typeof value === "string" ? quote(value) : "no text"
    }, ` +
      `expected one of ${ARCHITECTURES.join(" ")}`,
  );
}
