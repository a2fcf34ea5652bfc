/**
 * Reads the header of a GGUF file, version 2 or 3. Every rule that the data has to follow is checked
 * here, once, before anything else looks at the file.
 */

import { BadInputError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import type { ByteSource } from "../../safetensors/read.ts";
import { ALIGNMENT, alignUp } from "./encode_header.ts";
import { openValues, type ValueReader } from "./read_values.ts";
import { knownTensorTypes, tensorLayout } from "./tensor_types.ts";
import { MAGIC, type ReadValue } from "./value_types.ts";

/** One tensor of a file. */
export interface GgufTensor {
  /** Name as stored; may hold any character. */
  name: string;
  /** ggml's number of the type; one of those Isotherm knows. */
  type: number;
  /** Dimensions, outermost first, as in safetensors; empty for a scalar. */
  shape: number[];
  /** First byte of the data, counted from the start of the file. */
  begin: number;
  /** Byte after the last one. */
  end: number;
}

/** What a header says. */
export interface GgufHeader {
  /** In the order of the file. */
  metadata: Map<string, ReadValue>;
  /** In the order of their data. */
  tensors: GgufTensor[];
}

/** Most dimensions read; ggml has 4, convolutions over videos have 5. */
const MAX_DIMENSIONS = 8;

/** Largest alignment read; every writer known uses 32. */
const MAX_ALIGNMENT = 65536;

/** Most pairs read; models have less than 100. */
const MAX_PAIRS = 65536;

/** Bytes of the shortest pair: a length, a type, one byte. */
const PAIR_BYTES = 13;

/** Bytes of the shortest tensor: a length, a number of dimensions, a type, an offset. */
const TENSOR_BYTES = 24;

/**
 * Reads and validates the header of an open file.
 *
 * @param label The file's name in messages.
 * @throws {BadInputError} Any rule of the format is broken, or a type is not one that Isotherm knows.
 */
export function readGgufHeader(
  source: Pick<ByteSource, "byteLength" | "readInto">,
  label: string,
): GgufHeader {
  try {
    return parse(openValues(source), source.byteLength);
  } catch (error) {
    if (!(error instanceof BadInputError) || error.message.startsWith("Cannot read")) throw error;
    throw new BadInputError(`Cannot read ${quote(label)}: ${error.message}`);
  }
}

function parse(reader: ValueReader, byteLength: number): GgufHeader {
  const magic = reader.u32("the magic number");
  if (magic !== MAGIC) {
    throw new BadInputError('it is not a GGUF file: it does not begin with "GGUF"');
  }
  const version = reader.u32("the version");
  if (version !== 2 && version !== 3) {
    const isSwapped = version === 0x0200_0000 || version === 0x0300_0000;
    const hint = isSwapped ? ": it is a big-endian file" : "";
    throw new BadInputError(`GGUF version ${version}, expected 2 or 3${hint}`);
  }
  const tensorCount = reader.count("the number of tensors", TENSOR_BYTES);
  const pairCount = reader.count("the number of metadata pairs", PAIR_BYTES);
  if (pairCount > MAX_PAIRS) {
    throw new BadInputError(`${pairCount} metadata pairs, at most ${MAX_PAIRS} are allowed`);
  }
  const metadata = new Map<string, ReadValue>();
  for (let i = 0; i < pairCount; i++) {
    const key = reader.text(`metadata key ${i}`);
    if (metadata.has(key)) throw new BadInputError(`metadata ${quote(key)} is there twice`);
    metadata.set(key, reader.value(key));
  }
  const alignment = readAlignment(metadata);
  const tensors: GgufTensor[] = [];
  for (let i = 0; i < tensorCount; i++) tensors.push(readTensor(reader, i, alignment));
  const dataStart = alignUp(reader.position(), alignment);
  for (const tensor of tensors) {
    tensor.begin += dataStart;
    tensor.end += dataStart;
  }
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkPlaces(tensors, byteLength);
  return { metadata, tensors };
}

function readAlignment(metadata: ReadonlyMap<string, ReadValue>): number {
  const value = metadata.get("general.alignment") ?? ALIGNMENT;
  const isValid = typeof value === "number" && value >= 1 && value <= MAX_ALIGNMENT &&
    Number.isInteger(Math.log2(value));
  if (isValid) return value;
  const shown = typeof value === "number" ? String(value) : "something else";
  throw new BadInputError(
    `metadata "general.alignment" is ${shown}, expected a power of 2 up to ${MAX_ALIGNMENT}`,
  );
}

/** A tensor whose `begin` and `end` are counted from the start of the data. */
function readTensor(reader: ValueReader, index: number, alignment: number): GgufTensor {
  const name = reader.text(`the name of tensor ${index}`);
  const what = `tensor ${quote(name)}`;
  const fail = (message: string): never => {
    throw new BadInputError(`${what}: ${message}`);
  };
  const dimensions = reader.u32(`the number of dimensions of ${what}`);
  if (dimensions > MAX_DIMENSIONS) {
    fail(`it has ${dimensions} dimensions, at most ${MAX_DIMENSIONS} are allowed`);
  }
  const shape: number[] = [];
  for (let i = 0; i < dimensions; i++) shape.unshift(reader.u64(`a dimension of ${what}`));
  const type = reader.u32(`the type of ${what}`);
  const layout = tensorLayout(type);
  if (layout === undefined) {
    return fail(`unknown type ${type}, expected one of ${knownTensorTypes()}`);
  }
  const columns = shape.at(-1) ?? 1;
  if (columns % layout.columns !== 0) {
    fail(`a row of ${columns} elements is no whole number of ${layout.name} blocks`);
  }
  // In integers of any size: the product of eight dimensions may pass whatever a number holds.
  const size = shape.reduce((product, n) => product * BigInt(n), BigInt(layout.bytes)) /
    BigInt(layout.columns);
  const begin = reader.u64(`the offset of ${what}`);
  if (begin % alignment !== 0) fail(`its offset ${begin} is no multiple of ${alignment}`);
  if (BigInt(begin) + size > BigInt(Number.MAX_SAFE_INTEGER)) {
    fail(`it ends at byte ${BigInt(begin) + size} of the data, above 2^53-1`);
  }
  return { name, type, shape, begin, end: begin + Number(size) };
}

/** Every tensor lies in the file, and none in another. */
function checkPlaces(tensors: readonly GgufTensor[], byteLength: number): void {
  const names = new Set<string>();
  let previous: GgufTensor | undefined;
  for (const tensor of tensors) {
    const { name, begin, end } = tensor;
    const fail = (message: string): never => {
      throw new BadInputError(`tensor ${quote(name)}: ${message}`);
    };
    if (names.has(name)) fail("the name is there twice");
    names.add(name);
    if (end > byteLength) {
      fail(`it ends at byte ${end}, the file has ${byteLength}: it is cut short or damaged`);
    }
    if (previous !== undefined && begin < previous.end) {
      fail(
        `its data begins at byte ${begin}, before that of ${
          quote(previous.name)
        } ends, ${previous.end}`,
      );
    }
    previous = tensor;
  }
}
