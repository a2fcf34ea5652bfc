/** The forward pass of the small masked diffusion language model. */

import { attendHead } from "../forward/attend_head.ts";
import { applyLinear } from "../forward/linear.ts";
import { TILE_ROWS } from "../forward/multiplier.ts";
import { DLM } from "./dimensions.ts";
import type { LanguageModel, Layer } from "./language_model.ts";
import { normalize } from "./normalize.ts";
import { rotate } from "./rotate.ts";
import type { Workspace } from "./workspace.ts";

/** Every position of a sequence: 0, .. 127. */
const ALL = Array.from({ length: DLM.tokens }, (_, position) => position);

/**
 * Predicts tokens of a sequence; all of it is seen, masked tokens as well. What is predicted at a
 * position does not depend on which others are asked for.
 *
 * @param ids Tokens: [128], masked ones are 1023.
 * @param positions Where to predict: 1 to 128 of 0 to 127.
 * @returns Logits of the tokens at these positions themselves: [positions, 1024].
 */
export function predictTokens(
  model: LanguageModel,
  ids: ArrayLike<number>,
  positions: ArrayLike<number>,
): Float32Array {
  const { embeddings, layers, norm, head, workspace } = model;
  const { tokens, normalized, logits } = workspace;
  const { hidden, vocabulary } = DLM;
  let masked = 0;
  for (let position = 0; position < DLM.tokens; position++) {
    const from = ids[position]! * hidden;
    tokens.set(embeddings.subarray(from, from + hidden), position * hidden);
    if (ids[position] === DLM.mask) masked++;
  }
  model.onLevel?.(masked / DLM.tokens);
  // Of the last layer nothing but what is asked for is used: half of it, where half is masked.
  for (const layer of layers) {
    runLayer(layer, workspace, layer === layers.at(-1) ? positions : ALL);
  }
  normalize(tokens, norm, normalized, positions.length);
  applyLinear(head, normalized, logits, positions.length);
  return logits.slice(0, positions.length * vocabulary);
}

/**
 * Attention, then the MLP, each added to the tokens.
 *
 * @param positions Of the tokens that go on, which are the first rows afterwards.
 */
function runLayer(layer: Layer, workspace: Workspace, positions: ArrayLike<number>): void {
  const { tokens, normalized, queries, keysValues, attended, branch, gate, up } = workspace;
  const { keyHeads, headSize, heads, hidden, mlp } = DLM;
  const rows = positions.length;
  normalize(tokens, layer.attentionNorm, normalized, DLM.tokens);
  applyLinear(layer.keysValues, normalized, keysValues, DLM.tokens);
  rotate(keysValues, 2 * keyHeads * headSize, keyHeads, ALL);
  if (positions !== ALL) { for (const array of [tokens, normalized]) gatherRows(array, positions); }
  applyLinear(layer.queries, normalized, queries, rows);
  rotate(queries, hidden, heads, positions);
  const wholeTiles = Math.ceil(rows / TILE_ROWS) * TILE_ROWS;
  for (const head of workspace.heads) attendHead(head, workspace.headSpace, wholeTiles);
  applyLinear(layer.out, attended, branch, rows);
  add(tokens, branch, rows * hidden);
  normalize(tokens, layer.mlpNorm, normalized, rows);
  applyLinear(layer.gate, normalized, gate, rows);
  applyLinear(layer.up, normalized, up, rows);
  layer.gate.multiplier.gateSilu(gate.subarray(0, rows * mlp), up.subarray(0, rows * mlp));
  applyLinear(layer.down, gate, branch, rows);
  add(tokens, branch, rows * hidden);
}

/** Moves some rows of 256 to the front, in this order. */
function gatherRows(x: Float32Array, positions: ArrayLike<number>): void {
  const { hidden } = DLM;
  const before = x.slice();
  for (let row = 0; row < positions.length; row++) {
    const from = positions[row]! * hidden;
    x.set(before.subarray(from, from + hidden), row * hidden);
  }
}

function add(x: Float32Array, y: Float32Array, count: number): void {
  for (let i = 0; i < count; i++) x[i] = x[i]! + y[i]!;
}
