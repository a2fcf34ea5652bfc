/** Opens a checkpoint that was written, whatever its format. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { listModelFiles } from "../model/list_model_files.ts";
import { type Model, openListed } from "../model/open_model.ts";
import type { Checkpoint } from "./checkpoint_format.ts";
import { readCheckpoint as readComfy } from "./comfy/read_checkpoint.ts";
import { readCheckpoint as readCompressedTensors } from "./compressed_tensors/read_checkpoint.ts";
import { findGguf, readCheckpoint as readGguf } from "./gguf/read_checkpoint.ts";
import { readCheckpoint as readSdnq } from "./sdnq/read_checkpoint.ts";

/** What reads each format, by what config.json calls it. */
const READERS = new Map([
  ["compressed-tensors", readCompressedTensors],
  ["sdnq", readSdnq],
]);

/** What config.json says of how a model is quantized; `undefined`: nothing. */
function methodOf({ config }: Model): string | undefined {
  const quantization = config?.entries.get("quantization_config");
  if (!(quantization instanceof Map)) return undefined;
  const method = quantization.get("quant_method");
  return typeof method === "string" ? method : "";
}

/** Whether a model holds layers as ComfyUI reads them. */
function isComfy({ shards }: Model): boolean {
  return shards.some(({ tensors }) => tensors.some(({ name }) => name.endsWith(".comfy_quant")));
}

/**
 * Whether a directory holds a checkpoint, and not a model as it was trained.
 *
 * @throws {BadInputError} It holds neither.
 */
export function isCheckpoint(path: string): boolean {
  const listing = listModelFiles(path);
  if (findGguf(listing) !== undefined) return true;
  const model = openListed(listing, path);
  return methodOf(model) !== undefined || isComfy(model);
}

/**
 * Opens a checkpoint.
 *
 * @param path Its directory.
 * @throws {BadInputError} It is in no format that Isotherm writes, or malformed.
 */
export function openCheckpoint(path: string): Checkpoint {
  const listing = listModelFiles(path);
  const gguf = findGguf(listing);
  if (gguf !== undefined) return readGguf(listing, gguf);
  const model = openListed(listing, path);
  const method = methodOf(model);
  const read = method === undefined ? undefined : READERS.get(method);
  if (read !== undefined) return read(model);
  if (method === undefined && isComfy(model)) return readComfy(model);
  const what = method === undefined
    ? "its config.json has no quantization_config"
    : `the quant_method in its config.json is ${quote(method)}, expected ${
      [...READERS.keys()].join(" or ")
    }`;
  throw new BadInputError(`Cannot verify ${quote(model.name)}: ${what}`);
}
