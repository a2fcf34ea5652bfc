import { WriteZero } from "./describe_io_error.ts";

/** {@linkcode writeAll} without keeping this thread: nobody may be reading. */
export async function writeAllLater(
  stream: { write: (bytes: Uint8Array) => Promise<number> },
  text: string,
): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) {
    const count = await stream.write(bytes.subarray(done));
    if (count === 0) throw new WriteZero();
    done += count;
  }
}

/** Writes all of a text; a stream may take less at a time. */
export function writeAll(
  stream: { writeSync: (bytes: Uint8Array) => number },
  text: string,
): void {
  writeAllAt(stream, new TextEncoder().encode(text), 0);
}

/** Writes all of some bytes from byte `at` of a file on; it may take less at a time. */
export function writeAllAt(
  file: { writeSync: (bytes: Uint8Array, at: number) => number },
  bytes: Uint8Array,
  at: number,
): void {
  for (let done = 0; done < bytes.length;) {
    const count = file.writeSync(done === 0 ? bytes : bytes.subarray(done), at + done);
    if (count === 0) throw new WriteZero();
    done += count;
  }
}
