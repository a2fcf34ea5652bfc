/** Images to the tokens the transformer works on, and back. */

import type { Denoiser } from "./denoiser.ts";
import { DIT } from "./dimensions.ts";
import { applyLinear } from "../forward/linear.ts";

/** Pixel by pixel of the tokens, its index in the image: [64]. */
const PATCH_ORDER = Uint8Array.from(
  { length: DIT.pixels },
  (_, i) => pixelIndex(Math.floor(i / DIT.patch ** 2), i % DIT.patch ** 2),
);

/** Where pixel `i` of patch `token` lies in an image: patches and their pixels row by row. */
function pixelIndex(token: number, i: number): number {
  const { size, patch } = DIT;
  const across = size / patch;
  const row = Math.floor(token / across) * patch + Math.floor(i / patch);
  return row * size + (token % across) * patch + (i % patch);
}

/**
 * Cuts images into patches and embeds them with their positions, as the workspace's `tokens`.
 *
 * @param images [images, 64], -1 to 1.
 */
export function embedImages(model: Denoiser, images: Float32Array): void {
  const { pixels, tokens, hidden, patch } = DIT;
  const { patches, tokens: out } = model.workspace;
  for (let i = 0; i < images.length; i++) {
    patches[i] = images[i - (i % pixels) + PATCH_ORDER[i % pixels]!]!;
  }
  const rows = images.length / patch ** 2;
  applyLinear(model.patchEmbedder, patches, out, rows);
  const imageSize = tokens * hidden;
  for (let i = 0; i < rows * hidden; i++) out[i] = out[i]! + model.positions[i % imageSize]!;
}

/**
 * The inverse of the cut.
 *
 * @param patches [images * 16, stride], of which the first 4 columns count.
 * @param out Receives the images: [images, 64].
 */
export function joinPatches(patches: Float32Array, stride: number, out: Float32Array): void {
  const { pixels, patch } = DIT;
  const width = patch ** 2;
  for (let i = 0; i < out.length; i++) {
    const value = patches[Math.floor(i / width) * stride + i % width]!;
    out[i - (i % pixels) + PATCH_ORDER[i % pixels]!] = value;
  }
}
