/** What jobs are about: runs of rows of a matrix in a file. Plain data, so that it can go to a worker; weights never do. */

import type { FloatDtype } from "../safetensors/dtype.ts";
import type { BlockGrid, FilePlace } from "../types.ts";

/** A run of whole rows of a matrix, and how it is cut into blocks. */
export interface Slice extends BlockGrid {
  /** Where the weights lie, row behind row. */
  source: FilePlace;
  /** Dtype of the weights. */
  dtype: FloatDtype;
  /** Rows, at least 1. */
  rows: number;
  /** Columns, at least 1. */
  columns: number;
}
