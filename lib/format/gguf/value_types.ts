/** The values of a GGUF file's metadata, and the numbers of their types. */

/** A value and its type in the file. */
export type GgufValue =
  | { type: "u32" | "i32" | "f32"; value: number }
  | { type: "bool"; value: boolean }
  | { type: "string"; value: string }
  | { type: "strings"; value: readonly string[] }
  | { type: "u32s" | "i32s" | "f32s"; value: readonly number[] };

/** An entry of the metadata. */
export type GgufPair = { key: string } & GgufValue;

/** What a reader makes of a value; integers of 64 bits stay exact. */
export type ReadValue = number | bigint | boolean | string | ReadValue[];

/** `GGUF`, then the version. */
export const MAGIC = 0x4655_4747;

/** The numbers of the types of values. */
export const VALUE_TYPES = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;
