import assert from "node:assert/strict";
import { BadInputError } from "../lib/base/errors.ts";
import { DEFAULT_SETTINGS } from "../lib/settings/settings.ts";
import { COMMANDS, FLAGS } from "../lib/cli/flags.ts";
import { parseArgs } from "../lib/cli/parse_args.ts";
import { renderHelp } from "../lib/cli/render_help.ts";

/** Flags that `quantize` cannot do without. */
const PATHS = ["--model", "m", "--output", "o"];

/** What is said about a command line that is wrong. */
async function refusal(argv: string[]): Promise<string> {
  const error = await parseArgs(argv).then(
    () => assert.fail(`accepted: ${argv}`),
    (error) => error,
  );
  assert.ok(error instanceof BadInputError, String(error));
  assert.match(error.message, /^(--|[A-Z])[^\n]*[^.\n]$/);
  return error.message;
}

/** One test for each wrong command line and the message it gets. */
function refuses(what: string, table: [argv: string[], message: string][]): void {
  for (const [argv, message] of table) {
    Deno.test(`parseArgs() refuses ${what} when given ${JSON.stringify(argv.join(" "))}`, async () => {
      assert.equal(await refusal(argv), message);
    });
  }
}

const QUANTIZE = {
  command: "quantize",
  help: false,
  model: "m",
  output: "o",
  settings: {
    bits: 2,
    timeGroups: 4,
    granularity: "row",
    groupSize: undefined,
    format: "compressed-tensors",
    symmetric: false,
    modulation: 8,
    threshold: 0.3,
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
  },
  files: [],
  gate: {
    maxScoreDrop: undefined,
    maxCosineDrop: undefined,
    maxSqnrDrop: undefined,
    maxLayerDrop: undefined,
    maxSizeGrowth: undefined,
    maxNewViolations: undefined,
    allowVanishedLayers: false,
    rules: undefined,
    missing: "fail",
  },
  history: { action: undefined, commit: undefined, baseline: undefined },
  report: "baseline_metrics.json",
  checkedReport: undefined,
  htmlReport: undefined,
  compare: undefined,
  to: "",
  overwrite: false,
  link: false,
  dryRun: false,
  json: false,
  verbose: false,
};

Deno.test("parseArgs() gives every default when only the directories are named", async () => {
  assert.deepEqual(await parseArgs(PATHS), QUANTIZE);
  assert.deepEqual(await parseArgs(["quantize", ...PATHS]), QUANTIZE);
  assert.deepEqual(DEFAULT_SETTINGS, QUANTIZE.settings);
});

Deno.test("parseArgs() reads every flag when all of quantize are given", async () => {
  const all = "--bit-width 4 --num-time-groups 8 --granularity slice --group-size 128 " +
    "--smoothness-threshold 0.25 --ignore a.* --no-default-ignore --ignore re:b --strict --backend wasm --html-report r.html " +
    "--format sdnq --symmetric --component transformer --component unet " +
    "--phase optimize --smoothing-window 7 --smoothing-method cubic --markov-weight 0.5 " +
    "--calibration c.safetensors --timestep-weights snr " +
    "--activation-bits 6 --activation-range p99.9 --grouping optimal --outlier-inputs quantize " +
    "--compare b.json --report r.json --overwrite --link --dry-run --json --verbose";
  assert.deepEqual(await parseArgs([...PATHS, ...all.split(" ")]), {
    ...QUANTIZE,
    settings: {
      bits: 4,
      timeGroups: 8,
      granularity: "slice",
      groupSize: 128,
      format: "sdnq",
      symmetric: true,
      modulation: 8,
      threshold: 0.25,
      ignore: ["a.*", "re:b"],
      components: ["transformer", "unet"],
      defaultIgnore: false,
      strict: true,
      phase: "optimize",
      smoothingWindow: 7,
      smoothingMethod: "cubic",
      markovWeight: 0.5,
      calibration: "c.safetensors",
      timestepWeights: "snr",
      activationBits: 6,
      activationRange: "p99.9",
      grouping: "optimal",
      outlierInputs: "quantize",
      backend: "wasm",
    },
    report: "r.json",
    htmlReport: "r.html",
    compare: "b.json",
    overwrite: true,
    link: true,
    dryRun: true,
    json: true,
    verbose: true,
  });
});

