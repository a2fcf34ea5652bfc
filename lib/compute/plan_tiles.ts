/** Cuts a run of rows into tiles of bounded size, so that memory stays flat however large a tensor is. */

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
 * Cuts rows [from, to) of a matrix into tiles of at most `maxElements`. Rows are kept whole where one
 * fits; a longer one is cut at a multiple of the block's columns.
 *
 * @param columns Columns of the matrix.
 * @param blockColumns Columns of a block: `columns`, or a multiple of 16 that divides them.
 * @param maxElements At least `blockColumns` unless a block is a whole row, and at least 16.
 */
export function planTiles(
  from: number,
  to: number,
  columns: number,
  blockColumns: number,
  maxElements: number,
): TilePlan[] {
  const tiles: TilePlan[] = [];
  if (columns <= maxElements) {
    const most = Math.floor(maxElements / columns);
    for (let row = from; row < to; row += most) {
      tiles.push({ row, rows: Math.min(most, to - row), column: 0, columns });
    }
    return tiles;
  }
  const unit = blockColumns === columns ? WORD_CODES : blockColumns;
  const most = Math.floor(maxElements / unit) * unit;
  for (let row = from; row < to; row++) {
    for (let column = 0; column < columns; column += most) {
      tiles.push({ row, rows: 1, column, columns: Math.min(most, columns - column) });
    }
  }
  return tiles;
}
