/** Model directories for tests: real safetensors files, made byte by byte. */

import { join } from "node:path";
import { encodeFloats, type FloatDtype } from "../lib/safetensors/dtype.ts";
import { encodeHeader } from "../lib/safetensors/encode_header.ts";

/** A tensor with its data. */
export interface TestTensor {
  name: string;
  dtype: string;
  shape: number[];
  data: Uint8Array;
}

/** A matrix of floats. */
export function matrix(
  name: string,
  rows: number,
  columns: number,
  value: (index: number) => number,
  dtype: FloatDtype = "F32",
): TestTensor {
  const values = Float32Array.from({ length: rows * columns }, (_, i) => value(i));
  return { name, dtype, shape: [rows, columns], data: encodeFloats(values, dtype) };
}

/** Deterministic values between -1 and 1. */
export function noise(seed: number): (index: number) => number {
  return (index) => {
    let x = Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
    x = Math.imul(x ^ (x >>> 12), 0x297a2d39);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 31 - 1;
  };
}

/** The bytes of a safetensors file. */
export function encodeFile(
  tensors: TestTensor[],
  metadata = new Map([["format", "pt"]]),
): Uint8Array<ArrayBuffer> {
  const header = encodeHeader(
    tensors.map(({ name, dtype, shape, data }) => ({
      name,
      dtype,
      shape,
      byteLength: data.length,
    })),
    metadata,
  );
  const file = new Uint8Array(header.byteLength);
  file.set(header.bytes);
  for (const [i, { data }] of tensors.entries()) file.set(data, header.begins[i]);
  return file;
}

/** A file whose header is this text, followed by so many zero bytes. */
export function rawFile(header: string | Uint8Array, dataBytes = 0): Uint8Array<ArrayBuffer> {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + json.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

/** Writes files into a new temporary directory, calls `use` with its path and removes it. */
export async function withFiles(
  files: Record<string, Uint8Array | string>,
  use: (directory: string) => void | Promise<void>,
): Promise<void> {
  const directory = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "isotherm-test-" }));
  try {
    for (const [name, content] of Object.entries(files)) {
      const path = join(directory, name);
      Deno.mkdirSync(join(path, ".."), { recursive: true });
      if (typeof content === "string") Deno.writeTextFileSync(path, content);
      else Deno.writeFileSync(path, content);
    }
    await use(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}