Deno.test("parseArgs() reads what becomes of modulation layers", async () => {
  for (const [text, modulation] of [["8", 8], ["4", 4], ["keep", "keep"]] as const) {
    const { settings } = await parseArgs([...PATHS, "--modulation", text]);
    assert.deepEqual(settings, { ...QUANTIZE.settings, modulation });
  }
});

Deno.test("parseArgs() reads the same when values follow an equals sign", async () => {
  const spaced = await parseArgs([...PATHS, "--bit-width", "8", "--ignore", "a=b"]);
  const joined = await parseArgs(["--model=m", "--output=o", "--bit-width=8", "--ignore=a=b"]);
  assert.deepEqual(joined, spaced);
  assert.deepEqual(joined.settings.ignore, ["a=b"]);
});

Deno.test("parseArgs() takes a value that begins with dashes when it follows an equals sign", async () => {
  assert.equal((await parseArgs(["--model=--m", "--output", "o"])).model, "--m");
  assert.equal((await parseArgs([...PATHS, "--report", "-r.json"])).report, "-r.json");
});

Deno.test("parseArgs() takes each limit itself when a number is on the edge", async () => {
  const settings = async (...flags: string[]) => (await parseArgs([...PATHS, ...flags])).settings;
  for (const bits of ["2", "4", "8"]) {
    assert.equal((await settings("--bit-width", bits)).bits, Number(bits));
  }
  for (const groups of ["1", "1000"]) {
    assert.equal((await settings("--num-time-groups", groups)).timeGroups, Number(groups));
  }
  for (const size of ["16", "48", "65536"]) {
    assert.equal((await settings("--group-size", size)).groupSize, Number(size));
  }
  assert.equal((await settings("--group-size", "row")).groupSize, "row");
  for (const granularity of ["row", "slice"]) {
    assert.equal((await settings("--granularity", granularity)).granularity, granularity);
  }
  for (const threshold of ["10", "1e1", ".5", "5.", "1e-9"]) {
    const read = (await settings("--smoothness-threshold", threshold)).threshold;
    assert.equal(read, Number(threshold));
  }
  for (const window of ["1", "20"]) {
    const read = await settings("--phase", "smooth", "--smoothing-window", window);
    assert.equal(read.smoothingWindow, Number(window));
  }
  for (const weight of ["0", "1e3", ".5"]) {
    const read = await settings("--phase", "optimize", "--markov-weight", weight);
    assert.equal(read.markovWeight, Number(weight));
  }
});

Deno.test("parseArgs() needs no output when the run is dry", async () => {
  const { output, dryRun } = await parseArgs(["--model", "m", "--dry-run"]);
  assert.deepEqual({ output, dryRun }, { output: "", dryRun: true });
});

Deno.test("parseArgs() takes a directory operand when inspecting or verifying", async () => {
  const inspect = await parseArgs(["inspect", "m", "--group-size", "32", "--json"]);
  assert.equal(inspect.command, "inspect");
  assert.equal(inspect.model, "m");
  assert.equal(inspect.settings.groupSize, 32);
  assert.equal(inspect.json, true);
  const calibrated = await parseArgs(["inspect", "m", "--calibration", "c.safetensors"]);
  assert.equal(calibrated.settings.calibration, "c.safetensors");
  const verify = await parseArgs(["verify", "--against", "m", "--", "-o"]);
  assert.equal(verify.command, "verify");
  assert.deepEqual([verify.model, verify.output], ["m", "-o"]);
});

