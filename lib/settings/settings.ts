/** Every setting of a run: its default, its limits and the reason for them; check_settings.ts judges them. */

import type {
  ActivationBits,
  ActivationRange,
  BackendChoice,
  Bits,
  CodeWidth,
  FormatName,
  Granularity,
  Grouping,
  OutlierInputs,
  Phase,
  SmoothingMethod,
} from "../types.ts";

/** What a run is asked to do with a model. */
export interface QuantizeSettings {
  /** Width of a code. Default 2. */
  bits: Bits;
  /** Time groups G, 1 to 1000. Default 4. */
  timeGroups: number;
  /** What shares parameters: the blocks of a row, or all rows of a time group. Default `row`. */
  granularity: Granularity;
  /**
   * Columns of a block, a multiple of 16; `"row"`: one block for each row. Default `undefined`:
   * {@linkcode DEFAULT_GROUP_SIZE} by rows, one block for each slice by slices.
   */
  groupSize: number | "row" | undefined;
  /** How a checkpoint is laid out, and so what loads it. Default `compressed-tensors`. */
  format: FormatName;
  /**
   * Whether every block is symmetric about 0: its zero point is the middle code, and no loader has to
   * know zero points. Default false.
   */
  symmetric: boolean;
  /**
   * What becomes of modulation layers, which turn the timestep into shifts and scales of the others: codes
   * of 8 or 4 bits, a block each row where the format can, or nothing. Default 8. Without `defaultIgnore`
   * they are layers like the others.
   */
  modulation: Modulation;
  /** Scale jump above which a boundary is a violation, above 0 and at most 10. Default 0.3. */
  threshold: number;
  /** Patterns of layers to leave alone. Default none. */
  ignore: readonly string[];
  /**
   * Components of a pipeline that are quantized, by the names of their folders. Default none: its
   * denoisers, which are called `transformer`, `transformer_2` or `unet`.
   */
  components: readonly string[];
  /** Whether the built-in list of sensitive layers is left alone as well. Default true. */
  defaultIgnore: boolean;
  /**
   * Whether it is an error that `groupSize` does not suit the columns of a layer, that a layer has fewer
   * rows than there are time groups, or that a calibration does not know all layers. Default false.
   */
  strict: boolean;
  /** How parameters are chosen. Default `baseline`. */
  phase: Phase;
  /**
   * Steps on each side of a boundary over which parameters move, 1 to 20. Default `undefined`:
   * {@linkcode DEFAULT_WINDOWS} in phase smooth, no smoothing in phase optimize.
   */
  smoothingWindow: number | undefined;
  /** The curve along which they move. Default `linear`. */
  smoothingMethod: SmoothingMethod;
  /**
   * Phase optimize: what a jump of 1 at a boundary costs, 0 to 1000. Default `undefined`: 0 by rows, 1
   * by slices, see {@linkcode markovWeightOf}.
   */
  markovWeight: number | undefined;
  /**
   * Phase optimize: a file of statistics of the layers' inputs over the diffusion time, by which the errors of
   * rounding are compensated. Default `undefined`: without.
   */
  calibration: string | undefined;
  /**
   * How much each timestep of a calibration counts, where the file has segments of the time axis. Default
   * `undefined`: as it was recorded.
   */
  timestepWeights: TimestepWeights | undefined;
  /**
   * Width of a code of the layers' inputs, whose quantizers, one for each time group, are planned from a calibration
   * with histograms and stored beside the checkpoint. Default `undefined`: inputs are not quantized.
   */
  activationBits: ActivationBits | undefined;
  /**
   * How the range of inputs is chosen. Default `undefined`: `minmax`, and in phase optimize `optimize`, see
   * {@linkcode activationRangeOf}.
   */
  activationRange: ActivationRange | undefined;
  /**
   * Where the time groups of inputs begin. Default `undefined`: `equal`, and in phase optimize `optimal`, see
   * {@linkcode groupingOf}.
   */
  grouping: Grouping | undefined;
  /**
   * What becomes of inputs whose relative error at 8 bits would be more than ten times that of the median layer's, as
   * where a few outliers stretch the range. Default `keep`: they are not quantized.
   */
  outlierInputs: OutlierInputs;
  /** What computes. Default `auto`: the fastest, which is `wasm`; all give the same bytes. */
  backend: BackendChoice;
}

/** How much a timestep counts: by its signal-to-noise ratio, or as much as any other. */
export type TimestepWeights = "snr" | "uniform";

/** What becomes of modulation layers. */
export type Modulation = 8 | 4 | "keep";

/** Columns of a block in GGUF: of Q4_1 and Q8_0, and of the K-quants. */
export const GGUF_SIZES = { small: 32, large: 256 } as const;

/** Columns of a block by rows, unless another size is given: what runtimes have kernels for. */
export const DEFAULT_GROUP_SIZE = 128;

/**
 * Steps on each side of a boundary over which phase smooth moves parameters, unless told otherwise. By rows
 * one is enough for a score of 0.975 and more and costs a small model of 8 bits 0.6 dB; five cost it 2 dB,
 * and 3.8 dB where the windows cover most of its rows.
 */
export const DEFAULT_WINDOWS: Record<Granularity, number> = { row: 1, slice: 5 };

/**
 * Timesteps on each side of a boundary over which phase smooth moves the parameters of inputs, unless told otherwise:
 * they drift slowly, so that five cost nothing.
 */
