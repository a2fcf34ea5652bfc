/** Runs a composite action as the runner does: bash steps with a clean environment and files of their own. */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { decide, expandText, type ExpressionContext } from "./expand_expression.ts";
import { ACTION, readAction, type Step } from "./read_action.ts";
import { parseCommands, parseOutputs, type RunnerCommand } from "./runner_files.ts";

/** A run to make. */
export interface ActionRun {
  /** Directory of the repository. */
  workspace: string;
  /** What the workflow gives; everything else has its default. */
  inputs: Record<string, string>;
  /** Payload of the event. Default: a push. */
  event?: object;
  /** Address of the API. Default: a port at which nothing listens. */
  api?: string;
  /** Whether there is no file for a job summary. */
  noSummary?: boolean;
  /** Directory of action.yml. */
  action?: string;
  /** Where the runner's own files go. Default: beside the workspace. */
  temporary?: string;
  /** A script that takes Deno's place. */
  deno?: string;
}

/** What came of a step. */
export interface StepResult {
  name: string;
  code: number;
  log: string;
  /** For `uses`: its inputs. */
  with: Record<string, string>;
}

/** What came of a run. */
export interface ActionResult {
  /** Exit code of the first step that failed the job; 0: green. */
  code: number;
  outputs: Record<string, string>;
  summary: string;
  annotations: RunnerCommand[];
  /** Steps that ran, in order. */
  steps: StepResult[];
  log: string;
  /** What belongs to the runner. */
  temporary: string;
}

/** What a runner is told by annotations: level, file with line, and text. */
export function annotationsOf({ annotations }: ActionResult): string[][] {
  return annotations.map(({ name, properties, message }) => {
    const { file = "", line = "" } = properties;
    return [name, `${file}:${line}`, message];
  });
}

/** Makes a run; its files are left for the test to look at. */
export async function runAction(options: ActionRun): Promise<ActionResult> {
  const directory = options.action ?? ACTION;
  const action = readAction(directory);
  const temporary = makeTemporary(options);
  const values = new Map([["github.token", "token-of-the-job"]]);
  for (const name of Object.keys(options.inputs)) assert.ok(name in action.inputs, name);
  for (const [name, input] of Object.entries(action.inputs)) {
    values.set(`inputs.${name}`, options.inputs[name] ?? input.default ?? "");
  }
  const context: ExpressionContext = { values, ok: true };
  const result: ActionResult = {
    code: 0,
    outputs: {},
    summary: "",
    annotations: [],
    steps: [],
    log: "",
    temporary,
  };
  for (const [i, step] of action.runs.steps.entries()) {
    if (!decide(step.if, context)) continue;
    const done = await runStep(step, context, `${i}`, directory, temporary, options);
    result.steps.push(done);
    result.log += done.log;
    result.annotations.push(...parseCommands(done.log));
    if (done.code === 0 || step["continue-on-error"]) continue;
    context.ok = false;
    result.code ||= done.code;
  }
  for (const [name, { value }] of Object.entries(action.outputs ?? {})) {
    result.outputs[name] = expandText(value, context);
  }
  const summary = join(temporary, "summary");
  if (!options.noSummary) result.summary = Deno.readTextFileSync(summary);
  return result;
}

/** Makes a directory for what belongs to the runner. */
function makeTemporary({ workspace, event = {}, temporary, deno }: ActionRun): string {
  const directory = Deno.makeTempDirSync({ dir: temporary ?? dirname(workspace) });
  Deno.mkdirSync(join(directory, "bin"));
  Deno.writeTextFileSync(join(directory, "event.json"), JSON.stringify(event));
  const program = join(directory, "bin/deno");
  if (deno === undefined) Deno.symlinkSync(Deno.execPath(), program);
  else Deno.writeTextFileSync(program, deno, { mode: 0o755 });
  return directory;
}

async function runStep(
  step: Step,
  context: ExpressionContext,
  key: string,
  action: string,
  temporary: string,
  options: ActionRun,
): Promise<StepResult> {
  const expand = (text: string | boolean) => expandText(String(text), context);
  const inputs = mapValues(step.with ?? {}, expand);
  if (step.uses !== undefined) return { name: step.name, code: 0, log: "", with: inputs };
  const [output, script] = [join(temporary, `output-${key}`), join(temporary, `step-${key}.sh`)];
  Deno.writeTextFileSync(output, "");
  Deno.writeTextFileSync(script, expand(step.run!));
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["--noprofile", "--norc", "-eo", "pipefail", script],
    cwd: options.workspace,
    clearEnv: true,
    env: {
      ...runnerEnv(options, temporary, action),
      GITHUB_OUTPUT: output,
      ...options.noSummary ? {} : { GITHUB_STEP_SUMMARY: makeFile(join(temporary, "summary")) },
      ...mapValues(step.env ?? {}, expand),
    },
  }).output();
  for (const [name, value] of parseOutputs(Deno.readTextFileSync(output))) {
    (context.values as Map<string, string>).set(`steps.${step.id}.outputs.${name}`, value);
  }
  const text = new TextDecoder();
  return { name: step.name, code, log: text.decode(stdout) + text.decode(stderr), with: inputs };
}

/** The variables that a runner sets, as far as they matter, and those that Deno's cache needs. */
function runnerEnv(
  { workspace, api = "http://127.0.0.1:9" }: ActionRun,
  temporary: string,
  action: string,
): Record<string, string> {
  return {
    PATH: `${join(temporary, "bin")}:/usr/bin:/bin`,
    HOME: temporary,
    XDG_RUNTIME_DIR: "/tmp",
    DENO_DIR: CACHE,
    // Where packages come from may be set for the whole machine.
    ...pick(["NPM_CONFIG_REGISTRY", "DENO_TLS_CA_STORE", "DENO_CERT"]),
    NO_COLOR: "1",
    CI: "true",
    GITHUB_ACTIONS: "true",
    GITHUB_ACTION_PATH: action,
    GITHUB_API_URL: api,
    GITHUB_EVENT_PATH: join(temporary, "event.json"),
    GITHUB_REPOSITORY: "owner/name",
    GITHUB_RUN_ID: "77",
    GITHUB_SHA: "5".repeat(40),
    GITHUB_SERVER_URL: "https://github.example",
    GITHUB_WORKSPACE: workspace,
    RUNNER_TEMP: temporary,
  };
}

const CACHE = await (async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return (JSON.parse(new TextDecoder().decode(stdout)) as { denoDir: string }).denoDir;
})();

function pick(names: readonly string[]): Record<string, string> {
  const found = names.map((name) => [name, Deno.env.get(name)]);
  return Object.fromEntries(found.filter(([, value]) => value !== undefined));
}

function mapValues<T>(from: Record<string, T>, map: (value: T) => string): Record<string, string> {
  return Object.fromEntries(Object.entries(from).map(([name, value]) => [name, map(value)]));
}

function makeFile(path: string): string {
  Deno.writeTextFileSync(path, "", { append: true });
  return path;
}