Deno.test("parseArgs() reads every flag when all of gate are given", async () => {
  const flags =
    "--max-score-drop 0.02 --max-cosine-drop 0 --max-sqnr-drop 1.5 --max-layer-drop 2.5 " +
    "--max-size-growth 1000 --max-new-violations 3 --allow-vanished-layers --rules rules.json --missing create";
  const { command, files, gate } = await parseArgs(["gate", "b", "c", ...flags.split(" ")]);
  assert.deepEqual({ command, files }, { command: "gate", files: ["b", "c"] });
  assert.deepEqual(gate, {
    maxScoreDrop: 0.02,
    maxCosineDrop: 0,
    maxSqnrDrop: 1.5,
    maxLayerDrop: 2.5,
    maxSizeGrowth: 1000,
    maxNewViolations: 3,
    allowVanishedLayers: true,
    rules: "rules.json",
    missing: "create",
  });
});

Deno.test("parseArgs() takes file operands when comparing or updating a baseline", async () => {
  const compare = await parseArgs(["compare", "b", "--html-report", "h", "c", "d"]);
  assert.deepEqual([compare.files, compare.htmlReport], [["b", "c", "d"], "h"]);
  const { command, files, to } = await parseArgs(["baseline", "update", "c", "--to", "b"]);
  assert.deepEqual({ command, files, to }, { command: "baseline", files: ["c"], to: "b" });
});

Deno.test("parseArgs() asks for nothing else when help is wanted", async () => {
  for (const command of COMMANDS) {
    for (const flag of ["--help", "-h"]) {
      const { help, command: read } = await parseArgs([command, flag]);
      assert.deepEqual({ help, read }, { help: true, read: command });
    }
  }
  assert.equal((await parseArgs(["-h"])).command, "quantize");
});

Deno.test("parseArgs() accepts a switch twice when it is repeated", async () => {
  assert.equal((await parseArgs([...PATHS, "--json", "--json"])).json, true);
});

const COMMAND_LIST =
  "quantize, inspect, verify, compare, gate, baseline, backends, history or flags";

const integer = (flag: string, limits: string, ...values: string[]) =>
  values.map((value): [string[], string] => [
    [...PATHS, `--${flag}`, value],
    `--${flag} is "${value}", must be ${limits}`,
  ]);

refuses("a bit width that is not 2, 4 or 8", [
  ...integer("bit-width", "2, 4 or 8", "3", "0", "16", "-2", "4.0", "02", "two", " 4"),
  [["inspect", "m", "--bit-width", "1"], '--bit-width is "1", must be 2, 4 or 8'],
]);
refuses(
  "a number of time groups outside 1 to 1000",
  integer(
    "num-time-groups",
    "a whole number from 1 to 1000",
    ...["0", "1001", "-1", "-0", "2.5", "1e2", "0x10", "NaN", "9".repeat(30)],
  ),
);
refuses(
  "a block size that is neither a multiple of 16 up to 65536 nor a row",
  integer(
    "group-size",
    "a multiple of 16 from 16 to 65536, or row",
    ...["0", "8", "15", "17", "24", "100", "-16", "65552", "rows", "ROW", "slice", "row "],
  ),
);
refuses("a granularity that is neither row nor slice", [
  ...integer("granularity", "row or slice", "rows", "Slice", "1", "block"),
  [["inspect", "m", "--granularity", "none"], '--granularity is "none", must be row or slice'],
]);
refuses("a row as a block of slices", [
  [
    [...PATHS, "--granularity", "slice", "--group-size", "row"],
    '--group-size row needs --granularity row: it is "slice"',
  ],
  [
    ["inspect", "m", "--group-size", "row", "--granularity=slice"],
    '--group-size row needs --granularity row: it is "slice"',
  ],
]);
refuses(
  "a threshold that is not above 0 and at most 10",
  integer(
    "smoothness-threshold",
    "a number above 0 and at most 10",
    ...["0", "-0.3", "10.01", "1e-400", "NaN", "Infinity", "0,3", "30%", "."],
  ),
);

