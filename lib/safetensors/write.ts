/** Writing: files of a known length, filled in place at computed offsets. */

import { describeIoError, WriteZero } from "../base/describe_io_error.ts";
import { disk, type OpenFile } from "../base/disk.ts";
import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { writeAllAt } from "../base/write_all.ts";

/** A file one can write at any offset. */
export interface ByteSink {
  /**
   * Writes all of `bytes` from byte `offset` on.
   *
   * @throws {BadInputError} The disk is full, a limit is reached, or the file cannot be written.
   */
  write(offset: number, bytes: Uint8Array): void;
  /** The same without keeping this thread; one call after the other. */
  writeLater(offset: number, bytes: Uint8Array): Promise<void>;
  /** Releases the file, whatever its state. */
  close(): void;
}

/**
 * Creates a file of its final length that begins with the given bytes; what follows is to be filled.
 *
 * @param path Must not exist.
 * @param label Its name in messages.
 * @param byteLength Its final length in bytes.
 * @throws {BadInputError} It exists or cannot be created.
 */
export async function createFile(
  path: string,
  label: string,
  byteLength: number,
  head: Uint8Array,
): Promise<void> {
  const file = await attempt(label, () => disk.open(path, "create"));
  try {
    await attempt(label, () => file.truncate(byteLength));
    await attempt(label, () => writeFully(file, 0, head));
  } finally {
    file.close();
  }
}

/** A new file, to be written from its start to its end. */
export interface NewFile extends ByteSink {
  /**
   * Puts it on the disk.
   *
   * @throws {BadInputError} The disk is full or fails.
   */
  sync(): Promise<void>;
}

/**
 * Creates a file whose length is not known yet.
 *
 * @param path Must not exist.
 * @param label Its name in messages.
 * @param mode Its permission bits before the umask.
 * @throws {BadInputError} It exists or cannot be created.
 */
export async function createSink(path: string, label: string, mode: number): Promise<NewFile> {
  const file = await attempt(label, () => disk.open(path, "create", mode));
  return { ...sinkTo(file, label), sync: () => attempt(label, () => file.sync()) };
}

/**
 * Creates a directory where there is none.
 *
 * @throws {BadInputError} It cannot be created.
 */
export function makeDirectory(path: string, label: string): Promise<void> {
  return attempt(label, () => disk.mkdir(path));
}

/**
 * Opens a file that exists and has its final length, to fill a part of it.
 *
 * @throws {BadInputError} It cannot be opened.
 */
export function openSink(path: string, label: string): ByteSink {
  try {
    return sinkTo(disk.openSync(path, "write"), label);
  } catch (error) {
    throw writeError(label, error);
  }
}

/**
 * Puts what has been written to a file on the disk.
 *
 * @param what All of the file, or its data alone, which is enough while it is still being filled.
 * @throws {BadInputError} The disk is full or fails.
 */
export async function syncFile(path: string, label: string, what: "all" | "data"): Promise<void> {
  const file = await attempt(label, () => disk.open(path, "write"));
  try {
    await attempt(label, () => what === "all" ? file.sync() : file.syncData());
  } finally {
    file.close();
  }
}

/**
 * Creates a small file with the given content and puts it on the disk.
 *
 * @throws {BadInputError} It exists or cannot be written.
 */
export async function writeWhole(path: string, label: string, bytes: Uint8Array): Promise<void> {
  await writePieces(path, label, [bytes]);
}

/**
 * Creates a file with the given content, piece by piece, and puts it on the disk.
 *
 * @throws {BadInputError} It exists or cannot be written.
 */
export async function writePieces(
  path: string,
  label: string,
  pieces: Iterable<Uint8Array>,
): Promise<void> {
  const file = await attempt(label, () => disk.open(path, "create"));
  try {
    let at = 0;
    for (const piece of pieces) {
      await attempt(label, () => writeFully(file, at, piece));
      at += piece.length;
    }
    await attempt(label, () => file.sync());
  } finally {
    file.close();
  }
}

function sinkTo(file: OpenFile, label: string): ByteSink {
  return {
    write(offset, bytes) {
      try {
        writeAllAt(file, bytes, offset);
      } catch (error) {
        throw writeError(label, error);
      }
    },
    writeLater: (offset, bytes) => attempt(label, () => writeFully(file, offset, bytes)),
    close: () => file.close(),
  };
}

/** Writes all of `bytes` from byte `offset` on; a file may take less at a time. */
async function writeFully(file: OpenFile, offset: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const count = await file.write(done === 0 ? bytes : bytes.subarray(done), offset + done);
    if (count === 0) throw new WriteZero();
    done += count;
  }
}

async function attempt<T>(label: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw writeError(label, error);
  }
}

function writeError(label: string, error: unknown): BadInputError {
  return new BadInputError(`Cannot write ${quote(label)}: ${describeIoError(error)}`);
}
