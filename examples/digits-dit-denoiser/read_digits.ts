/** Reads the handwritten digits; their source is named in `digits-dit-data/README.md`, too. */

import { fileURLToPath } from "node:url";
import { readArrays } from "../forward/read_arrays.ts";

/** To be named where the digits are shown, or those of a model that learned from them. */
export const DIGITS_SOURCE =
  "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI, CC BY 4.0";

/** Largest grey level; 0 is the background. */
export const WHITE = 16;

/** Images and what they show. */
export interface Digits {
  /** Grey levels: [count, 64], 0 to 16. */
  images: Uint8Array;
  /** [count], 0 to 9. */
  labels: Uint8Array;
}

const PATH = fileURLToPath(new URL("../digits-dit-data/digits.safetensors", import.meta.url));

/**
 * Reads the data set.
 *
 * @param path A safetensors file with `images` and `labels`, both U8.
 * @throws {BadInputError} The file cannot be read, or holds neither.
 */
export function readDigits(path = PATH): Digits {
  return readArrays(path, { images: "U8", labels: "U8" });
}

/** Grey levels 0..16 to the model's -1..1. */
export function toModel(images: Uint8Array): Float32Array {
  return Float32Array.from(images, (level) => level / (WHITE / 2) - 1);
}

/** The model's -1..1 to the nearest grey level 0..16. */
export function toGrey(images: Float32Array): Uint8Array {
  return Uint8Array.from(
    images,
    (x) => Math.min(WHITE, Math.max(0, Math.round((x + 1) * (WHITE / 2)))),
  );
}