refuses("a backend, policy or tolerance that does not exist", [
  [[...PATHS, "--backend", "gpu"], '--backend is "gpu", must be auto, webgpu, wasm or reference'],
  [
    ["gate", "b", "c", "--missing", "skip"],
    '--missing is "skip", must be fail, warn or create',
  ],
  ...["-0.01", "-0", "NaN", "1%", "1001"].map((value): [string[], string] => [
    ["gate", "b", "c", "--max-score-drop", value],
    `--max-score-drop is "${value}", must be a number from 0 to 1000`,
  ]),
  [
    ["gate", "b", "c", "--max-new-violations", "0.5"],
    '--max-new-violations is "0.5", must be a whole number from 0 to 1000',
  ],
]);

refuses("a phase, a curve or a number of one that does not exist", [
  [[...PATHS, "--phase", "2"], '--phase is "2", must be baseline, smooth or optimize'],
  [
    [...PATHS, "--phase", "smooth", "--smoothing-method", "spline"],
    '--smoothing-method is "spline", must be linear, cubic or sigmoid',
  ],
  ...["0", "21", "-1", "2.5", "five"].map((value): [string[], string] => [
    [...PATHS, "--phase", "smooth", "--smoothing-window", value],
    `--smoothing-window is "${value}", must be a whole number from 1 to 20`,
  ]),
  ...["-0.1", "-0", "1001", "NaN", "much"].map((value): [string[], string] => [
    [...PATHS, "--phase", "optimize", "--markov-weight", value],
    `--markov-weight is "${value}", must be a number from 0 to 1000`,
  ]),
]);

refuses("a flag that the phase has no use for", [
  [
    [...PATHS, "--smoothing-window", "5"],
    '--smoothing-window needs --phase smooth or optimize: the phase is "baseline"',
  ],
  [
    [...PATHS, "--phase", "optimize", "--smoothing-method", "cubic"],
    "--smoothing-method needs --phase smooth, or --phase optimize --smoothing-window N: " +
    'the phase is "optimize"',
  ],
  [
    [...PATHS, "--phase", "smooth", "--markov-weight", "1"],
    '--markov-weight needs --phase optimize: the phase is "smooth"',
  ],
]);

refuses("a value that would break the line", [
  [
    [...PATHS, "--bit-width", "\x1b[31m\n4"],
    '--bit-width is "\\u{1b}[31m\\u{a}4", must be 2, 4 or 8',
  ],
]);

refuses("a misspelled flag", [
  [["--modle", "m"], 'Unknown flag "--modle": did you mean --model?'],
  [["--bitwidth=4"], 'Unknown flag "--bitwidth": did you mean --bit-width?'],
  [["--bit", "4"], 'Unknown flag "--bit": did you mean --bit-width?'],
  [["--time-groups", "4"], 'Unknown flag "--time-groups": did you mean --num-time-groups?'],
  [["--threshold", "1"], 'Unknown flag "--threshold": did you mean --smoothness-threshold?'],
  [["--overwrit"], 'Unknown flag "--overwrit": did you mean --overwrite?'],
  [["--dryrun"], 'Unknown flag "--dryrun": did you mean --dry-run?'],
  [["--colour"], 'Unknown flag "--colour": see isotherm quantize --help'],
  [["-x"], 'Unknown flag "-x": see isotherm quantize --help'],
  [["inspect", "m", "--overwrite"], 'Unknown flag "--overwrite": see isotherm inspect --help'],
  [["verify", "o", "--agianst", "m"], 'Unknown flag "--agianst": did you mean --against?'],
  [["--\x1b[2J"], 'Unknown flag "--\\u{1b}[2J": see isotherm quantize --help'],
]);

