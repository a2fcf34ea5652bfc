/** Cuts a matrix into tiles of bounded size, so that memory stays flat however large a tensor is. */

import type { BlockGrid } from "../types.ts";

/** A rectangle of a matrix. */
export interface TilePlan {
  /** First row. */
  row: number;
  /** Rows; 1 where a row is cut. */
  rows: number;
  /** First column. */
  column: number;
  /** Columns. */
  columns: number;
}

/** Where a cut inside a row may fall: whole 32-bit words of codes at every width. */
const WORD_CODES = 16;

/**
 * Cuts a matrix into tiles of at most `maxElements`. Rows are kept whole where one fits. A tile holds
 * whole blocks, or a part of a single one.
 *
 * @param grid The matrix and its blocks.
 * @param maxElements At least 16.
 */
export function planTiles(
  { rows, columns, blockRows, blockColumns }: BlockGrid & { rows: number; columns: number },
  maxElements: number,
): TilePlan[] {
  if (columns <= maxElements) {
    const most = Math.floor(maxElements / columns);
    return cut(rows, blockRows, most, 1).map(({ first, count }) => ({
      row: first,
      rows: count,
      column: 0,
      columns,
    }));
  }
  const runs = cut(columns, blockColumns, maxElements, WORD_CODES);
  return Array.from(
    { length: rows },
    (_, row) => runs.map(({ first, count }) => ({ row, rows: 1, column: first, columns: count })),
  ).flat();
}

/** Runs of at most `most` places: of whole blocks where one fits, else cut at multiples of `step` in each block. */
function cut(
  length: number,
  block: number,
  most: number,
  step: number,
): { first: number; count: number }[] {
  const runs: { first: number; count: number }[] = [];
  const fits = block <= most;
  const reach = fits ? length : block;
  const size = fits ? Math.floor(most / block) * block : Math.floor(most / step) * step;
  for (let start = 0; start < length; start += reach) {
    const end = Math.min(start + reach, length);
    for (let first = start; first < end; first += size) {
      runs.push({ first, count: Math.min(size, end - first) });
    }
  }
  return runs;
}
