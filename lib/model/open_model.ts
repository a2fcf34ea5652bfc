/** Opens a model directory: finds its weights, checks every header, the index and the config, reads no weight. */

import { basename, dirname, join } from "node:path";
import { BadInputError } from "../base/errors.ts";
import type { FileVersion } from "../base/file_version.ts";
import { escapeText, quote } from "../base/text.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import { feedBytes, JsonSyntaxError } from "../safetensors/json_feed.ts";
import { feedSource, type FileSource, openSource, readHeader } from "../safetensors/read.ts";
import { type JsonValue, scanJson, type ScanOptions } from "../safetensors/scan_json.ts";
import { listModelFiles, type ModelListing } from "./list_model_files.ts";

/** One weight file. */
export interface Shard {
  /** File name, without a directory. */
  name: string;
  /** Real or relative path to open. */
  path: string;
  /** Length in bytes. */
  byteLength: number;
  /** What the file was when it was opened; `checkUnchanged` compares it. */
  version: FileVersion;
  /** Its tensors, in the order of their data. */
  tensors: TensorInfo[];
  /** The header's `__metadata__`. */
  metadata: Map<string, string> | undefined;
}

/** The index of a sharded model. */
export interface ShardIndex {
  /** File name. */
  name: string;
  /** Its `metadata` entry; `total_size` is not checked, since many published ones are wrong. */
  metadata: Map<string, JsonValue>;
}

/** config.json. */
export interface ModelConfig {
  /** The file's text. */
  text: string;
  /** Its entries. */
  entries: Map<string, JsonValue>;
}

/** A model directory whose files have been checked. */
export interface Model {
  /** Name for reports: the directory's, or `owner/name` in a Hugging Face cache. */
  name: string;
  /** Real path. */
  directory: string;
  /** Weight files, in the order of their names. */
  shards: Shard[];
  /** `undefined` for a model in one file. */
  index: ShardIndex | undefined;
  /** `undefined` where there is no config.json. */
  config: ModelConfig | undefined;
  /** Files to be copied along, relative paths; without config.json and the index. */
  sideFiles: string[];
  /** Files not copied. */
  leftOut: string[];
}

/** Largest config.json read, in bytes: one that lists all modules of a large model has 1 MB. */
export const MAX_CONFIG_BYTES = 16_000_000;

/** Names tried in this order where a directory holds more than one weight file. */
const PREFERRED = ["model.safetensors", "diffusion_pytorch_model.safetensors"];

/**
 * Opens a model directory.
 *
 * @param path The directory, absolute or relative.
 * @throws {BadInputError} Anything about it is missing, malformed or leads outside; the message names the file.
 */
export function openModel(path: string): Model {
  return openListed(listModelFiles(path), path);
}

/** Opens a model directory whose files were listed, see {@linkcode openModel}. */
export function openListed(listing: ModelListing, path: string): Model {
  const config = readConfig(listing);
  const { names, index, weightMap } = chooseWeights(listing, path);
  const shards = names.map((name) => openShard(listing.directory, name));
  checkNames(shards, index, weightMap);
  return {
    name: modelName(listing.directory),
    directory: listing.directory,
    shards,
    index,
    config,
    sideFiles: listing.sideFiles.filter((name) => name !== "config.json"),
    leftOut: [
      ...listing.leftOut,
      ...listing.weightFiles.filter((name) => !names.includes(name)),
      ...listing.indexFiles.filter((name) => name !== index?.name),
    ],
  };
}

/**
 * Reads a small text file of a model.
 *
 * @throws {BadInputError} It cannot be read, or is no JSON.
 */
export function readJsonFile(directory: string, name: string): JsonValue {
  return readJson(directory, name);
}

/** The directory's name; for ROOT/models--[OWNER--]NAME/snapshots/REVISION[/PART] the model's own. */
export function modelName(directory: string): string {
  const cached = /(?:^|\/)models--([^/]+)\/snapshots\/[^/]+(\/.*)?$/.exec(directory);
  if (cached) return cached[1]!.replace("--", "/") + (cached[2] ?? "");
  return basename(directory) || basename(dirname(directory)) || "model";
}

function readConfig(listing: ModelListing): ModelConfig | undefined {
  if (!listing.sideFiles.includes("config.json")) return undefined;
  const name = "config.json";
  return withSource(listing.directory, name, (source) => {
    if (source.byteLength > MAX_CONFIG_BYTES) {
      throw new BadInputError(
        `Cannot read ${
          quote(name)
        }: ${source.byteLength} bytes, at most ${MAX_CONFIG_BYTES} are allowed`,
      );
    }
    const bytes = new Uint8Array(source.byteLength);
    source.readInto(0, bytes);
    const entries = scanJson(feedBytes(bytes), { allowNonFinite: true });
    if (!(entries instanceof Map)) {
      throw new BadInputError(`Cannot read ${quote(name)}: it is not a JSON object`);
    }
    return { text: new TextDecoder().decode(bytes), entries };
  });
}

/** Reads a JSON file; its size is limited by what it holds. */
function readJson(directory: string, name: string, options: ScanOptions = {}): JsonValue {
  return withSource(directory, name, (source) => scanJson(feedSource(source), options));
}

/** Opens a file of a model, and says of what is wrong with its JSON that it is this file's. */
function withSource<T>(directory: string, name: string, use: (source: FileSource) => T): T {
  const source = openSource(join(directory, name), name);
  try {
    return use(source);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    const what = `it is not valid JSON: ${escapeText(error.message)}`;
    throw new BadInputError(`Cannot read ${quote(name)}: ${what}`);
  } finally {
    source.close();
  }
}

