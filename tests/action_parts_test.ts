import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parse } from "npm:yaml@2.9.1";
import { cutMarkdown } from "../action/cut_markdown.ts";
import { MAX_COMMENT, MAX_SUMMARY, toComment, toSummary } from "../action/describe_outcome.ts";
import { quantizeArguments } from "../action/list_arguments.ts";
import { placeFiles } from "../action/place_files.ts";
import { readInputs } from "../action/read_inputs.ts";
import { DEFAULT_SETTINGS, FORMATS, MODULATIONS, PHASES } from "../lib/settings/settings.ts";
import { parseArgs } from "../lib/cli/parse_args.ts";
import { annotateFindings, pathInRepository } from "../action/list_annotations.ts";
import type { Finding } from "../mod.ts";
import { treeOf } from "./directories.ts";
import { ACTION, readAction, type Step } from "./read_action.ts";
import { parseCommands, parseOutputs } from "./runner_files.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Directories of the two actions. */
const ACTIONS = [ACTION, `${ACTION}/comment`];

/** What a workflow's file holds, as far as it is checked. */
interface Workflow {
  permissions?: object;
  jobs: Record<string, { steps: Step[] }>;
}

const WORKFLOWS = [".github/workflows", "examples/workflows"].flatMap((folder) =>
  treeOf(ROOT + folder).map((name) => {
    const text = Deno.readTextFileSync(`${ROOT}${folder}/${name}`);
    const workflow = parse(text) as Workflow;
    const steps = Object.values(workflow.jobs).flatMap((job) => job.steps);
    return { path: `${folder}/${name}`, text, workflow, steps };
  })
);

/** What the command line makes of inputs, by their variables; the others have the action's defaults. */
function argumentsOf(given: Record<string, string>) {
  const env = {
    MODEL: "m",
    BASELINE: "b",
    SYMMETRIC: "false",
    NO_DEFAULT_IGNORE: "false",
    STRICT: "false",
    ALLOW_VANISHED_LAYERS: "false",
    COMMENT: "false",
    MISSING_BASELINE: "fail",
    ...given,
  };
  const values = new Map(Object.entries(env));
  const inputs = readInputs((name) => values.get(name.slice("INPUT_".length)));
  return parseArgs(quantizeArguments(inputs, placeFiles("d")));
}

