/** Every setting of a run: its default, its limits and the reason for them. */

import type { BackendChoice, Bits, Phase, SmoothingMethod } from "./types.ts";

/** What a run is asked to do with a model. */
export interface QuantizeSettings {
  /** Width of a code. Default 2. */
  bits: Bits;
  /** Time groups G, 1 to 1000. Default 4. */
  timeGroups: number;
  /** Columns of a block, a multiple of 16; `undefined`: one block for each slice. */
  groupSize: number | undefined;
  /** Scale jump above which a boundary is a violation, above 0 and at most 10. Default 0.3. */
  threshold: number;
  /** Patterns of layers to leave alone. Default none. */
  ignore: readonly string[];
  /** Whether the built-in list of sensitive layers is left alone as well. Default true. */
  defaultIgnore: boolean;
  /** Whether a layer whose columns `groupSize` does not divide is an error. Default false. */
  strict: boolean;
  /** How parameters are chosen. Default `baseline`. */
  phase: Phase;
  /**
   * Steps on each side of a boundary over which parameters move, 1 to 20. Default `undefined`:
   * {@linkcode DEFAULT_WINDOW} in phase smooth, no smoothing in phase optimize.
   */
  smoothingWindow: number | undefined;
  /** The curve along which they move. Default `linear`. */
  smoothingMethod: SmoothingMethod;
  /** Phase optimize: what a jump of 1 at a boundary costs, 0 to 1000. Default 1. */
  markovWeight: number;
  /** What computes. Default `auto`: the fastest this machine has; all give the same bytes. */
  backend: BackendChoice;
}

/** Steps on each side of a boundary over which phase smooth moves parameters, unless told otherwise. */
export const DEFAULT_WINDOW = 5;

/** Scale jump above which a boundary is a violation, unless another threshold is given. */
export const DEFAULT_THRESHOLD = 0.3;

/** The settings of a run without flags. */
export const DEFAULT_SETTINGS: QuantizeSettings = {
  bits: 2,
  timeGroups: 4,
  groupSize: undefined,
  threshold: DEFAULT_THRESHOLD,
  ignore: [],
  defaultIgnore: true,
  strict: false,
  phase: "baseline",
  smoothingWindow: undefined,
  smoothingMethod: "linear",
  markovWeight: 1,
  backend: "auto",
};

/** Limits of the numeric settings. */
export const LIMITS = {
  /** More groups than the 1000 timesteps of the usual noise schedule make no sense. */
  timeGroups: { min: 1, max: 1000 },
  /**
   * Below 16 columns a block's scale and zero point cost as much as its 2-bit codes; multiples of 16
   * keep each block on whole 32-bit words.
   */
  groupSize: { min: 16, max: 65536, multiple: 16 },
  /** A jump is relative: 10 is elevenfold, and nothing a model does. */
  threshold: { above: 0, max: 10 },
  /** Wider windows than 20 steps no longer belong to a boundary. */
  smoothingWindow: { min: 1, max: 20 },
  /** A jump of 1 is a scale that doubles; at 1000 nothing else counts. */
  markovWeight: { min: 0, max: 1000 },
  /** What a figure may lose: no score or share is larger than 1, and 1000 dB or violations are anything. */
  tolerance: { min: 0, max: 1000 },
} as const;

/** What `--backend` may name. */
export const BACKEND_CHOICES = [
  "auto",
  "webgpu",
  "wasm",
  "reference",
] as const satisfies BackendChoice[];

/** What `--phase` may name. */
export const PHASES = ["baseline", "smooth", "optimize"] as const satisfies Phase[];

/** What `--smoothing-method` may name. */
export const SMOOTHING_METHODS = [
  "linear",
  "cubic",
  "sigmoid",
] as const satisfies SmoothingMethod[];
