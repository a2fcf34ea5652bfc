import assert from "node:assert/strict";
import { join } from "node:path";
import {
  type Bits,
  chooseRules,
  costOfPath,
  DEFAULT_SETTINGS,
  estimateParams,
  measureJumps,
  optimizePath,
  quantizeModel,
  type QuantizeSettings,
  scoreJumps,
  scoreSmoothness,
  scoreSteps,
  smoothGroups,
} from "../mod.ts";
import { parseArgs } from "../lib/cli/parse_args.ts";
import { checkSettings } from "../lib/settings/check_settings.ts";
import {
  DEFAULT_GROUP_SIZE,
  DEFAULT_WINDOWS,
  groupSizeOf,
  markovWeightOf,
} from "../lib/settings/settings.ts";
import { smoothingWindowOf } from "../lib/params/smooth_params.ts";
import { namesIn, smallModel } from "./directories.ts";
import { withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

const BITS = "must be 2, 4 or 8";
const GROUPS = "must be a whole number from 1 to 1000";
const SIZE = "must be a multiple of 16 from 16 to 65536, or row";
const THRESHOLD = "must be a number above 0 and at most 10";
const WINDOW = "must be a whole number from 1 to 20";
const WEIGHT = "must be a number from 0 to 1000";
const SWITCH = "must be true or false";
const CHOICES = {
  granularity: "must be row or slice",
  phase: "must be baseline, smooth or optimize",
  method: "must be linear, cubic or sigmoid",
  backend: "must be auto, webgpu, wasm or reference",
};

/** Settings, beside the defaults, and what is said about them. */
type Row = [settings: Record<string, unknown>, message: string];

/** The same message for each of some values, which it quotes. */
function quoted(
  key: string,
  flag: string,
  allowed: string,
  values: readonly number[],
  more: Record<string, unknown> = {},
): Row[] {
  return values.map((value) => [
    { ...more, [key]: value },
    `${flag} is "${Object.is(value, -0) ? "-0" : value}", ${allowed}`,
  ]);
}

const [smooth, optimize] = [{ phase: "smooth" }, { phase: "optimize" }];
const not = [NaN, Infinity, -Infinity, -0];

/** Numbers that are refused; each can be tried as the text of a flag as well. */
const NUMBERS: Row[] = [
  ...quoted("bits", "--bit-width", BITS, [0, 1, 3, 16, -2, 2.5, ...not]),
  ...quoted("timeGroups", "--num-time-groups", GROUPS, [0, 1001, -1, 2.5, ...not]),
  ...quoted("groupSize", "--group-size", SIZE, [0, 3, 8, 15, 17, 24, 16.5, -16, 65552, ...not]),
  ...quoted("threshold", "--smoothness-threshold", THRESHOLD, [0, -0.3, 10.01, ...not]),
  ...quoted("smoothingWindow", "--smoothing-window", WINDOW, [0, 21, 2.5, -1, ...not], smooth),
  ...quoted("smoothingWindow", "--smoothing-window", WINDOW, [0, 20.5], optimize),
  ...quoted("markovWeight", "--markov-weight", WEIGHT, [-1, 1000.5, ...not], optimize),
];

const PATTERN =
  'give a glob such as "blocks.*.attn.*" or "re:" and a regular expression without lookaround and backreferences';
const KNOWN =
  "bits, timeGroups, granularity, groupSize, format, symmetric, modulation, threshold, ignore, " +
  "components, defaultIgnore, strict, phase, smoothingWindow, smoothingMethod, markovWeight, " +
  "calibration, timestepWeights, activationBits, activationRange, grouping, outlierInputs, backend, overwrite, link";

/** What is of the wrong kind, or cannot be together. */
const OTHERS: Row[] = [
  [{ bits: "4" }, `--bit-width is the text "4", ${BITS}`],
  [{ bits: undefined }, `--bit-width is undefined, ${BITS}`],
  [{ bits: 4n }, `--bit-width is of type bigint, ${BITS}`],
  [{ timeGroups: "4" }, `--num-time-groups is the text "4", ${GROUPS}`],
  [{ timeGroups: null }, `--num-time-groups is null, ${GROUPS}`],
  [{ granularity: "rows" }, `--granularity is the text "rows", ${CHOICES.granularity}`],
  [{ granularity: undefined }, `--granularity is undefined, ${CHOICES.granularity}`],
  [{ granularity: ["row"] }, `--granularity is a list, ${CHOICES.granularity}`],
  [{ groupSize: "16" }, `--group-size is the text "16", ${SIZE}`],
  [{ groupSize: "rows" }, `--group-size is the text "rows", ${SIZE}`],
  [{ groupSize: "slice" }, `--group-size is the text "slice", ${SIZE}`],
  [{ groupSize: null }, `--group-size is null, ${SIZE}`],
  [{ groupSize: [16] }, `--group-size is a list, ${SIZE}`],
  [{ threshold: "0.3" }, `--smoothness-threshold is the text "0.3", ${THRESHOLD}`],
  [{ threshold: true }, `--smoothness-threshold is true, ${THRESHOLD}`],
  [{ ignore: "a.*" }, '--ignore is the text "a.*", must be a list of texts, each a pattern'],
  [{ ignore: ["a", /b/] }, "--ignore is a list, must be a list of texts, each a pattern"],
  [{ ignore: undefined }, "--ignore is undefined, must be a list of texts, each a pattern"],
  [{ ignore: ["a", "re:("] }, `Cannot read the pattern "re:(": missing closing ): ${PATTERN}`],
  [{ ignore: [""] }, `Cannot read the pattern "": it is empty: ${PATTERN}`],
  [{ defaultIgnore: 0 }, `defaultIgnore (--no-default-ignore) is "0", ${SWITCH}`],
  [{ strict: "no" }, `--strict is the text "no", ${SWITCH}`],
  [{ strict: undefined }, `--strict is undefined, ${SWITCH}`],
  [{ overwrite: 1 }, `--overwrite is "1", ${SWITCH}`],
  [{ link: "yes" }, `--link is the text "yes", ${SWITCH}`],
  [{ phase: 2 }, `--phase is "2", ${CHOICES.phase}`],
  [{ phase: "two\n" }, `--phase is the text "two\\u{a}", ${CHOICES.phase}`],
  [{ ...smooth, smoothingWindow: "5" }, `--smoothing-window is the text "5", ${WINDOW}`],
  [
    { ...smooth, smoothingMethod: "spline" },
    `--smoothing-method is the text "spline", ${CHOICES.method}`,
  ],
  [{ ...optimize, markovWeight: "1" }, `--markov-weight is the text "1", ${WEIGHT}`],
  [{ backend: {} }, `--backend is of type object, ${CHOICES.backend}`],
  [{ groupsize: 16 }, `Unknown setting "groupsize": expected ${KNOWN}`],
  [{ "\x1b[31m": undefined }, `Unknown setting "\\u{1b}[31m": expected ${KNOWN}`],
];

/** Settings that are right by themselves, but not together. */
const TOGETHER: Row[] = [
  [
    { granularity: "slice", groupSize: "row" },
    '--group-size row needs --granularity row: it is "slice"',
  ],
  [
    { smoothingWindow: 5 },
    '--smoothing-window needs --phase smooth or optimize: the phase is "baseline"',
  ],
  [
    { smoothingMethod: "cubic" },
    "--smoothing-method needs --phase smooth, or --phase optimize --smoothing-window N: " +
    'the phase is "baseline"',
  ],
  [
    { ...optimize, smoothingMethod: "cubic" },
    "--smoothing-method needs --phase smooth, or --phase optimize --smoothing-window N: " +
    'the phase is "optimize"',
  ],
  [
    { ...smooth, markovWeight: 2 },
    '--markov-weight needs --phase optimize: the phase is "smooth"',
  ],
  ...[smooth, { ...optimize, smoothingWindow: 3 }].map((phase): Row => [
    { ...phase, timeGroups: 1 },
    "Cannot smooth 1 time group: it has no boundary: " +
    "give --num-time-groups 2 or more, or leave smoothing out",
  ]),
];

/** How a table is titled: JSON knows neither NaN nor undefined. */
const titleOf = (settings: Record<string, unknown>) => Deno.inspect(settings, { breakLength: 200 });

for (const [settings, message] of [...NUMBERS, ...OTHERS, ...TOGETHER]) {
  Deno.test(`quantizeModel() refuses a setting that no flag could give when it is given ${titleOf(settings)}`, async () => {
    await withFiles(smallModel(), async (root) => {
      const given = { ...DEFAULT_SETTINGS, ...settings } as unknown as QuantizeSettings;
      await assert.rejects(quantizeModel(join(root, "model"), join(root, "out"), given), {
        name: "BadInputError",
        message,
      });
      assert.deepEqual(namesIn(root), ["model"]);
    });
  });
}

const FLAGS: Record<string, string> = {
  bits: "--bit-width",
  timeGroups: "--num-time-groups",
  granularity: "--granularity",
  groupSize: "--group-size",
  threshold: "--smoothness-threshold",
  phase: "--phase",
  smoothingWindow: "--smoothing-window",
  smoothingMethod: "--smoothing-method",
  markovWeight: "--markov-weight",
};

for (const [settings, message] of [...NUMBERS, ...TOGETHER]) {
  Deno.test(`main() refuses in the words of quantizeModel() when its flags say ${titleOf(settings)}`, async () => {
    const flags = Object.entries(settings).map(([key, value]) =>
      `${FLAGS[key]}=${Object.is(value, -0) ? "-0" : value}`
    );
    const outcome = await runMain("--model", "none", "--output", "none", ...flags);
    assert.deepEqual(outcome, { code: 2, stdout: "", stderr: `error: ${message}\n` });
  });
}

Deno.test("checkSettings() goes by the flags given, and by what differs from the defaults without them", async () => {
  // A flag that repeats a default says as much as any other; a program has to give every setting.
  await assert.rejects(
    parseArgs(["--model", "m", "--output", "o", "--markov-weight", "1"]),
    /^BadInputError: --markov-weight needs --phase optimize: the phase is "baseline"$/,
  );
  // The weight has no value of its own by default, so that any is one that was given.
  assert.throws(() => checkSettings({ ...DEFAULT_SETTINGS, markovWeight: 1 }), {
    name: "BadInputError",
    message: '--markov-weight needs --phase optimize: the phase is "baseline"',
  });
  checkSettings({ ...DEFAULT_SETTINGS, smoothingMethod: "linear", overwrite: true });
});

Deno.test("checkSettings() takes both granularities, and each block size that goes with them", () => {
  for (const granularity of ["row", "slice"]) {
    for (const groupSize of [undefined, 16, 48, 65536]) {
      checkSettings({ ...DEFAULT_SETTINGS, granularity, groupSize });
    }
  }
  checkSettings({ ...DEFAULT_SETTINGS, groupSize: "row" });
});

// Granularity and block size, columns of a block.
const SIZES: [QuantizeSettings["granularity"], QuantizeSettings["groupSize"], number | null][] = [
  ["row", undefined, 128],
  ["row", 32, 32],
  ["row", "row", null],
  ["slice", undefined, null],
  ["slice", 32, 32],
];

for (const [granularity, groupSize, expected] of SIZES) {
  Deno.test(`groupSizeOf() is ${expected} when ${granularity}s are given ${groupSize}`, () => {
    const { format, bits } = DEFAULT_SETTINGS;
    assert.equal(groupSizeOf({ granularity, groupSize, format, bits }), expected);
  });
}

// Settings, beside the defaults, that do not fit the small model, and what is said about them.
const UNFIT: Row[] = [
  [
    { groupSize: 64 },
    "Cannot use --group-size 64: the widest layer has 48 columns: " +
    "give at most that, or leave --group-size out",
  ],
  [
    { groupSize: 64, granularity: "slice" },
    "Cannot use --group-size 64: the widest layer has 48 columns: " +
    "give at most that, or leave --group-size out",
  ],
  [
    { strict: true },
    "Cannot cut 2 layers into blocks: --group-size 128, the default, does not suit the " +
    '32 columns of "blocks.0.fc": give a size that does, or leave --strict out',
  ],
  [
    { groupSize: 32, strict: true },
    "Cannot cut 1 layer into blocks: --group-size 32 does not suit the 48 columns of " +
    '"blocks.1.fc": give a size that does, or leave --strict out',
  ],
  [
    { groupSize: "row", timeGroups: 12, strict: true },
    "Cannot use --num-time-groups 12: it leaves out 1 layer with fewer rows, " +
    'the first "blocks.0.fc" (8 rows): lower it, or leave --strict out',
  ],
  [
    { groupSize: "row", timeGroups: 17 },
    'Nothing to quantize in "model": 4 tensors left as they are, and isotherm inspect says why: ' +
    "2 layers with fewer rows than 17 time groups: lower --num-time-groups",
  ],
];

for (const [settings, message] of UNFIT) {
  Deno.test(`quantizeModel() refuses settings that no layer, or not every one, fits when given ${titleOf(settings)}`, async () => {
    await withFiles(smallModel(), async (root) => {
      const given = { ...DEFAULT_SETTINGS, ...settings };
      await assert.rejects(quantizeModel(join(root, "model"), join(root, "out"), given), {
        name: "BadInputError",
        message,
      });
      assert.deepEqual(namesIn(root), ["model"]);
    });
  });
}

Deno.test("the granularity decides what a setting is that was not given", () => {
  assert.equal(DEFAULT_SETTINGS.granularity, "row");
  assert.equal(DEFAULT_GROUP_SIZE, 128);
  assert.deepEqual(DEFAULT_WINDOWS, { row: 1, slice: 5 });
  for (const [granularity, weight, window] of [["row", 0, 1], ["slice", 1, 5]] as const) {
    assert.equal(markovWeightOf({ granularity, markovWeight: undefined }), weight);
    assert.equal(markovWeightOf({ granularity, markovWeight: 0.5 }), 0.5);
    assert.equal(markovWeightOf({ granularity, markovWeight: 0 }), 0);
    const windowOf = (phase: QuantizeSettings["phase"], smoothingWindow?: number) =>
      smoothingWindowOf({ granularity, phase, smoothingWindow });
    assert.equal(windowOf("smooth"), window);
    assert.equal(windowOf("smooth", 3), 3);
    assert.equal(windowOf("baseline"), null);
    assert.equal(windowOf("optimize"), null);
    assert.equal(windowOf("optimize", 3), 3);
  }
});

Deno.test("checkSettings() says where to start when there are no settings", () => {
  for (const settings of [undefined, null, 4, "{}"]) {
    assert.throws(() => checkSettings(settings), {
      name: "BadInputError",
      message: "The settings of the run are missing: start from DEFAULT_SETTINGS",
    });
  }
});

Deno.test("checkSettings() shows a number as its flag wrote it", async () => {
  const words: [string, string, string][] = [
    ["--smoothness-threshold", "1e-400", THRESHOLD],
    ["--group-size", "007", SIZE],
    ["--group-size", "rows", SIZE],
    ["--granularity", "Row", CHOICES.granularity],
    ["--bit-width", "4.0", BITS],
    ["--num-time-groups", "0x10", GROUPS],
  ];
  for (const [flag, text, allowed] of words) {
    const outcome = await runMain("--model", "m", "--output", "o", flag, text);
    assert.equal(outcome.stderr, `error: ${flag} is "${text}", ${allowed}\n`);
  }
});

const GROUP = { scale: 1, zero_point: 0 };
const LIST = { scale: [1], zero_point: [0], error: [1] };

/** Public functions that take a width. */
const WITH_BITS: Record<string, (bits: Bits) => unknown> = {
  measureJumps: (bits) => measureJumps([GROUP], bits),
  scoreSmoothness: (bits) => scoreSmoothness([GROUP], bits),
  scoreSteps: (bits) => scoreSteps([GROUP, GROUP], [0, 1, 2], bits),
  estimateParams: (bits) => estimateParams(-1, 1, bits, "F32"),
  optimizePath: (bits) => optimizePath([], bits, 1),
  costOfPath: (bits) => costOfPath([LIST], [0], bits, 1),
};

/** Those that take a width of weights alone. */
const WITH_WEIGHTS = ["estimateParams"];

/** Public functions that take a threshold. */
const WITH_THRESHOLD: Record<string, (threshold: number) => unknown> = {
  scoreJumps: (threshold) => scoreJumps([], threshold),
  scoreSmoothness: (threshold) => scoreSmoothness([GROUP], 2, threshold),
  scoreSteps: (threshold) => scoreSteps([GROUP, GROUP], [0, 1, 2], 2, threshold),
};

for (const [name, call] of Object.entries(WITH_BITS)) {
  Deno.test(`${name}() refuses a width in the words of the command line when it is none`, () => {
    for (const bits of [3, 0, NaN, 2.5, "4", undefined]) {
      const shown = typeof bits === "string"
        ? `the text "${bits}"`
        : bits === undefined
        ? "undefined"
        : `"${bits}"`;
      assert.throws(() => call(bits as Bits), {
        name: "BadInputError",
        message: WITH_WEIGHTS.includes(name)
          ? `--bit-width is ${shown}, ${BITS}`
          : `--bit-width or --activation-bits is ${shown}, must be 2, 4, 6 or 8`,
      });
    }
    for (const bits of [2, 4, 8] as const) call(bits);
  });
}

for (const [name, call] of Object.entries(WITH_THRESHOLD)) {
  Deno.test(`${name}() refuses a threshold in the words of the command line when it is none`, () => {
    for (const threshold of [NaN, 0, -1, 10.5, Infinity]) {
      assert.throws(() => call(threshold), {
        name: "BadInputError",
        message: `--smoothness-threshold is "${threshold}", ${THRESHOLD}`,
      });
    }
    for (const threshold of [1e-9, 0.3, 10]) call(threshold);
  });
}

Deno.test("the library refuses a curve, a range and a tolerance that no flag or file could give", () => {
  const groups = [{ scale: 1, zero_point: 1 }, { scale: 2, zero_point: 1 }];
  const smooth = (method: unknown) =>
    smoothGroups(groups, [0, 8, 16], { window: 2, method: method as "linear", dtype: "F32" });
  assert.throws(() => smooth("spline"), {
    name: "BadInputError",
    message: '--smoothing-method is the text "spline", must be linear, cubic or sigmoid',
  });
  for (const [lo, hi] of [[NaN, 1], [-1, NaN], [-1, Infinity], [-Infinity, 0], [0, 2 ** 127]]) {
    assert.throws(() => estimateParams(lo!, hi!, 2, "F32"), {
      name: "BadInputError",
      message:
        `Cannot estimate parameters over [${lo}, ${hi}]: both must be finite, and at most 2^126 apart`,
    });
  }
  for (
    const [tolerances, message] of [
      [{ maxScoreDrop: NaN }, '--max-score-drop is "NaN", must be a number from 0 to 1000'],
      [{ maxCosineDrop: -1 }, '--max-cosine-drop is "-1", must be a number from 0 to 1000'],
      [{ maxSqnrDrop: 1001 }, '--max-sqnr-drop is "1001", must be a number from 0 to 1000'],
      [
        { maxSizeGrowth: Infinity },
        '--max-size-growth is "Infinity", must be a number from 0 to 1000',
      ],
      [
        { maxNewViolations: 1.5 },
        '--max-new-violations is "1.5", must be a whole number from 0 to 1000',
      ],
    ] as const
  ) {
    assert.throws(() => chooseRules([], tolerances), { name: "BadInputError", message });
  }
});
