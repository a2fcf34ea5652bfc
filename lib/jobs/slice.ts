/** What jobs are about: runs of rows of a matrix in a file. Plain data, so that it can go to a worker; weights never do. */

import { floatBytes, type FloatDtype } from "../safetensors/dtype.ts";
import type { BlockGrid, FilePlace } from "../types.ts";

/** A run of rows of a matrix, whole or some columns of them, and how it is cut into blocks. */
export interface Slice extends BlockGrid {
  /** Where the first weight lies. */
  source: FilePlace;
  /** Dtype of the weights. */
  dtype: FloatDtype;
  /** Rows, at least 1. */
  rows: number;
  /** Columns, at least 1. */
  columns: number;
  /** Columns of the matrix, where these are some of them. */
  stride?: number | undefined;
}

/** Bands of a matrix, one under the other: few jobs for many small ones, since a job costs by itself. */
export interface Bands {
  /** All of their rows; no block reaches beyond its band. */
  slice: Slice;
  /** First row of each band in the slice, and its rows at the end: [B+1]. */
  bands: readonly number[];
}

/** A band as a slice. */
export interface Band {
  /** The slice. */
  slice: Slice;
  /** Its first row in the slice of all bands. */
  row: number;
  /** Its blocks among those of all bands: the first, and how many. */
  blocks: { first: number; count: number };
}

/** Blocks of a slice. */
export function blocksOf({ rows, columns, blockRows, blockColumns }: Slice): number {
  return Math.ceil(rows / blockRows) * (columns / blockColumns);
}

/** Each band as a slice of its own. */
export function* cutBands({ slice, bands }: Bands): Generator<Band> {
  const { columns, stride = columns, dtype, source } = slice;
  let first = 0;
  for (const [b, row] of bands.slice(0, -1).entries()) {
    const begin = source.begin + row * stride * floatBytes(dtype);
    const band = { ...slice, source: { ...source, begin }, rows: bands[b + 1]! - row };
    const count = blocksOf(band);
    yield { slice: band, row, blocks: { first, count } };
    first += count;
  }
}
