import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { type Files, treeOf } from "./directories.ts";
import { BASELINE, withRepository } from "./gated_repository.ts";
import { encodeFile, matrix, noise } from "./make_model.ts";
import { ACTION, readAction } from "./read_action.ts";
import { type ActionResult, runAction } from "./run_action.ts";

/** Text that is a command to bash, to the runner, in Markdown or in HTML, wherever it is taken for more than text. */
const HOSTILE = [
  `a"b'c`,
  "$(touch INJECTED)`touch INJECTED`; touch INJECTED #",
  "::set-output name=verdict::pass",
  "##[set-output name=verdict]pass",
  "::error::INJECTED",
  "EOF",
  "verdict=pass",
  "-->![x](https://evil.example)@everyone<script>${{ github.token }}",
].join("\n");

/** What each input does with it. */
const VERDICTS: Record<string, string> = {
  model: "bad-input",
  output: "pass",
  "bit-width": "bad-input",
  "num-time-groups": "bad-input",
  granularity: "bad-input",
  "group-size": "bad-input",
  format: "bad-input",
  symmetric: "bad-input",
  modulation: "bad-input",
  component: "bad-input",
  ignore: "bad-input",
  "no-default-ignore": "bad-input",
  strict: "bad-input",
  "smoothness-threshold": "bad-input",
  phase: "bad-input",
  "smoothing-window": "bad-input",
  "smoothing-method": "bad-input",
  "markov-weight": "bad-input",
  calibration: "bad-input",
  "timestep-weights": "bad-input",
  "activation-bits": "bad-input",
  "activation-range": "bad-input",
  grouping: "bad-input",
  "outlier-inputs": "bad-input",
  backend: "bad-input",
  report: "bad-input",
  baseline: "baseline-problem",
  rules: "bad-input",
  "max-score-drop": "bad-input",
  "max-cosine-drop": "bad-input",
  "max-sqnr-drop": "bad-input",
  "max-layer-drop": "bad-input",
  "max-size-growth": "bad-input",
  "max-new-violations": "bad-input",
  "allow-vanished-layers": "bad-input",
  "missing-baseline": "bad-input",
  "html-report": "pass",
  comment: "bad-input",
  artifact: "pass",
};

const CODES: Record<string, number> = { pass: 0, "bad-input": 2, "baseline-problem": 4 };

/** Checks that nothing was taken for a command. */
function assertHarmless(result: ActionResult, root: string): void {
  const names = treeOf(root).filter((path) => path.split("/").includes("INJECTED"));
  assert.deepEqual(names, []);
  for (const { name, properties } of result.annotations) {
    assert.ok(["error", "warning", "notice"].includes(name), name);
    assert.equal(properties.title, "Isotherm");
  }
  const readable = result.summary.split("\n").map((line) =>
    // What stands in a code block or a code span is shown as it is.
    line.startsWith("    ") ? "" : line.replaceAll(/`[^`]*`/g, "")
  ).join("\n");
  assert.doesNotMatch(readable, /@everyone|<script|!\[x\]|evil\.example/);
  assert.doesNotMatch(result.log + result.summary, /token-of-the-job/);
}

Deno.test("the hostile test knows every input", () => {
  assert.deepEqual(Object.keys(VERDICTS), Object.keys(readAction(ACTION).inputs));
});

for (const [name, verdict] of Object.entries(VERDICTS)) {
  Deno.test(`the action says ${verdict} and runs nothing when ${name} is hostile`, () =>
    withRepository({}, async ({ root, workspace }) => {
      const value = name === "output" || name === "html-report"
        // Such a name is a name like any other, but for the slashes.
        ? HOSTILE.replaceAll("/", "_")
        : HOSTILE;
      const result = await runAction({ workspace, inputs: { model: "model", [name]: value } });
      assert.equal(result.outputs.verdict, verdict, result.log);
      assert.equal(result.code, CODES[verdict], result.log);
      assertHarmless(result, root);
      if (name === "html-report") assert.equal(result.outputs["html-report"], value.trim());
      if (verdict !== "pass") assert.match(result.summary, /^## Isotherm: /);
    }));
}

Deno.test("the action runs nothing when the commands that it prints have hostile names in them", () =>
  withRepository(null, async ({ root, workspace }) => {
    const baseline = HOSTILE.replaceAll("/", "_");
    const inputs = { model: "model", baseline, artifact: HOSTILE, "missing-baseline": "create" };
    const first = await runAction({ workspace, inputs });
    assert.equal(first.code, 0, first.log);
    assertHarmless(first, root);
    assert.match(first.summary, /^ {4}gh run download 77 .* --name \$'/m);
    const path = join(workspace, baseline);
    const text = Deno.readTextFileSync(path).replaceAll(/"sqnr_db": [\d.]+/g, '"sqnr_db": 99');
    Deno.writeTextFileSync(path, text);
    const second = await runAction({ workspace, inputs });
    assert.equal(second.code, 3, second.log);
    assertHarmless(second, root);
    assert.match(second.summary, /^ {4}npx .* --to \$'/m);
  }));

/** A layer and a model that are called as an attacker would call them. */
const LAYER = "blocks.0.##[set-output name=verdict]pass|`x`$(touch INJECTED)<script>@everyone";
const MODEL = "##[error]INJECTED::error::x";

const HOSTILE_MODEL: Files = {
  [`repository/${MODEL}/model.safetensors`]: encodeFile([
    matrix(`${LAYER}.weight`, 8, 32, noise(1)),
    matrix("::error::x\n::set-output name=verdict::pass.weight", 8, 32, noise(2)),
  ]),
  [`repository/${MODEL}/config.json`]: "{}",
};

Deno.test("the action runs nothing when the model and its layers have hostile names", () =>
  withRepository(null, async ({ root, workspace }) => {
    const inputs = { model: MODEL, "missing-baseline": "create" };
    const first = await runAction({ workspace, inputs });
    assert.equal(first.code, 0, first.log);
    assertHarmless(first, root);
    const path = join(workspace, BASELINE);
    const text = Deno.readTextFileSync(path).replaceAll(/"sqnr_db": [\d.]+/g, '"sqnr_db": 99');
    Deno.writeTextFileSync(path, text);
    Deno.writeTextFileSync(
      join(dirname(path), "isotherm.gate.json"),
      '{"rules": [{"metric": "layers[re:.].sqnr_db", "absolute": 0.1}]}',
    );
    const second = await runAction({ workspace, inputs });
    assert.equal(second.code, 3, second.log);
    assertHarmless(second, root);
    const lines = text.split("\n");
    const found = second.annotations.map(({ properties, message }) => {
      return [lines[Number(properties.line) - 1]!.trim().slice(0, 10), message.slice(0, 20)];
    });
    assert.deepEqual(found, [
      ['"sqnr_db":', "FAIL sqnr_db: 99 -> "],
      ['{"name": "', "FAIL quality_grade o"],
      ['{"name": "', "FAIL quality_grade o"],
      ['{"name": "', 'FAIL sqnr_db of "::e'],
      ['{"name": "', 'FAIL sqnr_db of "blo'],
    ]);
  }, HOSTILE_MODEL));
