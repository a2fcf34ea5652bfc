/** The dimensions of the digits DiT. */

/** Dimensions, as in the model's config.json. */
export const DIT = {
  /** Height and width of an image in pixels. */
  size: 8,
  /** Pixels of an image. */
  pixels: 64,
  /** Height and width of a patch in pixels. */
  patch: 2,
  /** Patches of an image. */
  tokens: 16,
  /** Features of a token. */
  hidden: 128,
  /** Features between the two layers of an MLP. */
  mlp: 512,
  /** Attention heads. */
  heads: 4,
  /** Features of a head. */
  headSize: 32,
  /** Transformer blocks. */
  depth: 4,
  /** Classes, the digits; this label itself means "no class". */
  classes: 10,
  /** Steps of the noise schedule. */
  timesteps: 1000,
} as const;
