/** The commands and their flags: how each is spelled, what it takes and what the help says of it. */

import {
  ACTIVATION_RANGES,
  ACTIVATION_WIDTHS,
  BACKEND_CHOICES,
  DEFAULT_GROUP_SIZE,
  DEFAULT_SETTINGS,
  FORMATS,
  GRANULARITIES,
  GROUPINGS,
  MODULATIONS,
  OUTLIER_INPUTS,
  PHASES,
  SMOOTHING_METHODS,
  TIMESTEP_WEIGHTS,
} from "../settings/settings.ts";

/** Where the report of a run goes by default. */
export const DEFAULT_REPORT = "baseline_metrics.json";

/** The rules file that `gate` looks for beside the baseline. */
export const DEFAULT_RULES = "isotherm.gate.json";

/** What `gate` may do where there is no baseline yet. */
export const MISSING_POLICIES = ["fail", "warn", "create"] as const;

/** One of {@linkcode MISSING_POLICIES}. */
export type MissingPolicy = typeof MISSING_POLICIES[number];

/** The commands; the first is the one meant where none is named. */
export const COMMANDS = [
  "quantize",
  "inspect",
  "verify",
  "compare",
  "gate",
  "baseline",
  "backends",
  "history",
] as const;

/** What `history` does. */
export const HISTORY_ACTIONS = ["append", "page", "badge"] as const;

/** One of {@linkcode HISTORY_ACTIONS}. */
export type HistoryAction = typeof HISTORY_ACTIONS[number];

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
  /** Whether it stands on the line of the flag before it in the help. */
  joined?: boolean;
  /** One line for the help. */
  help: string;
  /** Commands that take it. */
  commands: readonly Command[];
}

const PLANNING = ["quantize", "inspect"] as const;

