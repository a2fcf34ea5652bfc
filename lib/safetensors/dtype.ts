/** The dtypes of a safetensors file, their widths, and the float formats the quantizer reads. */

import { BadInputError } from "../base/errors.ts";

/** Width of one element in bits (not bytes: F4 and F6 have no whole byte). */
const BITS_PER_ELEMENT = new Map<string, number>([
  ["BOOL", 8],
  ["F4", 4],
  ["F6_E2M3", 6],
  ["F6_E3M2", 6],
  ["U8", 8],
  ["I8", 8],
  ["F8_E5M2", 8],
  ["F8_E4M3", 8],
  ["F8_E8M0", 8],
  ["F8_E4M3FNUZ", 8],
  ["F8_E5M2FNUZ", 8],
  ["I16", 16],
  ["U16", 16],
  ["F16", 16],
  ["BF16", 16],
  ["I32", 32],
  ["U32", 32],
  ["F32", 32],
  ["C64", 64],
  ["F64", 64],
  ["I64", 64],
  ["U64", 64],
]);

/** The dtypes a weight may have to be quantized; its scales are stored in the same dtype. */
export type FloatDtype = "F32" | "F16" | "BF16";

/** The floats that F32 holds exactly, and takes twice the bytes for. */
export type NarrowDtype = "F16" | "BF16";

/** Width of one element of a dtype in bits, or `undefined` for a dtype the format does not know. */
export function bitsPerElement(dtype: string): number | undefined {
  return BITS_PER_ELEMENT.get(dtype);
}

/** The dtype names the format knows, in the order of their width. */
export function knownDtypes(): string[] {
  return [...BITS_PER_ELEMENT.keys()];
}

/** Whether weights of this dtype can be quantized. */
export function isFloatDtype(dtype: string): dtype is FloatDtype {
  return dtype === "F32" || dtype === "F16" || dtype === "BF16";
}

/** Bytes of one element of a quantizable dtype. */
export function floatBytes(dtype: FloatDtype): number {
  return dtype === "F32" ? 4 : 2;
}

const SCALE_RANGE: Record<FloatDtype, { min: number; max: number }> = {
  F16: { min: 2 ** -24, max: 65504 },
  BF16: { min: 2 ** -126, max: (2 - 2 ** -7) * 2 ** 127 },
  F32: { min: 2 ** -126, max: (2 - 2 ** -23) * 2 ** 127 },
};

/**
 * The smallest and the largest scale of a dtype. For F16 that is its least subnormal, since a layer of
 * small weights would lose up to 18 dB at its least normal; those of the others are beyond any use.
 */
export function scaleRange(dtype: FloatDtype): { min: number; max: number } {
  return SCALE_RANGE[dtype];
}

const scratchF32 = new Float32Array(1);
const scratchU32 = new Uint32Array(scratchF32.buffer);

/** Bits of the BF16 value nearest to a finite F32 value, half to even. */
function bf16Bits(value: number): number {
  scratchF32[0] = value;
  const bits = scratchU32[0]!;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/**
 * Rounds to F32, then to the dtype, half to even both times: the value a scale
 * has once it is stored.
 *
 * @param value A finite number.
 * @param dtype The dtype it is stored in.
 */
export function roundToDtype(value: number, dtype: FloatDtype): number {
  const single = Math.fround(value);
  if (dtype === "F32") return single;
  if (dtype === "F16") return Math.f16round(single);
  scratchU32[0] = bf16Bits(single) << 16;
  return scratchF32[0]!;
}

/** A scale as it is stored: rounded to the dtype, and within what that holds. */
export function roundScale(value: number, dtype: FloatDtype): number {
  const { min, max } = scaleRange(dtype);
  return Math.min(Math.max(roundToDtype(value, dtype), min), max);
}

/** Rounds scales in place, see {@linkcode roundScale}; many at a time, which is faster. */
export function roundScales(scales: Float32Array, dtype: FloatDtype): void {
  const { min, max } = SCALE_RANGE[dtype];
  if (dtype === "F16") {
    const halves = new Float16Array(scales);
    for (let i = 0; i < scales.length; i++) scales[i] = Math.min(Math.max(halves[i]!, min), max);
    return;
  }
  const bits = new Uint32Array(scales.buffer, scales.byteOffset, scales.length);
  if (dtype === "BF16") {
    for (let i = 0; i < bits.length; i++) {
      const word = bits[i]!;
      bits[i] = (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff_0000;
    }
  }
  for (let i = 0; i < scales.length; i++) {
    if (!(scales[i]! >= min)) scales[i] = min;
    else if (scales[i]! > max) scales[i] = max;
  }
}

/**
 * Decodes little-endian floats to F32. Subnormal F32 values (|x| < 2^-126) become
 * 0, since GPUs may flush them and every backend has to give the same codes.
 *
 * @param bytes At least `out.length` elements of the dtype, at any alignment.
 * @param out Receives the values; its length is the number of elements decoded.
 */
export function decodeFloats(bytes: Uint8Array, dtype: FloatDtype, out: Float32Array): void {
  const count = out.length;
  const width = floatBytes(dtype);
  if (bytes.length < count * width) {
    throw new BadInputError(
      `Cannot decode ${count} ${dtype} values: ${bytes.length} bytes given, ${
        count * width
      } needed`,
    );
  }
  const start = bytes.byteOffset % width === 0 ? bytes : bytes.slice(0, count * width);
  if (dtype === "F16") {
    out.set(new Float16Array(start.buffer, start.byteOffset, count));
    return;
  }
  const bits = new Uint32Array(out.buffer, out.byteOffset, count);
  if (dtype === "F32") {
    const source = new Uint32Array(start.buffer, start.byteOffset, count);
    for (let i = 0; i < count; i++) {
      const word = source[i]!;
      bits[i] = (word & 0x7f80_0000) === 0 ? 0 : word;
    }
    return;
  }
  const source = new Uint16Array(start.buffer, start.byteOffset, count);
  for (let i = 0; i < count; i++) {
    const half = source[i]!;
    bits[i] = (half & 0x7f80) === 0 ? 0 : half << 16;
  }
}

/**
 * Encodes values that are already exact in the dtype (see {@linkcode roundToDtype})
 * as little-endian bytes.
 */
export function encodeFloats(values: Float32Array, dtype: FloatDtype): Uint8Array<ArrayBuffer> {
  if (dtype === "F32") return new Uint8Array(values.slice().buffer);
  if (dtype === "F16") return new Uint8Array(new Float16Array(values).buffer);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) halves[i] = bf16Bits(values[i]!);
  return new Uint8Array(halves.buffer);
}

/** The same values as F32, subnormal ones as well. */
export function widenFloats(bytes: Uint8Array, dtype: NarrowDtype): Uint8Array<ArrayBuffer> {
  const halves = new Uint16Array(bytes.slice().buffer);
  if (dtype === "F16") {
    return new Uint8Array(new Float32Array(new Float16Array(halves.buffer)).buffer);
  }
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < words.length; i++) words[i] = halves[i]! << 16;
  return new Uint8Array(words.buffer);
}
