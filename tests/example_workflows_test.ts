/** The workflows to copy hold what their first lines say. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "npm:yaml@2.9.1";
import { BASELINE, withRepository } from "./gated_repository.ts";
import { ACTION, readAction, type Step } from "./read_action.ts";
import { formatReport } from "./make_report.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** One of the workflows, as far as it is checked. */
interface Workflow {
  name: string;
  on: Record<string, unknown>;
  env?: Record<string, string>;
  jobs: Record<string, {
    strategy?: { matrix: { include: Record<string, string>[] } };
    steps: Step[];
  }>;
}

const textOf = (name: string) => Deno.readTextFileSync(`${ROOT}examples/workflows/${name}.yml`);

const read = (name: string) => parse(textOf(name)) as Workflow;

/** Steps of the one job of a workflow. */
const stepsOf = (name: string) => Object.values(read(name).jobs)[0]!.steps;

/** What a workflow gives the step that uses an action. */
const givenTo = (name: string, action: string): Record<string, string | boolean> => {
  const step = stepsOf(name).find(({ uses = "" }) => uses.startsWith(`${action}@`));
  return step?.with ?? assert.fail(`${name} does not use ${action}`);
};

const GATE = "OWNER/isotherm/action";

Deno.test("update-baseline.yml measures as baseline-file.yml judges, and writes that baseline", () => {
  const given = givenTo("update-baseline", GATE);
  assert.deepEqual(given, givenTo("baseline-file", GATE));
  const scripts = stepsOf("update-baseline").map(({ run = "" }) => run).join("");
  assert.deepEqual(
    [...scripts.matchAll(/(?:--to|git add) (\S+)/g)].map(([, path]) => path),
    [given.baseline, given.baseline],
  );
});

Deno.test("update-baseline.yml writes the baseline from the report", () =>
  withRepository({ sqnr_db: 99 }, async ({ workspace, report, baseline }) => {
    Deno.writeTextFileSync(join(workspace, "r.json"), formatReport(report));
    Deno.symlinkSync(ROOT, join(workspace, "isotherm"));
    const { run = "", env = {} } = stepsOf("update-baseline").find(({ name = "" }) =>
      name.startsWith("Write the baseline")
    )!;
    assert.deepEqual(Object.keys(env), ["REPORT"]);
    const bin = join(workspace, "bin");
    Deno.mkdirSync(bin);
    Deno.symlinkSync(Deno.execPath(), join(bin, "deno"));
    const { code, stdout, stderr } = await new Deno.Command("bash", {
      args: ["-eo", "pipefail", "-c", run],
      cwd: workspace,
      env: { REPORT: "r.json", PATH: `${bin}:/usr/bin:/bin` },
    }).output();
    const text = new TextDecoder();
    assert.equal(code, 0, text.decode(stderr));
    assert.match(text.decode(stdout), /sqnr_db/);
    const now = Deno.readTextFileSync(join(workspace, BASELINE));
    assert.equal(
      now,
      baseline.replace('"sqnr_db": 99', `"sqnr_db": ${report.sqnr_db!.toPrecision(6)}`),
    );
  }));

Deno.test("update-baseline.yml asks for a pull request into the branch it was started on", () => {
  const { run = "", env = {} } = stepsOf("update-baseline").at(-1)!;
  assert.equal(env.BASE, "${{ github.ref_name }}");
  assert.match(run, /^gh pr create --base "\$BASE" --head "\$BRANCH" /m);
});

Deno.test("matrix.yml gives each model a baseline and an artifact of its own", () => {
  const { include } = Object.values(read("matrix").jobs)[0]!.strategy!.matrix;
  assert.equal(include.length, 2);
  const given = givenTo("matrix", GATE);
  const expanded = include.map((row) =>
    Object.fromEntries(
      Object.entries(given).map(([key, value]) => [
        key,
        String(value).replaceAll(/\$\{\{ matrix\.([\w-]+) \}\}/g, (_, name: string) => {
          assert.ok(name in row, name);
          return row[name]!;
        }),
      ]),
    )
  );
  assert.deepEqual(expanded.map(({ model, baseline, artifact }) => [model, baseline, artifact]), [
    ["models/dit", ".isotherm/dit.json", "isotherm-dit"],
    ["models/dit-large", ".isotherm/dit-large.json", "isotherm-dit-large"],
  ]);
  for (const name of Object.keys(include[0]!)) {
    assert.ok(textOf("matrix").includes(`\${{ matrix.${name} }}`), name);
  }
});

