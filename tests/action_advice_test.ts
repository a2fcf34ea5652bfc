/** What a run of the action tells those who accept it as the baseline, and which commits it names. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { adviseCommit, adviseUpdate } from "../action/accept_baseline.ts";
import { describeOutcome } from "../action/describe_outcome.ts";
import { readSurroundings } from "../action/surroundings.ts";
import { namesIn } from "./directories.ts";
import { BASELINE, withRepository } from "./gated_repository.ts";
import { withFiles } from "./make_model.ts";
import { ACTION, readAction } from "./read_action.ts";
import { runAction } from "./run_action.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** A pull request. */
const EVENT = {
  pull_request: {
    number: 7,
    head: { sha: `abc1234${"0".repeat(33)}` },
    base: { sha: `def5678${"0".repeat(33)}` },
  },
};

/** What commits a baseline that was created. */
const COMMIT = [
  'artifact="$(mktemp -d)"',
  'gh run download 77 --repo github.example/owner/name --name isotherm --dir "$artifact"',
  "mkdir -p .isotherm",
  'cp "$artifact/baseline.json" .isotherm/baseline.json',
  "git add .isotherm/baseline.json",
  'git commit --message "Add the quantization baseline"',
];

const UPDATE = [
  "mkdir -p .isotherm",
  "npx --yes deno@2.9.6 run --no-prompt --allow-read --allow-write=. " +
  "ISOTHERM/cli.ts baseline update report.json --to .isotherm/baseline.json",
];

/** Lines as a code block of Markdown. */
const blockOf = (lines: readonly string[]) => lines.map((line) => `    ${line}\n`).join("");

