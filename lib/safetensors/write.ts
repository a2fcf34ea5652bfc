/** Writing: files of a known length, filled in place at computed offsets. */

import { describeIoError } from "../base/describe_io_error.ts";
import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";

/** A file one can write at any offset. */
export interface ByteSink {
  /**
   * Writes all of `bytes` from byte `offset` on.
   *
   * @throws {BadInputError} The disk is full, a limit is reached, or the file cannot be written.
   */
  write(offset: number, bytes: Uint8Array): void;
  /** Puts what has been written so far on the disk, off this thread. */
  flush(): Promise<void>;
  /** Puts everything written on the disk and releases the file. */
  finish(): void;
  /** Releases the file, whatever its state. */
  close(): void;
}

/**
 * Creates a file of the given length.
 *
 * @param path Must not exist.
 * @param label Its name in messages.
 * @param byteLength Its final length in bytes.
 * @throws {BadInputError} It exists or cannot be created.
 */
export function createSink(path: string, label: string, byteLength: number): ByteSink {
  const file = attempt(label, () => Deno.openSync(path, { write: true, createNew: true }));
  try {
    attempt(label, () => file.truncateSync(byteLength));
  } catch (error) {
    file.close();
    throw error;
  }
  return sinkTo(file, label);
}

/**
 * Opens a file that exists and has its final length, to fill a part of it.
 *
 * @throws {BadInputError} It cannot be opened.
 */
export function openSink(path: string, label: string): ByteSink {
  return sinkTo(attempt(label, () => Deno.openSync(path, { write: true })), label);
}

function sinkTo(file: Deno.FsFile, label: string): ByteSink {
  let open = true;
  const close = () => {
    if (open) file.close();
    open = false;
  };
  return {
    write: (offset, bytes) =>
      attempt(label, () => {
        file.seekSync(offset, Deno.SeekMode.Start);
        for (let done = 0; done < bytes.length;) {
          const count = file.writeSync(done === 0 ? bytes : bytes.subarray(done));
          if (count === 0) throw new Deno.errors.WriteZero();
          done += count;
        }
      }),
    flush: async () => {
      try {
        await file.syncData();
      } catch (error) {
        throw new BadInputError(`Cannot write ${quote(label)}: ${describeIoError(error)}`);
      }
    },
    finish: () => {
      attempt(label, () => file.syncSync());
      close();
    },
    close,
  };
}

function attempt<T>(label: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new BadInputError(`Cannot write ${quote(label)}: ${describeIoError(error)}`);
  }
}

/**
 * Creates a small file with the given content and puts it on the disk.
 *
 * @throws {BadInputError} It exists or cannot be written.
 */
export function writeWhole(path: string, label: string, bytes: Uint8Array): void {
  const sink = createSink(path, label, bytes.length);
  try {
    sink.write(0, bytes);
    sink.finish();
  } finally {
    sink.close();
  }
}