Deno.test("baseline-cache.yml keeps a baseline for each branch, where the action looks for it", () => {
  const [found, kept] = ["restore", "save"].map((verb) =>
    givenTo("baseline-cache", `actions/cache/${verb}`)
  );
  assert.equal(
    read("baseline-cache").env!.BASELINE,
    "isotherm-baseline-${{ github.base_ref || github.ref_name }}/",
  );
  assert.equal(found!["restore-keys"], "${{ env.BASELINE }}");
  assert.equal(found!.key, "${{ env.BASELINE }}${{ github.run_id }}-${{ github.run_attempt }}");
  assert.equal(kept!.key, found!.key);
  assert.deepEqual([found!.path, kept!.path], [BASELINE, BASELINE]);
  assert.equal(readAction(ACTION).inputs.baseline!.default, BASELINE);
  const keep = stepsOf("baseline-cache").find(({ id }) => id === "keep")!;
  assert.match(keep.if!, /github\.event_name != 'pull_request'/);
});

Deno.test("hugging-face.yml fetches one revision into the model's directory, and keeps it by its name", () => {
  const { env = {} } = read("hugging-face");
  assert.deepEqual(Object.keys(env), ["REPOSITORY", "REVISION"]);
  assert.equal(typeof env.REVISION, "string");
  assert.match(env.REVISION!, /^[0-9a-f]{40}$/);
  const { model } = givenTo("hugging-face", GATE);
  const cache = givenTo("hugging-face", "actions/cache");
  assert.deepEqual(cache, {
    path: model,
    key: "weights-${{ env.REPOSITORY }}-${{ env.REVISION }}",
  });
  const { run = "", if: when } = stepsOf("hugging-face").find(({ name }) =>
    name === "Fetch the weights"
  )!;
  assert.equal(when, "${{ steps.weights.outputs.cache-hit != 'true' }}");
  assert.match(run, / install huggingface_hub==\d+\.\d+\.\d+$/m);
  assert.ok(
    run.endsWith(`/hf" download "$REPOSITORY" --revision "$REVISION" --local-dir ${model}\n`),
  );
  const readme = Deno.readTextFileSync(`${ACTION}/README.md`);
  assert.ok(readme.includes(run.replaceAll(/^/gm, "    ").trimEnd()), run);
});

Deno.test("every workflow to copy is in the action's README, and nothing else", () => {
  const readme = Deno.readTextFileSync(`${ACTION}/README.md`);
  const linked = [...readme.matchAll(/^\| \[([\w-]+\.yml)\]\(\.\.\/examples\/workflows\/\1\)/gm)];
  const names = [...Deno.readDirSync(`${ROOT}examples/workflows`)].map(({ name }) => name);
  assert.deepEqual(linked.map(([, name]) => name).sort(), names.sort());
});

Deno.test("workflows that name the same action use the same commit of it", () => {
  const commits = new Map<string, string>();
  const texts = [...Deno.readDirSync(`${ROOT}examples/workflows`)].map(({ name }) =>
    textOf(name.replace(".yml", ""))
  );
  for (const text of [...texts, Deno.readTextFileSync(`${ROOT}.github/workflows/gate.yml`)]) {
    for (
      const [, name = "", commit = ""] of text.matchAll(/uses: ([\w-]+\/[\w-]+)[\w/-]*@(.*)$/gm)
    ) {
      assert.equal(commits.get(name) ?? commit, commit, name);
      commits.set(name, commit);
    }
  }
  assert.ok(commits.size >= 4);
});
