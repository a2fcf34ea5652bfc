/** Reads the held-out text; its source is named in `small-dlm-data/README.md`. */

import { fileURLToPath } from "node:url";
import { readArrays } from "../forward/read_arrays.ts";
import { DLM } from "./dimensions.ts";

/** A sequence of which some tokens are masked. */
export interface Sequence {
  /** Share of masked tokens, as F32 holds it. */
  level: number;
  /** UTF-8 bytes of its text. */
  bytes: number;
  /** Tokens, 1023 where masked: [128]. */
  ids: Int32Array;
  /** Where tokens are masked, in order. */
  positions: number[];
  /** The tokens that stood there: [positions]. */
  truth: number[];
}

const PATH = fileURLToPath(new URL("../small-dlm-data/eval.safetensors", import.meta.url));

/**
 * Reads the text that models are judged on.
 *
 * @param path A safetensors file with `ids` and `bytes` (I32), `mask` (U8) and `level` (F32).
 * @throws {BadInputError} The file cannot be read, or lacks one of them.
 */
export function readText(path = PATH): Sequence[] {
  const { tokens } = DLM;
  const { ids, mask, level, bytes } = readArrays(path, {
    ids: "I32",
    mask: "U8",
    level: "F32",
    bytes: "I32",
  });
  return Array.from(level, (level, index) => {
    const text = ids.subarray(index * tokens, (index + 1) * tokens);
    const masked = mask.subarray(index * tokens, (index + 1) * tokens);
    const positions = [...masked.keys()].filter((position) => masked[position] === 1);
    return {
      level,
      bytes: bytes[index]!,
      ids: text.map((id, position) => masked[position] === 1 ? DLM.mask : id),
      positions,
      truth: positions.map((position) => text[position]!),
    };
  });
}
