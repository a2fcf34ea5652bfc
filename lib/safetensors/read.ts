/** Reading: the one place that opens a weight file, and the interface the rest reads through. */

import { describeIoError } from "../base/describe_io_error.ts";
import { disk, type FileInfo, type OpenFile } from "../base/disk.ts";
import { BadInputError } from "../base/errors.ts";
import { type FileVersion, versionOf } from "../base/file_version.ts";
import { quote } from "../base/text.ts";
import type { JsonFeed } from "./json_feed.ts";
import { type Header, LENGTH_BYTES, parseHeader, readHeaderLength } from "./header.ts";

/** Bytes one can read at any offset. */
export interface ByteSource {
  /** Length in bytes, as it was when opened. */
  readonly byteLength: number;
  /**
   * Fills `out` from byte `offset` on.
   *
   * @throws {BadInputError} The source ends before `out` is full, or cannot be read.
   */
  readInto(offset: number, out: Uint8Array): void;
  /** Releases the file. */
  close(): void;
}

/** An open file. */
export interface FileSource extends ByteSource {
  /** What it was when it was opened. */
  readonly version: FileVersion;
  /** `readInto` without keeping this thread; one call after the other. */
  readIntoLater(offset: number, out: Uint8Array): Promise<void>;
}

/**
 * Opens a regular file for reading. A FIFO or device is refused before it can hang the open.
 *
 * @param path The file.
 * @param label Its name in messages.
 * @throws {BadInputError} It does not exist, is no regular file or cannot be opened.
 */
export function openSource(path: string, label: string): FileSource {
  let file: OpenFile;
  let info: FileInfo;
  const fail = (error: unknown): never => {
    throw new BadInputError(`Cannot read ${quote(label)}: ${describeIoError(error)}`);
  };
  const refuseOthers = ({ isFile }: FileInfo) => {
    if (isFile) return;
    throw new BadInputError(`Cannot read ${quote(label)}: it is not a regular file`);
  };
  try {
    refuseOthers(disk.statSync(path));
    file = disk.openSync(path, "read");
  } catch (error) {
    if (error instanceof BadInputError) throw error;
    return fail(error);
  }
  try {
    // Asked once more, since something else may have the name by now.
    info = file.statSync();
    refuseOthers(info);
  } catch (error) {
    file.close();
    if (error instanceof BadInputError) throw error;
    return fail(error);
  }
  const byteLength = info.size;
  const endedEarly = (at: number): never => {
    throw new BadInputError(
      `Cannot read ${quote(label)}: the file ended early at byte ${at}, ` +
        `${byteLength} bytes were there when it was opened: it was cut while being read`,
    );
  };
  return {
    byteLength,
    version: versionOf(info),
    readInto(offset, out) {
      let filled = 0;
      try {
        while (filled < out.length) {
          const count = file.readSync(filled === 0 ? out : out.subarray(filled), offset + filled);
          if (count === 0) break;
          filled += count;
        }
      } catch (error) {
        fail(error);
      }
      if (filled < out.length) endedEarly(offset + filled);
    },
    async readIntoLater(offset, out) {
      let filled = 0;
      try {
        while (filled < out.length) {
          const count = await file.read(filled === 0 ? out : out.subarray(filled), offset + filled);
          if (count === 0) break;
          filled += count;
        }
      } catch (error) {
        fail(error);
      }
      if (filled < out.length) endedEarly(offset + filled);
    },
    close: () => file.close(),
  };
}

/**
 * Reads and validates the header of an open file.
 *
 * @param label The file's name in messages.
 * @throws {BadInputError} The file is not a well-formed safetensors file; the message names it.
 */
export function readHeader(source: ByteSource, label: string): Header {
  try {
    const prefix = new Uint8Array(Math.min(LENGTH_BYTES, source.byteLength));
    source.readInto(0, prefix);
    const length = readHeaderLength(prefix, source.byteLength);
    const json = feedSource(source, LENGTH_BYTES, length);
    return parseHeader(json, length, source.byteLength);
  } catch (error) {
    if (!(error instanceof BadInputError) || error.message.startsWith("Cannot read")) throw error;
    throw new BadInputError(`Cannot read ${quote(label)}: ${error.message}`);
  }
}

/** A JSON document that is a part of a file: so many bytes from `from` on, by default all. */
export function feedSource(
  source: ByteSource,
  from = 0,
  length: number = source.byteLength,
): JsonFeed {
  const end = from + length;
  let at = from;
  return (into) => {
    const count = Math.min(into.length, end - at);
    source.readInto(at, into.subarray(0, count));
    at += count;
    return count;
  };
}
