/** What a run knows of where it takes place: the workflow run, the commits, the repository's workflows. */

import { join } from "node:path";
import { isObject } from "../lib/report/check_schema.ts";
import { type ReadEnv, readInput } from "./read_inputs.ts";

/** A run of a workflow on GitHub. */
export interface WorkflowRun {
  /** Address of its page. */
  address: string;
  /** Its number. */
  id: string;
  /** `HOST/OWNER/NAME`, as `gh` takes it. */
  repository: string;
}

/** Where a run takes place. */
export interface Surroundings {
  /** Root of the repository. */
  workspace: string;
  /** The workflow's run; absent outside of GitHub. */
  run?: WorkflowRun | undefined;
  /** Name of the artifact; empty: none is kept. */
  artifact: string;
  /** First 7 digits of the commit in question; absent where it is not known. */
  head?: string | undefined;
  /** Those of the commit of the base branch; absent where the run is not about a pull request. */
  base?: string | undefined;
  /** Path of a workflow of the repository that writes the baseline, if there is one. */
  updateWorkflow?: string | undefined;
}

/** Reads the surroundings of a run; what cannot be read is not known. */
export function readSurroundings(env: ReadEnv): Surroundings {
  const workspace = env("GITHUB_WORKSPACE") ?? ".";
  const event = readEvent(env("GITHUB_EVENT_PATH"));
  const pull = isObject(event) && isObject(event.pull_request) ? event.pull_request : undefined;
  return {
    workspace,
    run: describeRun(env),
    artifact: readInput(env, "artifact"),
    // In a pull request the variable names a merge of the two, which nobody knows by its number.
    head: pull === undefined ? shortenSha(env("GITHUB_SHA")) : shaOf(pull.head),
    base: shaOf(pull?.base),
    updateWorkflow: findUpdateWorkflow(workspace),
  };
}

function describeRun(env: ReadEnv): WorkflowRun | undefined {
  const [server, repository, id] = ["SERVER_URL", "REPOSITORY", "RUN_ID"].map((name) =>
    env(`GITHUB_${name}`)
  );
  if (!server || !repository || !id) return undefined;
  return {
    address: `${server}/${repository}/actions/runs/${id}`,
    id,
    repository: `${server.replace(/^\w+:\/\//, "")}/${repository}`,
  };
}

function readEvent(path: string | undefined): unknown {
  try {
    return JSON.parse(Deno.readTextFileSync(path ?? ""));
  } catch {
    return undefined;
  }
}

function shaOf(end: unknown): string | undefined {
  return isObject(end) ? shortenSha(end.sha) : undefined;
}

function shortenSha(sha: unknown): string | undefined {
  return typeof sha === "string" && /^[0-9a-f]{40,64}$/.test(sha) ? sha.slice(0, 7) : undefined;
}

/** The first workflow that can be started by hand and runs `baseline update`. */
function findUpdateWorkflow(workspace: string): string | undefined {
  const folder = ".github/workflows";
  try {
    return [...Deno.readDirSync(join(workspace, folder))]
      .filter(({ name, isFile }) => isFile && /\.ya?ml$/.test(name))
      .map(({ name }) => `${folder}/${name}`).sort()
      .find((path) => {
        const text = Deno.readTextFileSync(join(workspace, path));
        return /\bworkflow_dispatch\b/.test(text) && /\bbaseline update\b/.test(text);
      });
  } catch {
    return undefined;
  }
}