/** Runs lines in bash, with these scripts as programs. */
async function runLines(
  directory: string,
  lines: readonly string[],
  programs: Record<string, string> = {},
): Promise<void> {
  const bin = Deno.makeTempDirSync({ dir: directory });
  for (const [name, text] of Object.entries(programs)) {
    Deno.writeTextFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  }
  const { code, stderr } = await new Deno.Command("bash", {
    args: ["-euo", "pipefail", "-c", lines.join("\n")],
    cwd: directory,
    env: { PATH: `${bin}:/usr/bin:/bin`, TMPDIR: bin },
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
}

Deno.test("the commands of the job summary put a created baseline into a checkout", () =>
  withRepository(null, async ({ root, workspace }) => {
    const inputs = { model: "model", "missing-baseline": "create" };
    const result = await runAction({ workspace, inputs, event: EVENT });
    assert.equal(result.code, 0, result.log);
    assert.ok(
      result.summary.endsWith(
        "\n\nThere was no baseline: `.isotherm/baseline.json` was written from this run. The " +
          "runner's files vanish: review `baseline.json` of artifact `isotherm`, and commit it in a " +
          `checkout of the branch:\n\n${blockOf(COMMIT)}\n` +
          "Commit `abc1234`.\n\nFull report: artifact `isotherm` of [this run]" +
          "(https://github.example/owner/name/actions/runs/77).\n",
      ),
      result.summary,
    );
    assert.ok(result.log.includes(`\n${COMMIT.join("\n")}\n`), result.log);
    const artifact = result.steps.find(({ name }) => name === "Keep the reports")!.with.path!;
    const created = Deno.readTextFileSync(join(workspace, BASELINE));
    assert.equal(Deno.readTextFileSync(join(artifact, "baseline.json")), created);
    // In a checkout, with the artifact as GitHub hands it out.
    const checkout = join(root, "checkout");
    Deno.mkdirSync(checkout);
    const lines = COMMIT.filter((line) => !line.startsWith("git "));
    await runLines(checkout, lines, { gh: `eval "to=\\$$#"; cp '${artifact}'/* "$to"` });
    assert.equal(Deno.readTextFileSync(join(checkout, BASELINE)), created);
  }));

Deno.test("the artifact holds no baseline when none was created", async () => {
  for (const [change, missing] of [[{}, "create"], [null, "warn"]] as const) {
    await withRepository(change, async ({ workspace }) => {
      const inputs = { model: "model", "missing-baseline": missing };
      const result = await runAction({ workspace, inputs });
      assert.equal(result.code, 0, result.log);
      assert.ok(!namesIn(join(result.outputs.summary!, "..")).includes("baseline.json"));
      assert.doesNotMatch(result.summary + result.log, /git commit/);
    });
  }
});

Deno.test("the command of a red check accepts the run", () =>
  withRepository({ sqnr_db: 99 }, async ({ workspace, report, baseline }) => {
    const result = await runAction({ workspace, inputs: { model: "model" }, event: EVENT });
    assert.equal(result.code, 3, result.log);
    assert.ok(
      result.summary.includes(
        "\n\nTo accept this run, make `report.json` of artifact `isotherm` the baseline and commit " +
          "it; ISOTHERM is a checkout of the action's repository:\n\n" +
          `${blockOf(UPDATE)}\n` +
          "Commit `abc1234`; baseline as in `.isotherm/baseline.json` at base `def5678`, where " +
          "neither the pull request nor a cache changed it.\n\nFull report: ",
      ),
      result.summary,
    );
    assert.doesNotMatch(result.summary, /isotherm baseline update/);
    Deno.copyFileSync(result.outputs.report!, join(workspace, "report.json"));
    // The folder may not be there yet.
    Deno.removeSync(join(workspace, ".isotherm"), { recursive: true });
    const lines = UPDATE.map((line) => line.replace("ISOTHERM/", ROOT));
    await runLines(workspace, lines, { npx: `shift 2; exec '${Deno.execPath()}' "$@"` });
    const now = Deno.readTextFileSync(join(workspace, BASELINE));
    assert.equal(
      now,
      baseline.replace('"sqnr_db": 99', `"sqnr_db": ${report.sqnr_db!.toPrecision(6)}`),
    );
  }));

Deno.test("the summary of a baseline of other settings says how to accept the run", () =>
  withRepository({}, async ({ workspace }) => {
    const inputs = { model: "model", "bit-width": "4" };
    const result = await runAction({ workspace, inputs, event: EVENT });
    assert.equal(result.code, 4, result.log);
    assert.ok(
      result.summary.includes(`\n\n${blockOf(UPDATE)}\nCommit \`abc1234\`.\n\nFull report: `),
    );
  }));

Deno.test("a red check names the workflow that updates the baseline", () => {
  const name = "examples/workflows/update-baseline.yml";
  const files = {
    "repository/.github/workflows/a.yml": "on:\n  workflow_dispatch:\n",
    "repository/.github/workflows/b.txt": "workflow_dispatch, baseline update",
    "repository/.github/workflows/c.yml": "on: push\n# baseline update\n",
    "repository/.github/workflows/update.yml": "workflow_dispatch, baseline update",
    "repository/.github/workflows/renew.yml": Deno.readTextFileSync(join(ROOT, name)),
  };
  return withRepository({ sqnr_db: 99 }, async ({ workspace }) => {
    const inputs = { model: "model", comment: "true" };
    const result = await runAction({ workspace, inputs });
    assert.equal(result.code, 3, result.log);
    const words =
      "\n\nTo accept this run, start the workflow `.github/workflows/renew.yml` by hand: " +
      "it writes the new baseline.\n\nCommit `5555555`.\n\nFull report: ";
    const comment = Deno.readTextFileSync(join(result.outputs.summary!, "../comment.md"));
    for (const text of [result.summary, comment]) {
      assert.ok(text.includes(words), text);
      assert.doesNotMatch(text, /ISOTHERM/);
    }
  }, files);
});

Deno.test("the command names the version of Deno that the action runs", () => {
  const [setup] = readAction(ACTION).runs.steps;
  const { commands: [command = ""] } = adviseUpdate("b.json", { workspace: "/", artifact: "a" });
  assert.equal(/ deno@(\S+) /.exec(command)?.[1], setup!.with!["deno-version"]);
});

const RUN = { address: "https://github.example/o/n", id: "5", repository: "github.example/o/n" };

Deno.test("adviseCommit() gives no commands when there is no artifact to take the baseline from", () => {
  const here = { workspace: "/repo", run: RUN };
  const none = adviseCommit("b.json", { ...here, artifact: "" });
  assert.deepEqual(none.commands, []);
  assert.match(none.words, /give the input `artifact` a name, or commit the file in a step/);
  const outside = adviseCommit("/elsewhere/b.json", { ...here, artifact: "a" });
  assert.deepEqual(outside.commands, []);
  assert.match(outside.words, /`\/elsewhere\/b\.json` .* lies outside of the repository/);
});

Deno.test("adviseCommit() commits the file that is there when the run is none of GitHub", () => {
  const { commands } = adviseCommit("b.json", { workspace: "/repo", artifact: "a" });
  assert.deepEqual(commands, COMMIT.slice(-2).map((line) => line.replace(BASELINE, "b.json")));
});

Deno.test("adviseCommit() and adviseUpdate() quote names", () => {
  const here = { workspace: "/repo", run: RUN, artifact: "$(x) y" };
  assert.deepEqual(adviseCommit("/repo/-a b/$c.json", here).commands.slice(1, -1), [
    "gh run download 5 --repo github.example/o/n --name '$(x) y' --dir \"$artifact\"",
    "mkdir -p './-a b'",
    "cp \"$artifact/baseline.json\" './-a b/$c.json'",
    "git add './-a b/$c.json'",
  ]);
  const { words, commands } = adviseUpdate("/other/b c.json", here);
  assert.match(words, / of artifact `\$\(x\) y` the baseline /);
  assert.equal(commands[0], "mkdir -p /other");
  assert.match(commands[1]!, / --to '\/other\/b c\.json'$/);
  const inside = adviseUpdate("/repo/-a/b.json", here);
  assert.match(inside.commands[1]!, / --to \.\/-a\/b\.json$/);
  const unkept = adviseUpdate("b.json", { ...here, artifact: "" });
  assert.match(unkept.words, /make `report\.json` of a run that keeps an artifact the baseline /);
});

Deno.test("describeOutcome() names no commit where none is known", async () => {
  const results = { code: 2, error: "No  model", baseline: "b.json" };
  const here = { workspace: "/repo", artifact: "a" };
  assert.equal(await describeOutcome(results, here), "## Isotherm: bad input\n\n    No model\n");
  assert.equal(
    await describeOutcome(results, { ...here, head: "abc1234", base: "def5678" }),
    "## Isotherm: bad input\n\n    No model\n\nCommit `abc1234`.\n",
  );
});

/** A runner's environment with an event. */
const envOf = (root: string, more: Record<string, string> = {}) => {
  const values = new Map(Object.entries({
    GITHUB_EVENT_PATH: join(root, "event.json"),
    GITHUB_SHA: "5".repeat(40),
    GITHUB_WORKSPACE: root,
    ...more,
  }));
  return (name: string) => values.get(name);
};

Deno.test("readSurroundings() knows a commit only by a whole number", async () => {
  const sha = "0123456789".repeat(4);
  const cases = [
    { event: EVENT, head: "abc1234", base: "def5678" },
    { event: { pull_request: { head: { sha }, base: {} } }, head: "0123456", base: undefined },
    { event: { pull_request: { head: { sha: "abc" } } }, head: undefined, base: undefined },
    { event: { pull_request: { head: { sha: `${sha}\n` } } }, head: undefined, base: undefined },
    { event: {}, head: "5555555", base: undefined },
    { event: null, head: "5555555", base: undefined },
  ];
  for (const { event, head, base } of cases) {
    await withFiles({ "event.json": JSON.stringify(event) }, (root) => {
      const found = readSurroundings(envOf(root));
      assert.deepEqual([found.head, found.base, found.run], [head, base, undefined]);
    });
  }
});

Deno.test("readSurroundings() does without an event and without workflows", () =>
  withFiles({ "event.json": "{" }, (root) => {
    for (const more of [{}, { GITHUB_EVENT_PATH: join(root, "none") }]) {
      assert.deepEqual(readSurroundings(envOf(root, { INPUT_ARTIFACT: "a", ...more })), {
        workspace: root,
        run: undefined,
        artifact: "a",
        head: "5555555",
        base: undefined,
        updateWorkflow: undefined,
      });
    }
    const { workspace, head } = readSurroundings(() => undefined);
    assert.deepEqual([workspace, head], [".", undefined]);
  }));
