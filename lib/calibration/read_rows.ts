/** Reads tensors in slabs of bounded memory, and the squares of a segment. */

import type { ByteSource } from "../safetensors/read.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import { countSquares, type LayerStatistics, segmentRange, sumWeights } from "./calibration.ts";

/** Values read at a time, 4 bytes each; more where a row is longer. */
const SLAB_VALUES = 2 ** 18;

/** The views of the tensors of a calibration. */
type Values = Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;

/** Looks at row `row`, which begins at `values[at]`; the array is used again afterwards. */
export type RowVisitor<V> = (values: V, at: number, row: number) => void;

/**
 * Visits the rows of an F32 tensor one after the other.
 *
 * @param width Values of a row: 1 or more.
 * @param from First row.
 * @param to Row behind the last one.
 * @throws {BadInputError} The file cannot be read.
 */
export function visitRows(
  source: ByteSource,
  tensor: TensorInfo,
  width: number,
  from: number,
  to: number,
  visit: RowVisitor<Float32Array>,
): void {
  readSlabs(source, tensor, new Float32Array(slabRows(width, to - from) * width), {
    width,
    from,
    to,
    visit,
  });
}

/** The same for an I32 tensor. */
export function visitCounts(
  source: ByteSource,
  tensor: TensorInfo,
  width: number,
  from: number,
  to: number,
  visit: RowVisitor<Int32Array>,
): void {
  readSlabs(source, tensor, new Int32Array(slabRows(width, to - from) * width), {
    width,
    from,
    to,
    visit,
  });
}

function slabRows(width: number, rows: number): number {
  return Math.min(rows, Math.max(1, Math.floor(SLAB_VALUES / width)));
}

function readSlabs<V extends Values>(
  source: ByteSource,
  tensor: TensorInfo,
  slab: V,
  { width, from, to, visit }: { width: number; from: number; to: number; visit: RowVisitor<V> },
): void {
  const bytes = new Uint8Array(slab.buffer);
  const rows = slab.length / width;
  for (let first = from; first < to; first += rows) {
    const count = Math.min(rows, to - first);
    source.readInto(tensor.begin + first * width * 4, bytes.subarray(0, count * width * 4));
    for (let row = 0; row < count; row++) visit(slab, row * width, first + row);
  }
}

/** Reads a tensor of F32 as a whole: one of the time axis, or of a layer's range. */
export function readVector(source: ByteSource, tensor: TensorInfo, length: number): Float32Array {
  const values = new Float32Array(length);
  source.readInto(tensor.begin, new Uint8Array(values.buffer));
  return values;
}

/**
 * The diagonal of H_s, of segment s of a layer: [C]. Squares by timestep are added up with the file's
 * own weights, as the sketch was.
 *
 * @param layer Has squares.
 * @param timesteps T.
 */
export function readDiagonal(
  source: ByteSource,
  layer: LayerStatistics & { square: TensorInfo; columns: number },
  s: number,
  timesteps: number,
  weights: readonly number[] | undefined,
): Float64Array {
  const { square, columns, segments } = layer;
  const diagonal = new Float64Array(columns);
  const rows = countSquares(square);
  const range = rows === segments ? { from: s, to: s + 1 } : segmentRange(s, segments, timesteps);
  const own = rows === segments ? undefined : weights;
  const whole = sumWeights(own, range.from, range.to);
  visitRows(source, square, columns, range.from, range.to, (values, at, row) => {
    const share = (own?.[row] ?? 1) / whole;
    for (let c = 0; c < columns; c++) diagonal[c] = diagonal[c]! + share * values[at + c]!;
  });
  return diagonal;
}
