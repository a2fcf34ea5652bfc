/** What jobs are about: runs of rows of a matrix in a file. Plain data, so that it can go to a worker; weights never do. */

import type { FloatDtype } from "../safetensors/dtype.ts";
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
