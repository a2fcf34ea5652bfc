/** Copies bytes as they are. */

import type { Desk } from "./desk.ts";
import type { FilePlace } from "../types.ts";

/** Bytes copied at a time. */
const COPY_BYTES = 2 ** 20;

/** Bytes that are copied as they are. */
export interface CopiedPiece {
  /** First byte, counted from the place in the source. */
  from: number;
  /** Where it goes, counted from the place in the target. */
  to: number;
  /** How many bytes. */
  byteLength: number;
}

/** Asks for bytes to be copied. */
export interface CopyJob {
  verb: "copy";
  /** From where. */
  source: FilePlace;
  /** To where; the file exists and has its final length. */
  target: FilePlace;
  /** What; small tensors by the thousand take one job. */
  pieces: readonly CopiedPiece[];
}

/** Runs the job. */
export async function copyBytes(
  { source, target, pieces }: CopyJob,
  { files, onBytes }: Desk,
): Promise<void> {
  const total = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const [read, sorted] = [0, 0].map(() => new Uint8Array(Math.min(COPY_BYTES, total)));
  for (const group of groupPieces(pieces)) {
    const [first] = group;
    const last = group.at(-1)!;
    const bytes = read!.subarray(0, last.from + last.byteLength - first.from);
    await files.read(source, first.from, bytes);
    // What lies side by side in the target as well is written at once.
    const order = group.toSorted((a, b) => a.to - b.to);
    let [length, to] = [0, order[0]!.to];
    for (const [i, piece] of order.entries()) {
      const at = piece.from - first.from;
      sorted!.set(bytes.subarray(at, at + piece.byteLength), length);
      length += piece.byteLength;
      if (order[i + 1]?.to === to + length) continue;
      await files.write(target, to, sorted!.subarray(0, length));
      [length, to] = [0, order[i + 1]?.to ?? 0];
    }
    await onBytes(bytes.length);
  }
}

type Group = [CopiedPiece, ...CopiedPiece[]];

/** Pieces that lie side by side in the source, cut where they are longer than is copied at a time. */
function* groupPieces(pieces: readonly CopiedPiece[]): Generator<Group> {
  let group: CopiedPiece[] = [];
  let [end, bytes] = [0, 0];
  for (const { from, to, byteLength } of pieces) {
    for (let done = 0; done < byteLength;) {
      const isBehind = group.length > 0 && from + done === end && bytes < COPY_BYTES;
      if (!isBehind && group.length > 0) {
        yield group as Group;
        [group, bytes] = [[], 0];
      }
      const length = Math.min(COPY_BYTES - bytes, byteLength - done);
      group.push({ from: from + done, to: to + done, byteLength: length });
      done += length;
      bytes += length;
      end = from + done;
    }
  }
  if (group.length > 0) yield group as Group;
}
