/** The parameters of a layer row by row, some rows at a time. */

import { wholeWordRows } from "../compute/pack_codes.ts";
import type { LayerParams } from "../types.ts";

/** Parameters expanded at a time, about: whole rows. */
const CHUNK_ELEMENTS = 2 ** 19;

/** The parameters of some rows: [count * blocks]. */
export interface RowParams {
  /** First row. */
  from: number;
  /** Rows. */
  count: number;
  /** Blocks side by side. */
  blocks: number;
  /** Row by row. */
  scale: Float32Array;
  /** Row by row. */
  zero_point: Uint8Array;
}

/**
 * Gives each row the parameters of its band, so that a standard loader reads them without knowing of time
 * groups.
 *
 * @param params Of rows that begin where a word of packed zero points does; so does every run.
 * @param most Parameters at a time, about.
 */
export function* expandParams(
  params: LayerParams,
  most: number = CHUNK_ELEMENTS,
): Generator<RowParams> {
  const { blocks, bands } = params;
  const [first, end] = [bands[0]!, bands.at(-1)!];
  const step = wholeWordRows(most / blocks);
  // Bands of a row each lie one behind the other already.
  const isRow = bands.length === end - first + 1;
  for (let from = first; from < end; from += step) {
    const count = Math.min(step, end - from);
    yield isRow ? viewRows(params, from, count) : expandBands(params, from, count);
  }
}

/** The parameters of so many bands of one row. */
function viewRows(
  { scale, zero_point, blocks, bands }: LayerParams,
  from: number,
  count: number,
): RowParams {
  const first = (from - bands[0]!) * blocks;
  const last = first + count * blocks;
  return {
    from,
    count,
    blocks,
    scale: scale.subarray(first, last),
    zero_point: zero_point.subarray(first, last),
  };
}

/** The parameters of so many rows, each those of its band. */
function expandBands(params: LayerParams, from: number, count: number): RowParams {
  const { bands, blocks } = params;
  const scale = new Float32Array(count * blocks);
  const zero_point = new Uint8Array(count * blocks);
  let band = 0;
  for (let row = 0; row < count; row++) {
    while (bands[band + 1]! <= from + row) band++;
    const [first, last] = [band * blocks, (band + 1) * blocks];
    scale.set(params.scale.subarray(first, last), row * blocks);
    zero_point.set(params.zero_point.subarray(first, last), row * blocks);
  }
  return { from, count, blocks, scale, zero_point };
}
