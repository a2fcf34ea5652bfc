/** Takes over the files that go along with a model: tokenizer, remote code, licence, other components. */

import { dirname, join } from "node:path";
import { describeIoError } from "../base/describe_io_error.ts";
import { disk } from "../base/disk.ts";
import { BadInputError } from "../base/errors.ts";
import { isSameFile } from "../base/file_version.ts";
import { quote } from "../base/text.ts";
import { followLink } from "../model/list_model_files.ts";
import { type ListedFile, type OpenListedFile, openListedFile } from "../model/open_listed_file.ts";
import type { Source } from "../model/open_pipeline.ts";
import { createSink, makeDirectory, type NewFile } from "../safetensors/write.ts";

/** Called with the file at work and bytes copied; may wait, or throw to stop the run. */
type OnCopied = (name: string, bytes: number) => Promise<void>;

/** Bytes of the files that go along. */
export function sideBytes({ sideFiles, versions }: Source): number {
  return sideFiles.reduce((sum, name) => sum + versions.get(name)!.size, 0);
}

/**
 * Takes over the files that go along.
 *
 * @param isLinked Whether they become hard links instead of copies.
 * @throws {BadInputError} One cannot be read, written or linked, or is not the one that was listed.
 */
export async function takeSideFiles(
  { directory, sideFiles, versions }: Source,
  to: string,
  isLinked: boolean,
  onCopied: OnCopied,
): Promise<void> {
  for (const name of sideFiles) {
    await onCopied(name, 0);
    const file = { directory, name, version: versions.get(name)! };
    const target = join(to, name);
    if (name.includes("/")) await makeDirectory(dirname(target), name);
    await (isLinked ? linkFile(file, target) : copyFile(file, target, onCopied));
  }
}

/** Bytes copied at a time. */
const COPY_BYTES = 2 ** 20;

/** Permission bits of a copy before the umask: what may be run may be run, and no more than that is kept. */
function modeOf(mode: number | null): number {
  return mode !== null && (mode & 0o111) !== 0 ? 0o777 : 0o666;
}

async function copyFile(file: ListedFile, target: string, onCopied: OnCopied): Promise<void> {
  const { name } = file;
  const source = await openListedFile(file);
  try {
    const sink = await createSink(target, name, modeOf(source.mode));
    try {
      await copyBytes(source, sink, file, onCopied);
      source.refuseChanged();
      await sink.sync();
    } finally {
      sink.close();
    }
  } finally {
    source.close();
  }
}

/** Copies as many bytes as were listed, or as are left: the next ones are read while some are written. */
async function copyBytes(
  source: OpenListedFile,
  sink: NewFile,
  { name, version: { size } }: ListedFile,
  onCopied: OnCopied,
): Promise<void> {
  const buffers = [0, 1].map(() => new Uint8Array(Math.min(COPY_BYTES, size)));
  let written = Promise.resolve();
  try {
    for (let at = 0, turn = 0; at < size; turn++) {
      const bytes = buffers[turn % 2]!.subarray(0, size - at);
      const count = await source.read(bytes, at);
      await written;
      if (count === 0) return;
      written = sink.writeLater(at, bytes.subarray(0, count));
      // Its failure is told where it is awaited.
      written.catch(() => {});
      at += count;
      await onCopied(name, count);
    }
  } finally {
    await written;
  }
}

async function linkFile({ directory, name, version }: ListedFile, target: string): Promise<void> {
  try {
    await disk.link(followLink(directory, name), target);
    // A link in its place would have been linked itself.
    if (!isSameFile(disk.lstatSync(target), version)) {
      throw new BadInputError(
        `Cannot link ${quote(name)}: it is another file than when the run began: run again`,
      );
    }
  } catch (error) {
    if (error instanceof BadInputError) throw error;
    throw new BadInputError(
      `Cannot link ${quote(name)}: ${describeIoError(error)}: leave --link out to copy it`,
    );
  }
}
