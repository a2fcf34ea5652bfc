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
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) {
    const count = stream.writeSync(bytes.subarray(done));
    if (count === 0) throw new WriteZero();
    done += count;
  }
}
