/** The memory the language model works in, taken once: what it computes for one sequence. */

import { asValues, createHeadSpace, type Head, type HeadSpace } from "../forward/attend_head.ts";
import { allocateRows } from "../forward/linear.ts";
import type { Multiplier } from "../forward/multiplier.ts";
import { DLM } from "./dimensions.ts";

/** Arrays in a multiplier's memory, a row for each token of a sequence or for some of them. */
export interface Workspace {
  /** [128, 256]. */
  tokens: Float32Array;
  /** Normalized: [128, 256]. */
  normalized: Float32Array;
  /** [128, 256]. */
  queries: Float32Array;
  /** Keys, then values of each token: [128, 2 * 128]. */
  keysValues: Float32Array;
  /** What attention makes of them: [128, 256]. */
  attended: Float32Array;
  /** What attention or the MLP adds to the tokens: [128, 256]. */
  branch: Float32Array;
  /** [128, 640]. */
  gate: Float32Array;
  /** [128, 640]. */
  up: Float32Array;
  /** [128, 1024]. */
  logits: Float32Array;
  /** Parts of these arrays, for each head of queries. */
  heads: Head[];
  /** What one head is computed in. */
  headSpace: HeadSpace;
}

/** Takes the memory. */
export function createWorkspace(multiplier: Multiplier): Workspace {
  const { tokens, hidden, mlp, heads, keyHeads, headSize } = DLM;
  const allocate = (width: number) => allocateRows(multiplier, tokens, width);
  const keyWidth = keyHeads * headSize;
  const [queries, keysValues] = [allocate(hidden), allocate(2 * keyWidth)];
  const attended = allocate(hidden);
  return {
    tokens: allocate(hidden),
    normalized: allocate(hidden),
    queries,
    keysValues,
    attended,
    branch: allocate(hidden),
    gate: allocate(mlp),
    up: allocate(mlp),
    logits: allocate(DLM.vocabulary),
    heads: Array.from({ length: heads }, (_, head) => {
      const from = Math.floor(head * keyHeads / heads) * headSize;
      return {
        queries: { values: queries.subarray(head * headSize), stride: hidden },
        keys: { values: keysValues.subarray(from), stride: 2 * keyWidth },
        values: asValues(keysValues.subarray(keyWidth + from), 2 * keyWidth),
        out: { values: attended.subarray(head * headSize), stride: hidden },
      };
    }),
    headSpace: createHeadSpace(multiplier, tokens, headSize),
  };
}