refuses("a misspelled command", [
  [
    ["verfy", "o"],
    'Unknown command "verfy": did you mean verify?',
  ],
  [
    ["inspekt"],
    'Unknown command "inspekt": did you mean inspect?',
  ],
  [["train"], 'Unknown command "train": expected ' + COMMAND_LIST],
  [[""], 'Unknown command "": expected ' + COMMAND_LIST],
]);

refuses("a flag without its value", [
  [["--model"], "--model needs a value: --model DIR"],
  [["--model="], "--model needs a value: --model DIR"],
  [["--model", ""], "--model needs a value: --model DIR"],
  [[...PATHS, "--bit-width"], "--bit-width needs a value: --bit-width 2|4|8"],
  [["--model", "--output", "o"], "--model needs a value: --model DIR"],
  [["--model", "m", "--output", "--json"], "--output needs a value: --output DIR"],
]);

refuses("a value given to a switch", [
  [[...PATHS, "--json=yes"], '--json takes no value, "yes" given: leave it out'],
  [[...PATHS, "--overwrite="], '--overwrite takes no value, "" given: leave it out'],
]);

refuses("a flag given twice", [
  [["--model", "a", "--model", "b"], "--model is given twice: give it once"],
  [[...PATHS, "--bit-width=2", "--bit-width", "2"], "--bit-width is given twice: give it once"],
]);

refuses("a missing or surplus file", [
  [["compare"], "Missing reports to compare: isotherm compare BASELINE CURRENT [CURRENT...]"],
  [["compare", "a"], "Missing reports to compare: isotherm compare BASELINE CURRENT [CURRENT...]"],
  [["gate", "a"], "Missing reports to judge: isotherm gate BASELINE CURRENT"],
  [["gate", "a", ""], "Missing reports to judge: isotherm gate BASELINE CURRENT"],
  [["gate", "a", "b", "c"], 'Unexpected argument "c": gate takes a baseline and a report'],
  [
    ["baseline"],
    "Missing what to do with the baseline: isotherm baseline update CURRENT --to FILE",
  ],
  [["baseline", "show", "a"], 'Unknown baseline action "show": expected update'],
  [
    ["baseline", "update", "--to", "b"],
    "Missing the report to take over: isotherm baseline update CURRENT --to FILE",
  ],
  [["baseline", "update", "c"], "Missing --to FILE: see isotherm baseline --help"],
  [
    ["baseline", "update", "a", "b"],
    'Unexpected argument "b": baseline update takes one report',
  ],
  [["backends", "a"], 'Unexpected argument "a": backends takes none'],
]);

refuses("a missing or surplus directory", [
  [[], "Missing --model DIR: see isotherm --help"],
  [["--model", "m"], "Missing --output DIR: see isotherm --help"],
  [["inspect"], "Missing the directory to inspect: isotherm inspect DIR"],
  [["verify", "--against", "m"], "Missing the directory to verify: isotherm verify DIR"],
  [["verify", "o"], "Missing --against DIR: see isotherm verify --help"],
  [["inspect", "a", "b"], 'Unexpected argument "b": inspect takes one directory'],
  [
    ["--output", "o", "m"],
    'Unexpected argument "m": give directories with --model and --output',
  ],
]);

for (const command of COMMANDS) {
  Deno.test(`renderHelp() fits 24 lines of 80 columns when the command is ${command}`, () => {
    const lines = renderHelp(command).replace(/\n$/, "").split("\n");
    assert.ok(lines.length <= 24, `${lines.length} lines`);
    for (const line of lines) assert.ok(line.length <= 80, `${line.length} columns: ${line}`);
  });

  Deno.test(`renderHelp() names exactly the flags it takes when the command is ${command}`, () => {
    const named = [...renderHelp(command).matchAll(/^ {2}--.*$/gm)].flatMap(([line]) =>
      [...line.matchAll(/(?<=^ {2}|, )--([a-z-]+)/g)].map(([, name]) => name)
    );
    const taken = FLAGS.filter((flag) => flag.commands.includes(command)).map(({ name }) => name);
    assert.deepEqual(named, taken);
  });
}
