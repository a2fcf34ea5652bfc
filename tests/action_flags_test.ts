/** The action's inputs and the command line's flags are the same, but for a few that are named here. */

import assert from "node:assert/strict";
import { GATE_INPUTS, readInput, readInputs, RUN_INPUTS } from "../action/read_inputs.ts";
import { type Command, FLAGS } from "../lib/cli/flags.ts";
import { OPTIONAL_KEYS, SETTING_KEYS } from "../lib/report/report_figures.ts";
import { ACTION, readAction } from "./read_action.ts";

const { inputs, runs } = readAction(ACTION);

/** Flags that are no input, and why. */
const NO_INPUT: Record<string, string> = {
  json: "what the gate says is an output of the action",
  help: "there is a README",
  verbose: "layers are in the log of the artifact",
  "dry-run": "without a run there is nothing to judge",
  overwrite: "the model goes to a new directory",
  link: "the checkpoint is thrown away with the runner",
  compare: "that is what the baseline is for",
};

/** Flags that an input of another name gives, or that the action gives itself. */
const OTHER_NAME: Record<string, string> = {
  missing: "missing-baseline",
  // That of a run lies in the artifact; the input is one that is there already.
  report: "report",
};

/** Inputs that are no flag: about GitHub, or operands. */
const NO_FLAG = ["artifact", "baseline", "comment", "missing-baseline"];

/** Inputs that a flag of the same name takes, though they are read by themselves. */
const BY_THEMSELVES = ["model", "output", "report", "html-report"];

const flagsOf = (command: Command) => FLAGS.filter(({ commands }) => commands.includes(command));

/** Environment in which every input has its default, but for some. */
const defaults = (given: Record<string, string> = {}) => (name: string): string => {
  const key = Object.keys(inputs).find((one) =>
    name === `INPUT_${one.replaceAll("-", "_").toUpperCase()}`
  );
  assert.ok(key !== undefined, `${name} is no input`);
  return given[key] ?? inputs[key]!.default ?? "";
};

for (const [command, table] of [["quantize", RUN_INPUTS], ["gate", GATE_INPUTS]] as const) {
  Deno.test(`every flag of ${command} is an input of the action, or it is said why not`, () => {
    for (const { name, value, repeatable } of flagsOf(command)) {
      if (name in NO_INPUT) {
        assert.ok(!(name in inputs), name);
        continue;
      }
      assert.ok((OTHER_NAME[name] ?? name) in inputs, `--${name} is no input`);
      if (name in OTHER_NAME || BY_THEMSELVES.includes(name)) continue;
      const kind = value === undefined ? "switch" : repeatable ? "lines" : "value";
      assert.equal(table[name], kind, `--${name}`);
    }
    // The command line does not know every tolerance yet that the action hands on.
    const flags = [...flagsOf(command).map(({ name }) => name), "max-layer-drop"];
    assert.deepEqual(Object.keys(table).filter((name) => !flags.includes(name)), []);
  });
}

Deno.test("every input is a flag, or about GitHub", () => {
  const known = [...Object.keys(RUN_INPUTS), ...Object.keys(GATE_INPUTS)];
  const names = [...known, ...BY_THEMSELVES, ...NO_FLAG].sort();
  assert.deepEqual(Object.keys(inputs).sort(), names);
});

Deno.test("each setting that a baseline can differ by is an input", () => {
  const others: Record<string, string> = {
    model_name: "model",
    source: "model",
    default_ignore: "no-default-ignore",
    // It is compared where it was asked for.
    output_sqnr_db: "calibration",
    activation_smoothness_score: "activation-bits",
    activation_sqnr_db: "activation-bits",
  };
  for (const key of [...SETTING_KEYS, ...OPTIONAL_KEYS]) {
    const input = others[key] ?? key.replaceAll("_", "-");
    assert.ok(input in inputs, `${key}: ${input}`);
  }
});

Deno.test("every input is mapped for the step that measures, and read there", () => {
  const { env = {}, run = "" } = runs.steps.find(({ id }) => id === "measure")!;
  assert.deepEqual(/ --allow-env='(.*)'/.exec(run)![1]!.split(","), [
    "INPUT_*",
    ...["WORKSPACE", "SERVER_URL", "REPOSITORY", "RUN_ID", "SHA", "EVENT_PATH"]
      .map((name) => `GITHUB_${name}`),
  ]);
  const read = new Set<string>();
  readInputs((name) => {
    read.add(name);
    return defaults({ model: "m" })(name);
  });
  assert.deepEqual(Object.keys(env), [...Object.keys(env)].filter((name) => read.has(name)));
  for (const name of Object.keys(inputs)) {
    const variable = `INPUT_${name.replaceAll("-", "_").toUpperCase()}`;
    assert.equal(env[variable], `\${{ inputs.${name} }}`);
  }
  assert.equal(Object.keys(env).length, Object.keys(inputs).length);
});

Deno.test("readInputs() gives no flag when nothing is given, and one for each line or switch", () => {
  const { runFlags, gateFlags } = readInputs(defaults({ model: "m" }));
  assert.deepEqual([runFlags, gateFlags], [["--phase=baseline"], []]);
  const given = {
    model: "m",
    ignore: "--a\r\n\n b c \n",
    strict: "true",
    phase: "",
    "max-layer-drop": "0.5",
    "allow-vanished-layers": "true",
  };
  const some = readInputs(defaults(given));
  assert.deepEqual(some.runFlags, ["--ignore=--a", "--ignore=b c", "--strict"]);
  assert.deepEqual(some.gateFlags, ["--max-layer-drop=0.5", "--allow-vanished-layers"]);
  assert.equal(readInput(defaults({ ignore: " a\n" }), "ignore"), "a");
});
