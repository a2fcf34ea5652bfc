/** Rows whose heads are turned about: where each goes, and that they are read where they were written. */

import assert from "node:assert/strict";
import { permutedRow, readRows, writeRows } from "../lib/format/row_order.ts";

/** A file in memory, with other bytes in front of the matrix. */
function memory(byteLength: number) {
  const bytes = new Uint8Array(byteLength).fill(99);
  const place = { path: "", label: "m", begin: 7 };
  return {
    bytes,
    place,
    write: (at: typeof place, offset: number, part: Uint8Array) =>
      bytes.set(part, at.begin + offset),
    read: (at: typeof place, offset: number, out: Uint8Array) => {
      out.set(bytes.subarray(at.begin + offset, at.begin + offset + out.length));
    },
  };
}

Deno.test("permutedRow() sends the halves of each head to its rows by turns", () => {
  const found = Array.from({ length: 12 }, (_, row) => permutedRow(row, 6));
  assert.deepEqual(found, [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
  assert.deepEqual([0, 1, 2, 3].map((row) => permutedRow(row, 2)), [0, 1, 2, 3]);
  assert.deepEqual([0, 5, 9].map((row) => permutedRow(row, undefined)), [0, 5, 9]);
});

Deno.test("rows are written to their places and read back, whole or a part of one", async () => {
  const rows = Uint8Array.from({ length: 8 * 3 }, (_, i) => i);
  for (const headRows of [undefined, 4]) {
    const file = memory(7 + 24);
    const span = { place: file.place, rowBytes: 3, headRows };
    await writeRows(file, { ...span, row: 0, column: 0 }, rows.subarray(0, 9));
    await writeRows(file, { ...span, row: 3, column: 0 }, rows.subarray(9));
    const order = headRows === undefined ? [0, 1, 2, 3, 4, 5, 6, 7] : [0, 2, 1, 3, 4, 6, 5, 7];
    assert.deepEqual([...file.bytes.subarray(0, 7)], Array(7).fill(99));
    assert.deepEqual(
      [...file.bytes.subarray(7)],
      order.flatMap((row) => [...rows.subarray(row * 3, row * 3 + 3)]),
    );
    const out = new Uint8Array(15);
    await readRows(file, { ...span, row: 2, column: 0 }, out);
    assert.deepEqual(out, rows.slice(6, 21));
    // The last two bytes of row 5, one of them anew.
    const part = new Uint8Array(2);
    await readRows(file, { ...span, row: 5, column: 1 }, part);
    assert.deepEqual([...part], [16, 17]);
    await writeRows(file, { ...span, row: 5, column: 2 }, Uint8Array.of(200));
    await readRows(file, { ...span, row: 5, column: 0 }, out);
    assert.deepEqual([...out.subarray(0, 6)], [15, 16, 200, 18, 19, 20]);
  }
});
