/** The scripts of the workflow that keeps a history on a branch, run with a real git. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "npm:yaml@2.9.1";
import { formatBaseline, parseHistory } from "../mod.ts";
import { namesIn } from "./directories.ts";
import { withFiles } from "./make_model.ts";
import { formatReport, makeReport } from "./make_report.ts";
import type { Step } from "./read_action.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

const WORKFLOW = parse(Deno.readTextFileSync(`${ROOT}examples/workflows/history.yml`)) as {
  jobs: { history: { steps: Step[] } };
};

/** Runs a program in a folder and gives what it printed. */
async function run(
  cwd: string,
  env: Record<string, string>,
  program: string,
  ...args: string[]
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    cwd,
    args,
    env: { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null", ...env },
  }).output();
  const text = new TextDecoder();
  assert.equal(code, 0, text.decode(stderr));
  return text.decode(stdout);
}

Deno.test("history.yml keeps a line for each commit on a branch that holds nothing else", () =>
  withFiles({
    "work/README.md": "a repository with a folder of its own name\n",
    "work/history/notes.txt": "not of Isotherm\n",
    "work/.isotherm/baseline.json": formatBaseline(makeReport()),
    "report.json": formatReport(makeReport({ sqnr_db: 9.95 })),
    // What npx would fetch is here already: npx --yes deno@VERSION ARGUMENTS.
    "bin/npx": `#!/bin/sh\nshift 2\nexec '${Deno.execPath()}' "$@"\n`,
  }, async (root) => {
    Deno.chmodSync(join(root, "bin/npx"), 0o755);
    const work = join(root, "work");
    const author = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
    const git = (...args: string[]) => run(work, {}, "git", ...author, ...args);
    await run(root, {}, "git", "init", "--quiet", "--bare", "origin");
    await git("init", "--quiet", "--initial-branch=main");
    await git("remote", "add", "origin", join(root, "origin"));
    await git("add", ".");
    const commits: string[] = [];
    for (const message of ["first", "second"]) {
      await git("commit", "--quiet", "--allow-empty", "--message", message);
      commits.push((await git("rev-parse", "HEAD")).trim());
      await git("push", "--quiet", "origin", "main");
      // A job begins with a fresh checkout, and with the command line in it.
      const job = join(root, message);
      await run(
        root,
        {},
        "git",
        "clone",
        "--quiet",
        "--depth=1",
        `file://${root}/origin`,
        job,
        "-b",
        "main",
      );
      Deno.symlinkSync(ROOT, join(job, "isotherm"));
      const env = {
        PATH: `${join(root, "bin")}:${Deno.env.get("PATH")}`,
        REPORT: join(root, "report.json"),
        COMMIT: commits.at(-1)!,
      };
      const scripts = WORKFLOW.jobs.history.steps.flatMap(({ run }) => run ?? []);
      assert.equal(scripts.length, 3);
      for (const script of scripts) await run(job, env, "bash", "-eo", "pipefail", "-c", script);
      assert.deepEqual(namesIn(join(job, "history")), ["notes.txt"]);
    }
    const branch = join(root, "branch");
    await run(
      root,
      {},
      "git",
      "clone",
      "--quiet",
      join(root, "origin"),
      branch,
      "-b",
      "isotherm-history",
    );
    assert.deepEqual(namesIn(branch), [".git", "badge.json", "history.jsonl", "index.html"]);
    const entries = parseHistory(Deno.readTextFileSync(join(branch, "history.jsonl")));
    assert.deepEqual(entries.map(({ commit, baseline }) => [commit, baseline!.least_sqnr_db]), [
      [commits[0], 9.8],
      [commits[1], 9.8],
    ]);
    assert.deepEqual(JSON.parse(Deno.readTextFileSync(join(branch, "badge.json"))), {
      schemaVersion: 1,
      label: "isotherm",
      message: "poor, 9.9 dB",
      color: "orange",
    });
    const log = await run(branch, {}, "git", "log", "--format=%s");
    assert.equal(log, "Add a run to the quantization history\n".repeat(2));
  }));
