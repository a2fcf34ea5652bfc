/** Lists a model directory: which files hold weights, which go along, and that no link leaves it. */

import { basename, dirname, join, sep } from "node:path";
import { describeIoError, isMissing } from "../base/describe_io_error.ts";
import { type DirectoryEntry, disk, type FileInfo } from "../base/disk.ts";
import { BadInputError } from "../base/errors.ts";
import { type FileVersion, versionOf } from "../base/file_version.ts";
import { countNouns, quote } from "../base/text.ts";

/** What a model directory holds. */
export interface ModelListing {
  /** The directory's real path. */
  directory: string;
  /** Names of the `*.safetensors` files at its top level, sorted. */
  weightFiles: string[];
  /** Names of the `*.safetensors.index.json` files at its top level, sorted. */
  indexFiles: string[];
  /** Paths, relative to the directory and sorted, of the files to be copied along. */
  sideFiles: string[];
  /** Paths of what is not copied: weights in another format, links to directories, special files. */
  leftOut: string[];
  /** Those of them that are no files: opening one might never end. */
  special: string[];
  /** What each file was when it was listed, by its path. */
  versions: Map<string, FileVersion>;
}

/** Weights in other formats: their values would contradict the quantized ones, and they are large. */
const OTHER_WEIGHTS =
  /\.(safetensors|bin|pt|pth|ckpt|h5|msgpack|onnx|onnx_data|gguf|ggml|npz|npy|pb|tflite|ot|mlmodel|pkl|pickle)$/i;

/** Indexes of weights that are not copied, such as `NAME.safetensors.index.fp16.json` of diffusers. */
const OTHER_INDEX = /\.index(\.[^./]+)?\.json$/i;

/**
 * Lists a model directory.
 *
 * @throws {BadInputError} It does not exist, is not a directory, or a file in it links out of it.
 */
export function listModelFiles(path: string): ModelListing {
  const directory = resolveDirectory(path);
  const listing: ModelListing = {
    directory,
    weightFiles: [],
    indexFiles: [],
    sideFiles: [],
    leftOut: [],
    special: [],
    versions: new Map(),
  };
  walk("");
  for (const list of [listing.weightFiles, listing.indexFiles, listing.sideFiles]) list.sort();
  listing.leftOut.sort();
  return listing;

  function walk(folder: string): void {
    for (const entry of readDirectory(join(directory, folder), path)) {
      if (entry.name.startsWith(".")) continue;
      const relative = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory) {
        walk(relative);
      } else {
        place(relative, folder === "", entry.isSymlink);
      }
    }
  }

  function place(relative: string, top: boolean, isLink: boolean): void {
    const real = isLink ? followLink(directory, relative) : join(directory, relative);
    const info = lookAt(real, relative);
    if (info.isFile) listing.versions.set(relative, versionOf(info));
    if (!info.isFile) {
      // Not opened, so a FIFO cannot hang the run; named as weights it is an error later on.
      if (top && relative.endsWith(".safetensors")) listing.weightFiles.push(relative);
      else listing.leftOut.push(relative);
      listing.special.push(relative);
    } else if (top && relative.endsWith(".safetensors")) {
      listing.weightFiles.push(relative);
    } else if (top && relative.endsWith(".safetensors.index.json")) {
      listing.indexFiles.push(relative);
    } else if (OTHER_WEIGHTS.test(relative) || OTHER_INDEX.test(relative)) {
      listing.leftOut.push(relative);
    } else {
      listing.sideFiles.push(relative);
    }
  }
}

function resolveDirectory(path: string): string {
  const hint =
    "a model directory holds config.json and model.safetensors, or shards with model.safetensors.index.json";
  try {
    const real = disk.realPathSync(path);
    if (disk.statSync(real).isDirectory) return real;
  } catch (error) {
    const reason = isMissing(error) ? "" : `: ${describeIoError(error)}`;
    throw new BadInputError(`Model not found: ${quote(path)}${reason}: ${hint}`);
  }
  throw new BadInputError(`Model is not a directory: ${quote(path)}: give its directory: ${hint}`);
}

/**
 * What a directory holds. It is read twice, since Deno 2.9.6 ends a list where the disk fails and says
 * nothing: a failure that comes and goes is noticed so.
 */
function readDirectory(path: string, label: string): DirectoryEntry[] {
  const read = () => {
    try {
      return disk.readDirSync(path).toSorted((a, b) => (a.name < b.name ? -1 : 1));
    } catch (error) {
      throw new BadInputError(`Cannot list ${quote(label)}: ${describeIoError(error)}`);
    }
  };
  const [entries, again] = [read(), read()];
  const isSame = entries.length === again.length &&
    entries.every(({ name }, i) => name === again[i]!.name);
  if (isSame) return entries;
  throw new BadInputError(
    `Cannot list ${quote(label)}: ${countNouns(entries.length, "name")} were found, then ` +
      `${again.length}: it changes, or the device fails: run again when it is complete`,
  );
}

function lookAt(path: string, label: string): FileInfo {
  try {
    return disk.lstatSync(path);
  } catch (error) {
    throw new BadInputError(`Cannot read ${quote(label)}: ${describeIoError(error)}`);
  }
}

/**
 * The real path of a file, if it stays in the model or is in the Hugging Face cache that the model is in.
 *
 * @param directory Real path of the model.
 * @throws {BadInputError} It is gone, or leads elsewhere.
 */
export function followLink(directory: string, relative: string): string {
  let real: string;
  try {
    real = disk.realPathSync(join(directory, relative));
  } catch (error) {
    if (isMissing(error) && isGone(join(directory, relative))) {
      throw new BadInputError(
        `Cannot read ${
          quote(relative)
        }: it is gone since the run began: run again when it is complete`,
      );
    }
    throw new BadInputError(
      `Cannot follow the link ${quote(relative)} in the model directory: ${describeIoError(error)}`,
    );
  }
  const stays = real === directory || real.startsWith(directory + sep);
  if (stays || isCacheBlob(directory, real)) return real;
  throw new BadInputError(
    `Refused to follow ${quote(relative)}: the link leaves the model directory: ` +
      "replace it with the file itself",
  );
}

/** Whether nothing has this name, not even a link that leads nowhere. */
function isGone(path: string): boolean {
  try {
    disk.lstatSync(path);
    return false;
  } catch (error) {
    return isMissing(error);
  }
}

/** Hugging Face cache layout: ROOT/snapshots/REVISION/... links to ROOT/blobs/HASH. */
function isCacheBlob(directory: string, real: string): boolean {
  const blobs = dirname(real);
  if (basename(blobs) !== "blobs" || !/^[0-9a-f]{40,64}$/.test(basename(real))) return false;
  return directory.startsWith(join(dirname(blobs), "snapshots") + sep);
}
