/** Writes the header of a safetensors file. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { knownDtypes } from "./dtype.ts";
import { LENGTH_BYTES, MAX_HEADER_BYTES } from "./header.ts";

/** A tensor to be written. */
export interface NewTensor {
  /** Name; must not be `__metadata__`. */
  name: string;
  /** One of the format's dtypes. */
  dtype: string;
  /** Dimensions. */
  shape: number[];
  /** Size of the data in bytes. */
  byteLength: number;
}

/** Characters of a header that are put together before they are encoded. */
const ENCODED_AT_ONCE = 2 ** 16;

/** Bytes that a character of a text takes in UTF-8, at most: those of two UTF-16 units take four. */
const MOST_UTF8 = 3;

/** How much larger than needed a buffer is made that has to grow. */
const GROWTH = 1.5;

/** A header ready to be written, and where each tensor's data goes. */
export interface EncodedHeader {
  /** Length prefix and JSON, padded with spaces to a multiple of 8 bytes. */
  bytes: Uint8Array<ArrayBuffer>;
  /** First byte of each tensor given, in their order, counted from the start of the file. */
  begins: Float64Array;
  /** Length of the whole file in bytes. */
  byteLength: number;
}

/**
 * Lays out a file as the safetensors library does: tensors by dtype (widest first), then by name, so that
 * all data is aligned and the same tensors give the same bytes in any order.
 *
 * @throws {BadInputError} A name is used twice or is `__metadata__`, or the header would pass 100 MB.
 */
export function encodeHeader(
  tensors: readonly NewTensor[],
  metadata: ReadonlyMap<string, string>,
): EncodedHeader {
  const byDtype = Map.groupBy(tensors.keys(), (i) => tensors[i]!.dtype);
  const byName = (a: number, b: number) => compareNames(tensors[a]!, tensors[b]!);
  const order = knownDtypes().toReversed().flatMap((dtype) =>
    (byDtype.get(dtype) ?? []).sort(byName)
  );
  const utf8 = new TextEncoder();
  let buffer = new ArrayBuffer(ENCODED_AT_ONCE);
  let used = LENGTH_BYTES;
  let text = "{";
  /** Encodes the entries that wait; hundreds of thousands of them are not kept as texts. */
  const encode = () => {
    const room = used + MOST_UTF8 * text.length;
    // What is outgrown is given up at once, not when garbage is collected.
    if (room > buffer.byteLength) buffer = buffer.transfer(Math.ceil(room * GROWTH));
    used += utf8.encodeInto(text, new Uint8Array(buffer, used)).written;
    text = "";
  };
  const put = (entry: string) => {
    text += text === "{" ? entry : `,${entry}`;
    if (text.length > ENCODED_AT_ONCE) encode();
  };
  if (metadata.size > 0) {
    const sorted = [...metadata].sort(([a], [b]) => (a < b ? -1 : 1));
    const pairs = sorted.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
    put(`"__metadata__":{${pairs.join(",")}}`);
  }
  refuseTwins(order.map((i) => tensors[i]!.name));
  const begins = new Float64Array(tensors.length);
  let offset = 0;
  for (const i of order) {
    const { name, dtype, shape, byteLength } = tensors[i]!;
    begins[i] = offset;
    const range = `[${offset},${offset + byteLength}]`;
    put(`${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape}],"data_offsets":${range}}`);
    offset += byteLength;
  }
  text += "}";
  encode();
  const length = Math.ceil((used - LENGTH_BYTES) / 8) * 8;
  if (length > MAX_HEADER_BYTES) {
    throw new BadInputError(
      `Cannot write the header: ${length} bytes, at most ${MAX_HEADER_BYTES} are allowed: ` +
        "split the model into more shards",
    );
  }
  const bytes = new Uint8Array(buffer.transfer(LENGTH_BYTES + length)).fill(0x20, used);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  for (let i = 0; i < begins.length; i++) begins[i]! += bytes.length;
  return { bytes, begins, byteLength: bytes.length + offset };
}

/** Checks that no name is used twice; sorting them takes less memory than a set. */
function refuseTwins(names: string[]): void {
  names.sort();
  for (const [i, name] of names.entries()) {
    if (name !== "__metadata__" && name !== names[i + 1]) continue;
    throw new BadInputError(`Cannot write tensor ${quote(name)}: the name is already taken`);
  }
}

/** The order of two tensors, by their names. */
export function compareNames(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