export const DEFAULT_INPUT_WINDOW = 5;

/** Scale jump above which a boundary is a violation, unless another threshold is given. */
export const DEFAULT_THRESHOLD = 0.3;

/** The settings of a run without flags. */
export const DEFAULT_SETTINGS: QuantizeSettings = {
  bits: 2,
  timeGroups: 4,
  granularity: "row",
  groupSize: undefined,
  format: "compressed-tensors",
  symmetric: false,
  modulation: 8,
  threshold: DEFAULT_THRESHOLD,
  ignore: [],
  components: [],
  defaultIgnore: true,
  strict: false,
  phase: "baseline",
  smoothingWindow: undefined,
  smoothingMethod: "linear",
  markovWeight: undefined,
  calibration: undefined,
  timestepWeights: undefined,
  activationBits: undefined,
  activationRange: undefined,
  grouping: undefined,
  outlierInputs: "keep",
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

/** Widths of a code. */
export const WIDTHS = [2, 4, 8] as const satisfies Bits[];

/** What `--backend` may name. */
export const BACKEND_CHOICES = [
  "auto",
  "webgpu",
  "wasm",
  "reference",
] as const satisfies BackendChoice[];

/** What `--format` may name. */
export const FORMATS = [
  "compressed-tensors",
  "sdnq",
  "gguf",
  "comfy",
] as const satisfies FormatName[];

/** What `--modulation` may name. */
export const MODULATIONS = [8, 4, "keep"] as const satisfies Modulation[];

/** What `--timestep-weights` may name. */
export const TIMESTEP_WEIGHTS = ["snr", "uniform"] as const satisfies TimestepWeights[];

/** Widths of codes of weights and inputs. */
export const CODE_WIDTHS = [2, 4, 6, 8] as const satisfies CodeWidth[];

/** What `--activation-bits` may name. */
export const ACTIVATION_WIDTHS = [4, 6, 8] as const satisfies ActivationBits[];

/** What `--activation-range` may name. */
export const ACTIVATION_RANGES = [
  "minmax",
  "p99.9",
  "optimize",
] as const satisfies ActivationRange[];

/** What `--grouping` may name. */
export const GROUPINGS = ["equal", "optimal"] as const satisfies Grouping[];

/** How the ranges of inputs are chosen. */
export function activationRangeOf(
  { activationRange, phase }: Pick<QuantizeSettings, "activationRange" | "phase">,
): ActivationRange {
  return activationRange ?? (phase === "optimize" ? "optimize" : "minmax");
}

/** Where the time groups of inputs begin. */
export function groupingOf(
  { grouping, phase }: Pick<QuantizeSettings, "grouping" | "phase">,
): Grouping {
  return grouping ?? (phase === "optimize" ? "optimal" : "equal");
}

/** What `--outlier-inputs` may name. */
export const OUTLIER_INPUTS = ["keep", "quantize"] as const satisfies OutlierInputs[];

/** What `--granularity` may name. */
export const GRANULARITIES = ["row", "slice"] as const satisfies Granularity[];

/** What `--group-size` says where each row is one block. */
export const WHOLE_ROW = "row";

/** What `--phase` may name. */
export const PHASES = ["baseline", "smooth", "optimize"] as const satisfies Phase[];

/** What `--smoothing-method` may name. */
export const SMOOTHING_METHODS = [
  "linear",
  "cubic",
  "sigmoid",
] as const satisfies SmoothingMethod[];

/** What of the settings decides how wide a block is. */
export type BlockSettings = Pick<QuantizeSettings, "granularity" | "groupSize" | "format" | "bits">;

/** Columns of a block as a run asks for them; `null`: one block a row, or one a slice. */
export function groupSizeOf(settings: BlockSettings): number | null {
  const { groupSize } = settings;
  if (groupSize === WHOLE_ROW) return null;
  return groupSize ?? defaultGroupSize(settings);
}

/**
 * Columns of a block unless a size is given. The blocks of GGUF have a fixed size each, and those of
 * ComfyUI's 8 bits are rows.
 */
function defaultGroupSize({ granularity, format, bits }: BlockSettings): number | null {
  if (format === "gguf") return bits === 2 ? GGUF_SIZES.large : GGUF_SIZES.small;
  if (format === "comfy" && bits === 8) return null;
  return granularity === "row" ? DEFAULT_GROUP_SIZE : null;
}

/** The block size of a run as a message names it. */
export function describeGroupSize(settings: BlockSettings): string {
  const isGiven = settings.groupSize !== undefined;
  return `--group-size ${groupSizeOf(settings) ?? WHOLE_ROW}${isGiven ? "" : ", the default,"}`;
}

/** What a jump of 1 costs in phase optimize, unless told otherwise; see {@linkcode markovWeightOf}. */
export const DEFAULT_MARKOV_WEIGHTS: Record<Granularity, number> = { row: 0, slice: 1 };

/**
 * What a jump of 1 costs in phase optimize. By rows a time group's mean hardly moves, and the ratio that
 * brings it nearer to its neighbour's is paid for by every block of the group: nothing is gained, so
 * nothing is weighed unless it is asked for.
 */
export function markovWeightOf(
  { granularity, markovWeight }: Pick<QuantizeSettings, "granularity" | "markovWeight">,
): number {
  return markovWeight ?? DEFAULT_MARKOV_WEIGHTS[granularity];
}
