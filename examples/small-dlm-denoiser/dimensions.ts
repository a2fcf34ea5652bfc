/** The dimensions of the small masked diffusion language model. */

/** Dimensions, as in the model's config.json. */
export const DLM = {
  /** Tokens of a sequence. */
  tokens: 128,
  /** Distinct tokens, `mask` included. */
  vocabulary: 1024,
  /** The token that stands where one is to be predicted; it is never predicted itself. */
  mask: 1023,
  /** Features of a token. */
  hidden: 256,
  /** Features between the layers of an MLP. */
  mlp: 640,
  /** Transformer layers. */
  depth: 4,
  /** Heads of queries. */
  heads: 4,
  /** Heads of keys and values; each serves two heads of queries that stand side by side. */
  keyHeads: 2,
  /** Features of a head. */
  headSize: 64,
  /** Added to a mean square before it is divided by. */
  epsilon: 1e-6,
  /** Base of the angles by which queries and keys are turned. */
  theta: 10_000,
} as const;
