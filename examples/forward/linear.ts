/** Fully connected layers over batches of rows. */

import { type Multiplier, PANEL, panelIndex, type Panels, TILE_ROWS } from "./multiplier.ts";

/** A layer y = x W^T + b, laid out to be multiplied; outputs are padded with 0 to whole panels. */
export interface Linear {
  /** Length of x, even. */
  inputs: number;
  /** Length of y in memory: a multiple of 8. */
  outputs: number;
  /** W: [inputs, outputs]. */
  panels: Panels;
  /** b: [outputs]. */
  bias: Float32Array;
  /** In whose memory the layer and all it is applied to lie. */
  multiplier: Multiplier;
  /** Sees what the layer is applied to, before it is: [rows, inputs] of `x`, which may be longer. */
  onInput?: (x: Float32Array, rows: number) => void;
}

/**
 * Lays a layer out.
 *
 * @param weight W: [bias.length, inputs], row by row.
 */
export function packLinear(
  multiplier: Multiplier,
  weight: Float32Array,
  bias: Float32Array,
): Linear {
  const inputs = weight.length / bias.length;
  const outputs = roundUp(bias.length, PANEL);
  const padded = multiplier.allocate(outputs);
  padded.set(bias);
  const values = multiplier.allocate(outputs * inputs);
  const panels = { values, stride: PANEL, panelStride: inputs * PANEL };
  for (let row = 0; row < bias.length; row++) {
    for (let i = 0; i < inputs; i++) {
      values[panelIndex(panels, i, row)] = weight[row * inputs + i]!;
    }
  }
  return { inputs, outputs, panels, bias: padded, multiplier };
}

/** Takes memory for rows that layers are applied to: [rows rounded up to what they need, width]. */
export function allocateRows(multiplier: Multiplier, rows: number, width: number): Float32Array {
  return multiplier.allocate(roundUp(rows, TILE_ROWS) * width);
}

/**
 * Applies a layer to each row. Rows do not depend on each other: a batch gives the same bits as its
 * parts do. Up to three rows behind the last one are written over.
 *
 * @param x Of {@linkcode allocateRows}: [rows or more, inputs].
 * @param out Receives y; of the same: [rows or more, outputs].
 * @param rows How many.
 */
export function applyLinear(
  { inputs, outputs, panels, bias, multiplier, onInput }: Linear,
  x: Float32Array,
  out: Float32Array,
  rows: number,
): void {
  onInput?.(x, rows);
  multiplier.multiply({
    x: { values: x, stride: inputs },
    w: panels,
    bias,
    out: { values: out, stride: outputs },
    rows: roundUp(rows, TILE_ROWS),
    inner: inputs,
  });
}

function roundUp(count: number, multiple: number): number {
  return Math.ceil(count / multiple) * multiple;
}
