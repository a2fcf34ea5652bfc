/** Reads the small data files beside the models: safetensors whose tensors fit in memory. */

import { BadInputError } from "../../lib/base/errors.ts";
import { quote } from "../../lib/base/text.ts";
import { openSource, readHeader } from "../../lib/safetensors/read.ts";

/** What a tensor of each dtype becomes. */
interface Arrays {
  /** Bytes. */
  U8: Uint8Array;
  /** Little-endian integers of 4 bytes. */
  I32: Int32Array;
  /** Little-endian floats of 4 bytes. */
  F32: Float32Array;
}

/**
 * Reads tensors of known names, each row by row.
 *
 * @param path A safetensors file.
 * @param dtypes The dtype that each of them has to have.
 * @throws {BadInputError} The file cannot be read, or lacks one.
 */
export function readArrays<Wanted extends Readonly<Record<string, keyof Arrays>>>(
  path: string,
  dtypes: Wanted,
): { [Name in keyof Wanted]: Arrays[Wanted[Name]] } {
  const source = openSource(path, path);
  try {
    const { tensors } = readHeader(source, path);
    const entries = Object.entries(dtypes).map(([name, dtype]) => {
      const tensor = tensors.find((tensor) => tensor.name === name && tensor.dtype === dtype);
      if (tensor === undefined) {
        throw new BadInputError(
          `Cannot read ${quote(path)}: no ${dtype} tensor "${name}"`,
        );
      }
      const bytes = new Uint8Array(tensor.end - tensor.begin);
      source.readInto(tensor.begin, bytes);
      return [name, view(bytes, dtype)];
    });
    return Object.fromEntries(entries);
  } finally {
    source.close();
  }
}

function view({ buffer }: Uint8Array<ArrayBuffer>, dtype: keyof Arrays): Arrays[keyof Arrays] {
  if (dtype === "U8") return new Uint8Array(buffer);
  return dtype === "I32" ? new Int32Array(buffer) : new Float32Array(buffer);
}