/** Every flag, in the order of the help. */
export const FLAGS: readonly Flag[] = [
  { name: "model", value: "DIR", help: "model to quantize", commands: ["quantize"] },
  {
    name: "output",
    value: "DIR",
    joined: true,
    help: "directory to create",
    commands: ["quantize"],
  },
  {
    name: "against",
    value: "DIR",
    help: "model directory the checkpoint was made from",
    commands: ["verify"],
  },
  {
    name: "bit-width",
    value: "2|4|8",
    help: `bits, default ${DEFAULT_SETTINGS.bits}`,
    commands: PLANNING,
  },
  {
    name: "num-time-groups",
    value: "N",
    joined: true,
    help: `1 to 1000, default ${DEFAULT_SETTINGS.timeGroups}`,
    commands: PLANNING,
  },
  {
    name: "smoothness-threshold",
    value: "T",
    help: `violations above (${DEFAULT_SETTINGS.threshold})`,
    commands: ["quantize"],
  },
  { name: "markov-weight", value: "L", joined: true, help: "of jumps", commands: ["quantize"] },
  {
    name: "granularity",
    value: GRANULARITIES.join("|"),
    help: `default ${DEFAULT_SETTINGS.granularity}`,
    commands: PLANNING,
  },
  {
    name: "group-size",
    value: "N|row",
    joined: true,
    help: `columns, default ${DEFAULT_GROUP_SIZE}`,
    commands: PLANNING,
  },
  { name: "format", value: "NAME", help: FORMATS.join("|"), commands: PLANNING },
  { name: "symmetric", joined: true, help: "no zero points", commands: PLANNING },
  {
    name: "modulation",
    value: MODULATIONS.join("|"),
    help: `default ${DEFAULT_SETTINGS.modulation}`,
    commands: PLANNING,
  },
  {
    name: "component",
    value: "NAME",
    repeatable: true,
    joined: true,
    help: "of a pipeline",
    commands: PLANNING,
  },
  {
    name: "ignore",
    value: "PATTERN",
    repeatable: true,
    help: "layers to leave alone: glob or re:REGEX; repeatable",
    commands: PLANNING,
  },
  { name: "no-default-ignore", help: "sensitive layers too", commands: PLANNING },
  { name: "strict", joined: true, help: "fail on odd sizes, gaps", commands: PLANNING },
  {
    name: "phase",
    value: PHASES.join("|"),
    help: "how parameters are chosen (default baseline)",
    commands: ["quantize"],
  },
  {
    name: "smoothing-window",
    value: "N",
    help: "1 to 20",
    commands: ["quantize"],
  },
  {
    name: "smoothing-method",
    value: "NAME",
    joined: true,
    help: SMOOTHING_METHODS.join("|"),
    commands: ["quantize"],
  },
  { name: "calibration", value: "FILE", help: "inputs over time", commands: PLANNING },
  {
    name: "timestep-weights",
    value: TIMESTEP_WEIGHTS.join("|"),
    joined: true,
    help: "weights",
    commands: ["quantize"],
  },
  {
    name: "activation-bits",
    value: ACTIVATION_WIDTHS.join("|"),
    help: "inputs too",
    commands: PLANNING,
  },
  {
    name: "outlier-inputs",
    value: OUTLIER_INPUTS.join("|"),
    joined: true,
    help: "outliers",
    commands: ["quantize"],
  },
  { name: "grouping", value: "NAME", help: GROUPINGS.join("|"), commands: ["quantize"] },
  {
    name: "activation-range",
    value: "NAME",
    joined: true,
    help: ACTIVATION_RANGES.join("|"),
    commands: ["quantize"],
  },
  {
    name: "backend",
    value: BACKEND_CHOICES.join("|"),
    help: `what computes (default ${DEFAULT_SETTINGS.backend}: wasm)`,
    commands: ["quantize"],
  },
  {
    name: "report",
    value: "FILE",
    help: "JSON, .log",
    commands: ["quantize"],
  },
  {
    name: "report",
    value: "FILE",
    help: "report or baseline to hold against the disk",
    commands: ["verify"],
  },
  {
    name: "html-report",
    value: "FILE",
    joined: true,
    help: "page",
    commands: ["quantize", "compare"],
  },
  {
    name: "compare",
    value: "FILE",
    joined: true,
    help: "earlier",
    commands: ["quantize"],
  },
  {
    name: "max-score-drop",
    value: "X",
    help: "smoothness_score may fall by X (default 0.01)",
    commands: ["gate"],
  },
  {
    name: "max-cosine-drop",
    value: "X",
    help: "cosine_similarity may fall by X (default 0.002)",
    commands: ["gate"],
  },
  {
    name: "max-sqnr-drop",
    value: "DB",
    help: "sqnr_db may fall by DB (default 0.2)",
    commands: ["gate"],
  },
  {
    name: "max-layer-drop",
    value: "DB",
    help: "SQNR of a layer may fall by DB (default 1)",
    commands: ["gate"],
  },
  {
    name: "max-size-growth",
    value: "X",
    help: "model_size_mb may grow by X x itself (default 0.01)",
    commands: ["gate"],
  },
  {
    name: "max-new-violations",
    value: "N",
    help: "violation_count may rise by N (default 0)",
    commands: ["gate"],
  },
  { name: "allow-vanished-layers", help: "layers may vanish", commands: ["gate"] },
  {
    name: "rules",
    value: "FILE",
    help: `rules (default ${DEFAULT_RULES} beside BASELINE)`,
    commands: ["gate"],
  },
  {
    name: "missing",
    value: MISSING_POLICIES.join("|"),
    help: "where BASELINE is missing (default fail)",
    commands: ["gate"],
  },
  { name: "to", value: "FILE", help: "the baseline to write", commands: ["baseline"] },
  {
    name: "to",
    value: "FILE",
    help: "append: the history; badge: its file",
    commands: ["history"],
  },
  { name: "commit", value: "SHA", help: "append: what was measured", commands: ["history"] },
  {
    name: "baseline",
    value: "FILE",
    help: "append: what the gate judges by, for a band",
    commands: ["history"],
  },
  { name: "html-report", value: "FILE", help: "page: a page to look at", commands: ["history"] },
  { name: "dry-run", help: "plan only", commands: ["quantize"] },
  { name: "overwrite", joined: true, help: "replace output", commands: ["quantize", "history"] },
  { name: "link", joined: true, help: "link the rest", commands: ["quantize"] },
  { name: "json", help: "JSON alone on stdout", commands: COMMANDS },
  { name: "verbose", joined: true, help: "log each layer", commands: ["quantize"] },
  { name: "help", joined: true, help: "this help", commands: COMMANDS },
];
