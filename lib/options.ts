/** Every setting: its default, its limits and the reason for them, and how the command line spells it. */

import type { BackendChoice } from "./backends/open_backend.ts";
import { DEFAULT_THRESHOLD } from "./score_smoothness.ts";
import type { Bits } from "./types.ts";

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
  /** What computes. Default `auto`: the fastest this machine has; all give the same bytes. */
  backend: BackendChoice;
}

/** The settings of a run without flags. */
export const DEFAULT_SETTINGS: QuantizeSettings = {
  bits: 2,
  timeGroups: 4,
  groupSize: undefined,
  threshold: DEFAULT_THRESHOLD,
  ignore: [],
  defaultIgnore: true,
  strict: false,
  backend: "auto",
};

/** Where the report of a run goes by default. */
export const DEFAULT_REPORT = "baseline_metrics.json";

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
} as const;

/** The commands; the first is the one meant where none is named. */
export const COMMANDS = ["quantize", "inspect", "verify"] as const;

/** One of the commands. */
export type Command = typeof COMMANDS[number];

/** How a flag is spelled and what it takes. */
export interface Flag {
  /** Without the dashes. */
  name: string;
  /** What stands for its value in the help; absent for a switch. */
  value?: string;
  /** Whether it may be given more than once. */
  repeatable?: boolean;
  /** One line for the help. */
  help: string;
  /** Commands that take it. */
  commands: readonly Command[];
}

const PLANNING = ["quantize", "inspect"] as const;

/** Every flag. */
export const FLAGS: readonly Flag[] = [
  { name: "model", value: "DIR", help: "model directory to quantize", commands: ["quantize"] },
  { name: "output", value: "DIR", help: "directory to create", commands: ["quantize"] },
  {
    name: "against",
    value: "DIR",
    help: "model directory the checkpoint was made from",
    commands: ["verify"],
  },
  {
    name: "bit-width",
    value: "2|4|8",
    help: `bits of a code (default ${DEFAULT_SETTINGS.bits})`,
    commands: PLANNING,
  },
  {
    name: "num-time-groups",
    value: "N",
    help: `time groups, 1 to 1000 (default ${DEFAULT_SETTINGS.timeGroups})`,
    commands: PLANNING,
  },
  {
    name: "group-size",
    value: "N",
    help: "columns in a block, a multiple of 16 (default: all)",
    commands: PLANNING,
  },
  {
    name: "smoothness-threshold",
    value: "T",
    help: `violation above this scale jump (default ${DEFAULT_SETTINGS.threshold})`,
    commands: ["quantize"],
  },
  {
    name: "ignore",
    value: "PATTERN",
    repeatable: true,
    help: "layers to leave alone: a glob or re:REGEX; repeatable",
    commands: PLANNING,
  },
  {
    name: "no-default-ignore",
    help: "quantize embeddings, heads, modulation too",
    commands: PLANNING,
  },
  {
    name: "strict",
    help: "fail where --group-size does not divide the columns",
    commands: PLANNING,
  },
  {
    name: "report",
    value: "FILE",
    help: `report, and .log (default ${DEFAULT_REPORT})`,
    commands: ["quantize"],
  },
  { name: "overwrite", help: "replace an earlier output", commands: ["quantize"] },
  { name: "dry-run", help: "show what would be written, write nothing", commands: ["quantize"] },
  { name: "json", help: "print JSON alone on standard output", commands: COMMANDS },
  { name: "verbose", help: "log each layer; show the trace of a bug", commands: ["quantize"] },
  { name: "help", help: "show this help; --version shows the version", commands: COMMANDS },
];
