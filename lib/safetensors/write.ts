/** Writing: files of a known length, filled in place at computed offsets. */

import { describeIoError } from "../describe_io_error.ts";
import { BadInputError } from "../errors.ts";
import { quote } from "../escape_text.ts";

/** A file one can write at any offset. */
export interface ByteSink {
  /**
   * Writes all of `bytes` from byte `offset` on.
   *
   * @throws {BadInputError} The disk is full, a limit is reached, or the file cannot be written.
   */
  write(offset: number, bytes: Uint8Array): void;
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
  const attempt = <T>(action: () => T): T => {
    try {
      return action();
    } catch (error) {
      throw new BadInputError(`Cannot write ${quote(label)}: ${describeIoError(error)}`);
    }
  };
  const file = attempt(() => Deno.openSync(path, { write: true, createNew: true }));
  let open = true;
  const close = () => {
    if (open) file.close();
    open = false;
  };
  try {
    attempt(() => file.truncateSync(byteLength));
  } catch (error) {
    close();
    throw error;
  }
  return {
    write: (offset, bytes) =>
      attempt(() => {
        file.seekSync(offset, Deno.SeekMode.Start);
        for (let done = 0; done < bytes.length;) {
          done += file.writeSync(done === 0 ? bytes : bytes.subarray(done));
        }
      }),
    finish: () => {
      attempt(() => file.syncSync());
      close();
    },
    close,
  };
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
