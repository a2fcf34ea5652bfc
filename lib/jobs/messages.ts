/** What passes between a pool and its workers. Plain data; no tensor among it. */

import type {
  CopyJob,
  EncodeParams,
  QuantizedSlice,
  RatedSlice,
  Reencoded,
  Slice,
  SliceTarget,
} from "./backend.ts";
import type { BlockRanges } from "../compute/kernels.ts";
import type { Bits, QualitySums } from "../types.ts";

/** A call of one of a backend's methods. */
export type Call =
  | { method: "measure"; args: [Slice] }
  | { method: "encode"; args: [Slice & SliceTarget, EncodeParams] }
  | { method: "quantize"; args: [Slice & SliceTarget] }
  | { method: "reencode"; args: [Slice & SliceTarget, EncodeParams, EncodeParams] }
  | { method: "rate"; args: [Slice & { bits: Bits }] }
  | { method: "copy"; args: [CopyJob] };

/** What a call gives back. */
export type CallResult =
  | BlockRanges
  | QualitySums
  | QuantizedSlice
  | Reencoded
  | RatedSlice
  | undefined;

/** To a worker. */
export type Request = Call & { id: number };

/** From a worker. */
export type Reply =
  /** Source bytes worked through since the last time. */
  | { kind: "progress"; bytes: number }
  | { kind: "done"; id: number; result: CallResult }
  /** `isBadInput`: the message is for the user; else it is a bug's. */
  | { kind: "failed"; id: number; message: string; isBadInput: boolean };
