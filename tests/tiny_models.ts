/** Model directories of one or two tiny tensors, whole or in shards. */

import { encodeFile, matrix } from "./make_model.ts";

/** Files by their path. */
export type Files = Record<string, Uint8Array | string>;

/** A weight file with these tensors, each an F32 of [1, 1]. */
export function weights(...names: string[]): Uint8Array {
  return encodeFile(names.map((name) => matrix(name, 1, 1, () => 1)));
}

/** Name of the index. */
export const INDEX = "model.safetensors.index.json";

/** The text of an index. */
export function index(weight_map: unknown, more: Record<string, unknown> = {}): string {
  return JSON.stringify({ metadata: { total_size: 8 }, weight_map, ...more });
}

/** Two shards and their index; `files` adds to them or replaces some. */
export function sharded(files: Files = {}): Files {
  return {
    "config.json": "{}",
    "model-1.safetensors": weights("a"),
    "model-2.safetensors": weights("b"),
    [INDEX]: index({ a: "model-1.safetensors", b: "model-2.safetensors" }),
    ...files,
  };
}
