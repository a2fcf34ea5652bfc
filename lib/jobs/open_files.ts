/** The files that jobs read and write: opened when they are needed, and only so many of them at once. */

import { type FileSource, openSource } from "../safetensors/read.ts";
import { type ByteSink, openSink } from "../safetensors/write.ts";
import type { FilePlace } from "../types.ts";

/** Files open at once, each of sources and targets: as many as a job has of each. */
const MAX_OPEN = 2;

/** Open files. */
export interface OpenFiles {
  /** Fills `out` from byte `offset` behind a place on. */
  read(place: FilePlace, offset: number, out: Uint8Array): Promise<void> | void;
  /** Writes all of `bytes` from byte `offset` behind a place on. */
  write(place: FilePlace, offset: number, bytes: Uint8Array): Promise<void> | void;
  /** Closes all, for good: what a job under way asks for then is refused. */
  close(): void;
}

/** Bytes that any thread may wait for: handing them to another takes longer than the system does. */
const SMALL_BYTES = 2 ** 16;

/** Milliseconds after which a thread that waits for small pieces looks at its other events. */
const LOOK_MS = 10;

/**
 * Makes a set of open files.
 *
 * @param waits Whether this thread may wait for the disk: a worker may, and that is faster; the main
 *   thread has to hear signals meanwhile, and waits for small pieces alone.
 */
export function openFiles(waits: boolean): OpenFiles {
  const sources = keepRecent<FileSource>(({ path, label }) => openSource(path, label));
  const sinks = keepRecent<ByteSink>(({ path, label }) => openSink(path, label));
  let last: Promise<void> = Promise.resolve();
  /** Calls that have not ended. */
  let underWay = 0;
  /** When this thread could look at its other events last. */
  let looked = performance.now();
  /**
   * Makes a call: on this thread where it may wait for it, else on another. A file has one position, and is
   * closed when others are used, so no call begins before the last one has ended.
   */
  const make = (
    { length }: Uint8Array,
    here: () => void,
    elsewhere: () => Promise<void>,
  ): Promise<void> | void => {
    const mayWait = () => waits || length <= SMALL_BYTES && performance.now() - looked < LOOK_MS;
    if (underWay === 0 && mayWait()) return here();
    underWay++;
    const take = async () => {
      if (mayWait()) return here();
      await elsewhere();
      looked = performance.now();
    };
    const done = last.then(take).finally(() => underWay--);
    last = done.catch(() => {});
    return done;
  };
  return {
    read(place, offset, out) {
      const at = place.begin + offset;
      return make(
        out,
        () => sources.get(place).readInto(at, out),
        () => sources.get(place).readIntoLater(at, out),
      );
    },
    write(place, offset, bytes) {
      const at = place.begin + offset;
      return make(
        bytes,
        () => sinks.get(place).write(at, bytes),
        () => sinks.get(place).writeLater(at, bytes),
      );
    },
    close() {
      sources.close();
      sinks.close();
    },
  };
}

/** Keeps the files used last open. */
function keepRecent<F extends { close(): void }>(
  open: (place: FilePlace) => F,
): { get: (place: FilePlace) => F; close: () => void } {
  /** The one used last comes first. */
  const recent: { path: string; file: F }[] = [];
  let isClosed = false;
  return {
    get(place) {
      if (isClosed) throw new Error(`The backend is closed: ${place.label} is not opened again`);
      const { path } = place;
      const newest = recent[0];
      if (newest?.path === path) return newest.file;
      const at = recent.findIndex((known) => known.path === path);
      const [own] = at < 0 ? [{ path, file: open(place) }] : recent.splice(at, 1);
      recent.unshift(own!);
      if (recent.length > MAX_OPEN) recent.pop()!.file.close();
      return own!.file;
    },
    close() {
      isClosed = true;
      for (const { file } of recent.splice(0)) file.close();
    },
  };
}