Deno.test("no script holds an expression, in an action or in a workflow", () => {
  const steps = [
    ...ACTIONS.flatMap((one) => readAction(one).runs.steps),
    ...WORKFLOWS.flatMap((one) => one.steps),
  ];
  assert.ok(steps.length > 15);
  for (const { run = "" } of steps) assert.doesNotMatch(run, /\$\{\{/);
});

Deno.test("quantizeArguments() hands each phase to the command line, and the action names them all", async () => {
  const { description = "", default: fallback } = readAction(ACTION).inputs.phase!;
  assert.equal(
    description,
    `How the parameters are chosen: ${PHASES.join(", ").replace(/, (?=\w+$)/, " or ")}`,
  );
  assert.equal(fallback, DEFAULT_SETTINGS.phase);
  for (const phase of PHASES) {
    const { settings } = await argumentsOf({ PHASE: phase });
    assert.equal(settings.phase, phase);
  }
});

Deno.test("quantizeArguments() hands formats and each line of component to the command line", async () => {
  const { settings } = await argumentsOf({
    FORMAT: "sdnq",
    SYMMETRIC: "true",
    MODULATION: "keep",
    COMPONENT: "transformer\r\n\n  text encoder \n",
  });
  const { format, symmetric, modulation, components } = settings;
  assert.deepEqual([format, symmetric, modulation], ["sdnq", true, "keep"]);
  assert.deepEqual(components, ["transformer", "text encoder"]);
  const { settings: plain } = await argumentsOf({});
  assert.deepEqual(plain, DEFAULT_SETTINGS);
  for (const [name, choices] of [["format", FORMATS], ["modulation", MODULATIONS]] as const) {
    const { description = "" } = readAction(ACTION).inputs[name]!;
    assert.ok(
      description.endsWith(`: ${choices.join(", ").replace(/, (?=[\w-]+$)/, " or ")}`),
      name,
    );
  }
});

Deno.test("every step that uses another action names a full commit and its version", () => {
  const texts = [
    ...ACTIONS.map((one) => Deno.readTextFileSync(`${one}/action.yml`)),
    ...WORKFLOWS.map(({ text }) => text),
  ];
  const uses = texts.flatMap((text) => [...text.matchAll(/uses: (.*)$/gm)].map(([, one]) => one!));
  const foreign = uses.filter((one) => !/^(\.\/|OWNER\/isotherm\/)/.test(one));
  assert.ok(foreign.length >= 10);
  for (const one of foreign) assert.match(one, /^[\w-]+\/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
});

Deno.test("every input reaches a step through the environment, and no step asks for more", () => {
  for (const directory of ACTIONS) {
    const { inputs, runs } = readAction(directory);
    const mapped = runs.steps.flatMap(({ env = {} }) => Object.entries(env));
    for (const [name, value] of mapped) {
      const input = /^\$\{\{ inputs\.(.*) \}\}$/.exec(value)?.[1];
      if (!name.startsWith("INPUT_")) continue;
      assert.equal(name, `INPUT_${input!.replaceAll("-", "_").toUpperCase()}`);
      assert.ok(input! in inputs, name);
    }
    for (const name of Object.keys(inputs)) {
      assert.ok(mapped.some(([, value]) => value === `\${{ inputs.${name} }}`), name);
    }
  }
});

/** What steps may ask of the system: the room on a disk, and whose files they are. */
const SYS = new Map([
  ["Quantize and judge", "statfs"],
  ["Write outputs, summary and annotations", "uid"],
]);

Deno.test("no step has more permissions than it needs, and the gate is the last one", () => {
  for (const directory of ACTIONS) {
    for (const { name, run = "", shell, uses } of readAction(directory).runs.steps) {
      if (uses !== undefined) continue;
      assert.equal(shell, "bash");
      if (!run.includes("deno run")) continue;
      const start = /deno run --frozen --lock="\$GITHUB_ACTION_PATH\/([^"]*)" --no-prompt /;
      const [, lock] = start.exec(run) ?? assert.fail(name);
      assert.ok(Deno.statSync(`${directory}/${lock}`).isFile, lock);
      assert.doesNotMatch(run, / -A\b|--allow-all|--allow-run|--allow-ffi|--allow-import/);
      assert.equal(/--allow-net/.test(run), name === "Comment", name);
      const sys = /--allow-sys=(\S+)/.exec(run)?.[1];
      assert.equal(sys, SYS.get(name), name);
    }
  }
  assert.equal(readAction(ACTION).runs.steps.at(-1)!.name, "Gate");
});

Deno.test("workflows may only write what they have to, and give inputs that there are", () => {
  const writing = new Map([
    ["fork-comment.yml", ["pull-requests"]],
    ["history.yml", ["contents"]],
    ["update-baseline.yml", ["contents", "pull-requests"]],
  ]);
  for (const { path, workflow, steps } of WORKFLOWS) {
    const may = Object.entries(workflow.permissions ?? assert.fail(path));
    const writes = may.filter(([, level]) => level === "write").map(([name]) => name);
    assert.deepEqual(writes, writing.get(path.split("/").at(-1)!) ?? [], path);
    for (const { uses = "", with: given = {} } of steps) {
      const name = /^(?:\.|OWNER\/isotherm)\/(action[^@]*)/.exec(uses)?.[1];
      if (name === undefined) continue;
      const { inputs } = readAction(ROOT + name);
      for (const key of Object.keys(given)) assert.ok(key in inputs, `${path}: ${key}`);
    }
  }
});

Deno.test("the action's README names every input and output", () => {
  const text = Deno.readTextFileSync(`${ACTION}/README.md`);
  const { inputs, outputs = {} } = readAction(ACTION);
  for (const name of [...Object.keys(inputs), ...Object.keys(outputs)]) {
    assert.ok(text.includes(`\`${name}\``), name);
  }
});

Deno.test("only the step that publishes loads @actions/core", () => {
  const files = [
    ...treeOf(`${ROOT}lib`).map((name) => `lib/${name}`),
    ...treeOf(ACTION).map((name) => `action/${name}`),
    "cli.ts",
    "mod.ts",
  ].filter((name) => name.endsWith(".ts"));
  const users = files.filter((name) =>
    Deno.readTextFileSync(ROOT + name).includes("@actions/core@")
  );
  assert.deepEqual(users, ["action/publish.ts"]);
});

Deno.test("cutMarkdown() cuts between lines and points to the rest when a text is too long", () => {
  assert.equal(cutMarkdown("a\nb\n", 4, "more"), "a\nb\n");
  assert.equal(cutMarkdown("aaaa\nbbbb\ncccc\n", 14, "more"), "aaaa\n\nmore\n");
  assert.equal(cutMarkdown("é".repeat(8), 12, "more"), "\nmore\n");
});

Deno.test("toSummary() and toComment() stay below GitHub's limits when names are long", () => {
  const run = { address: "https://github.example/run", id: "1", repository: "github.example/o/n" };
  const links = { run, artifact: "isotherm" };
  const long = `${"é".repeat(500)}\n`.repeat(3000);
  const pointer =
    "\nCut here. Full report: artifact `isotherm` of [this run](https://github.example/run).\n";
  const comment = toComment(long, "base.json", links);
  for (
    const [text, limit] of [[toSummary(long, links), MAX_SUMMARY], [comment, MAX_COMMENT]] as const
  ) {
    const { length } = new TextEncoder().encode(text);
    assert.ok(length <= limit && length > limit - 2000, `${length}`);
    assert.ok(text.endsWith(pointer));
  }
  assert.ok(MAX_SUMMARY < 2 ** 20 && MAX_COMMENT < 65_536);
  assert.ok(comment.startsWith("<!-- isotherm base.json -->\n"));
});

/** A broken rule about a layer. */
const finding = (i: number, parts: Partial<Finding> = {}): Finding => ({
  metric: "sqnr_db",
  layer: `blocks.${i}`,
  baseline: 9,
  current: 1,
  allowed: 8,
  operator: ">=",
  level: "warn",
  passed: false,
  problem: null,
  ...parts,
});

Deno.test("annotateFindings() gives 10 notes, failures first, when there are more", () => {
  const text = '{\n  "sqnr_db": 9,\n  "layers": [\n    {"name": "blocks.3", "rows": 1}\n  ]\n}\n';
  const findings = [
    ...Array.from({ length: 11 }, (_, i) => finding(i)),
    finding(3, { level: "fail" }),
    finding(0, { layer: null, level: "fail" }),
    finding(0, { metric: "renamed_layers", layer: null }),
    finding(0, { passed: true }),
  ];
  const notes = annotateFindings(findings, { file: "b.json", text });
  assert.equal(notes.length, 10);
  assert.deepEqual(notes.map(({ level, line }) => [level, line]).slice(0, 3), [
    ["error", 4],
    ["error", 2],
    ["warning", 1],
  ]);
  assert.equal(notes.at(-1)!.message, "5 more: see the job summary");
  assert.deepEqual(annotateFindings([finding(0)], { file: undefined, text: "" }), [
    { level: "warning", message: 'warn sqnr_db of "blocks.0": 9 -> 1, must be >= 8' },
  ]);
});

Deno.test("pathInRepository() knows no path when a file lies outside", () => {
  assert.equal(pathInRepository(".isotherm/b.json", "/repo"), ".isotherm/b.json");
  assert.equal(pathInRepository("/repo/b.json", "/repo"), "b.json");
  assert.equal(pathInRepository("../b.json", "/repo"), undefined);
  assert.equal(pathInRepository("/other/b.json", "/repo"), undefined);
});

Deno.test("parseOutputs() and parseCommands() read what a runner reads", () => {
  assert.deepEqual([...parseOutputs("a=1=2\nb<<END\nx\na=3\nEND\n")], [["a", "1=2"], [
    "b",
    "x\na=3",
  ]]);
  assert.throws(() => parseOutputs("b<<END\nx\n"));
  assert.throws(() => parseOutputs("text\n"));
  const log =
    "::stop-commands::T\n::error::no\n::T::\n  ::error file=a%2Cb,line=2::x%0Ay\nz ##[warning]w\n::no";
  assert.deepEqual(parseCommands(log), [
    { name: "error", properties: { file: "a,b", line: "2" }, message: "x\ny" },
    { name: "warning", properties: {}, message: "w" },
  ]);
});
