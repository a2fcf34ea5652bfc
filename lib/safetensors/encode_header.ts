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
  refuseTwins(order.map((i) => tensors[i]!.name));
  const header = encodeEntries(order.values().map((i) => tensors[i]!), metadata);
  const begins = new Float64Array(tensors.length);
  let begin = header.bytes.length;
  for (const i of order) {
    begins[i] = begin;
    begin += tensors[i]!.byteLength;
  }
  return { ...header, begins };
}

/**
 * The header of a file whose tensors lie one behind the other as they come. Nothing is kept of each, so that there may
 * be hundreds of thousands.
 *
 * @param tensors All have other names, none `__metadata__`, and their dtypes are of one width, or the widest come first.
 * @throws {BadInputError} The header would pass 100 MB.
 */
export function encodeEntries(
  tensors: Iterable<NewTensor>,
  metadata: ReadonlyMap<string, string>,
): Omit<EncodedHeader, "begins"> {
  const utf8 = new TextEncoder();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let text = "{";
  const put = (entry: string) => {
    text += text === "{" ? entry : `,${entry}`;
    if (text.length < ENCODED_AT_ONCE) return;
    parts.push(utf8.encode(text));
    // What is put next has a comma before it.
    text = "";
  };
  if (metadata.size > 0) {
    const sorted = [...metadata].sort(([a], [b]) => (a < b ? -1 : 1));
    const pairs = sorted.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
    put(`"__metadata__":{${pairs.join(",")}}`);
  }
  let offset = 0;
  for (const { name, dtype, shape, byteLength } of tensors) {
    const range = `[${offset},${offset + byteLength}]`;
    put(`${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape}],"data_offsets":${range}}`);
    offset += byteLength;
  }
  parts.push(utf8.encode(`${text}}`));
  const used = parts.reduce((size, { length }) => size + length, 0);
  const length = Math.ceil(used / 8) * 8;
  if (length > MAX_HEADER_BYTES) {
    throw new BadInputError(
      `Cannot write the header: ${length} bytes, at most ${MAX_HEADER_BYTES} are allowed: ` +
        "split the model into more shards",
    );
  }
  const bytes = new Uint8Array(LENGTH_BYTES + length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  let at = LENGTH_BYTES;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
    // Given up at once, not when garbage is collected: together they are as large as the header.
    part.buffer.transfer(0);
  }
  bytes.fill(0x20, at);
  return { bytes, byteLength: bytes.length + offset };
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