interface Weights {
  names: string[];
  index: ShardIndex | undefined;
  weightMap: Map<string, string> | undefined;
}

function chooseWeights(listing: ModelListing, path: string): Weights {
  const { weightFiles, indexFiles } = listing;
  const single = (name: string): Weights => ({
    names: [name],
    index: undefined,
    weightMap: undefined,
  });
  const preferred = PREFERRED.find((name) => weightFiles.includes(name));
  if (preferred !== undefined) return single(preferred);
  const indexName = PREFERRED.map((name) => `${name}.index.json`)
    .find((name) => indexFiles.includes(name)) ?? indexFiles[0];
  if (indexName !== undefined) return readIndex(listing, indexName);
  if (weightFiles.length === 1) return single(weightFiles[0]!);
  if (weightFiles.length > 1) {
    throw new BadInputError(
      `Cannot tell which weights of ${
        quote(path)
      } to read: ${weightFiles.length} safetensors files ` +
        `(${weightFiles.slice(0, 3).map(quote).join(", ")}, …) and no model.safetensors.index.json`,
    );
  }
  throw new BadInputError(`No safetensors weights in ${quote(path)}${suggestPart(listing)}`);
}

/** What would have to be there instead. */
function suggestPart({ leftOut }: ModelListing): string {
  const nested = leftOut.find((name) => /^[^/]+\/[^/]+\.safetensors$/.test(name));
  if (nested !== undefined) {
    return `: there are some in ${
      quote(dirname(nested))
    }: give that directory, or a pipeline with its ` +
      "model_index.json";
  }
  const other = leftOut.find((name) => /\.(bin|pt|pth|ckpt|gguf)$/i.test(name));
  if (other !== undefined) return `: convert ${quote(other)} to safetensors first`;
  return ": expected model.safetensors, diffusion_pytorch_model.safetensors or shards with an index";
}

function readIndex(listing: ModelListing, name: string): Weights {
  const fail = (what: string): never => {
    throw new BadInputError(`Cannot read ${quote(name)}: ${what}`);
  };
  const value = readJson(listing.directory, name);
  if (!(value instanceof Map)) return fail("it is not a JSON object");
  const map = value.get("weight_map");
  if (!(map instanceof Map)) return fail('"weight_map" is not an object');
  const metadata = value.get("metadata") ?? new Map<string, JsonValue>();
  if (!(metadata instanceof Map)) return fail('"metadata" is not an object');
  const weightMap = new Map<string, string>();
  for (const [tensor, file] of map) {
    if (typeof file !== "string" || !isPlainName(file)) {
      return fail(
        `tensor ${quote(tensor)} is said to be in ${
          typeof file === "string" ? quote(file) : "something that is not a string"
        }: only the plain name of a *.safetensors file in the same directory is allowed`,
      );
    }
    weightMap.set(tensor, file);
  }
  const names = [...new Set(weightMap.values())].sort();
  if (names.length === 0) fail('"weight_map" is empty');
  for (const file of names) {
    if (!listing.weightFiles.includes(file)) {
      fail(`shard ${quote(file)} is missing from the directory: download it again`);
    }
  }
  return { names, index: { name, metadata }, weightMap };
}

/** A name that stays in the directory on every system. */
function isPlainName(name: string): boolean {
  // deno-lint-ignore no-control-regex -- NUL and other control characters are refused
  return /^[^./\\:\u0000-\u001f][^/\\:\u0000-\u001f]*\.safetensors$/.test(name);
}

/** Bytes of the weight files. */
export function modelBytes({ shards }: Model): number {
  return shards.reduce((size, { byteLength }) => size + byteLength, 0);
}

/** Elements of all tensors. */
export function countParameters({ shards }: Model): number {
  const sizes = shards.flatMap(({ tensors }) =>
    tensors.map(({ shape }) => shape.reduce((size, n) => size * n, 1))
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

function openShard(directory: string, name: string): Shard {
  const path = join(directory, name);
  const source = openSource(path, name);
  try {
    const { tensors, metadata } = readHeader(source, name);
    const { byteLength, version } = source;
    return { name, path, byteLength, version, tensors, metadata };
  } finally {
    source.close();
  }
}

/** Every tensor in one shard only, and the index and the shards agree on which. */
function checkNames(
  shards: Shard[],
  index: ShardIndex | undefined,
  weightMap: Map<string, string> | undefined,
): void {
  const home = new Map<string, string>();
  for (const shard of shards) {
    for (const { name } of shard.tensors) {
      const other = home.get(name);
      if (other !== undefined) {
        throw new BadInputError(
          `Cannot read the model: tensor ${quote(name)} is in two shards, ` +
            `${quote(other)} and ${quote(shard.name)}`,
        );
      }
      home.set(name, shard.name);
    }
  }
  if (index === undefined || weightMap === undefined) return;
  for (const [tensor, file] of weightMap) {
    if (home.get(tensor) === file) continue;
    throw new BadInputError(
      `Cannot read ${quote(index.name)}: tensor ${quote(tensor)} is not in ${quote(file)}, ` +
        `where the index puts it${home.has(tensor) ? `, but in ${quote(home.get(tensor)!)}` : ""}`,
    );
  }
  for (const [tensor, file] of home) {
    if (weightMap.has(tensor)) continue;
    throw new BadInputError(
      `Cannot read ${quote(index.name)}: tensor ${quote(tensor)} in ${
        quote(file)
      } is not listed: ` +
        "the index does not belong to these shards",
    );
  }
}
