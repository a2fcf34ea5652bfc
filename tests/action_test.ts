import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "npm:yaml@2.9.1";
import type { Finding } from "../mod.ts";
import { contentOf } from "./directories.ts";
import { BASELINE, withRepository } from "./gated_repository.ts";
import { withFiles } from "./make_model.ts";
import type { Step } from "./read_action.ts";
import { annotationsOf, runAction } from "./run_action.ts";
import { formatReport } from "./make_report.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The steps that run on a good day without a comment. */
const STEPS = [
  "Set up Deno",
  "Quantize and judge",
  "Write outputs, summary and annotations",
  "Keep the reports",
  "Gate",
];

/** The line of a text that begins with something, from 1. */
const lineOf = (text: string, start: string) =>
  `${text.split("\n").findIndex((line) => line.trim().startsWith(start)) + 1}`;

Deno.test("the action passes when nothing got worse", () =>
  withRepository({}, async ({ workspace, report }) => {
    const result = await runAction({ workspace, inputs: { model: "model" } });
    assert.equal(result.code, 0, result.log);
    assert.deepEqual(result.steps.map(({ name }) => name), STEPS);
    const { report: reportPath = "", "html-report": page = "", summary = "", ...figures } =
      result.outputs;
    assert.deepEqual(figures, {
      verdict: "pass",
      "quality-grade": "poor",
      "smoothness-score": `${report.smoothness_score}`,
      "violation-count": `${report.violation_count}`,
      "cosine-similarity": `${report.cosine_similarity}`,
      "model-size-mb": `${report.model_size_mb}`,
      regressions: "[]",
    });
    assert.deepEqual(result.annotations, []);
    assert.match(result.summary, /^## \u2713 Isotherm gate passed: 10 of 10 checks passed\n/);
    assert.match(
      result.summary,
      /\nFull report: artifact `isotherm` of \[this run\]\(https:\/\/github\.example\/owner\/name\/actions\/runs\/77\)\.\n$/,
    );
    assert.equal(Deno.readTextFileSync(summary), result.summary);
    assert.match(Deno.readTextFileSync(reportPath), /"smoothness_score"/);
    assert.match(Deno.readTextFileSync(page), /<\/html>/);
    const upload = result.steps.find(({ name }) => name === "Keep the reports")!.with;
    assert.deepEqual(upload, {
      name: "isotherm",
      path: join(reportPath, ".."),
      overwrite: "true",
    });
    assert.deepEqual([...Deno.readDirSync(upload.path!)].map(({ name }) => name).sort(), [
      "comment.md",
      "outcome.json",
      "report.html",
      "report.json",
      "report.log",
      "summary.md",
    ]);
    assert.deepEqual([...Deno.readDirSync(workspace)].map(({ name }) => name).sort(), [
      ".isotherm",
      "model",
    ]);
  }));

Deno.test("the action quantizes as its inputs say", () =>
  withRepository({}, async ({ workspace }) => {
    const settings = {
      "bit-width": "4",
      "num-time-groups": "2",
      granularity: "slice",
      "group-size": "16",
      format: "sdnq",
      symmetric: "true",
      modulation: "4",
      "smoothness-threshold": "0.5",
      phase: "smooth",
    };
    const inputs = { model: "model", baseline: "made.json", "missing-baseline": "create" };
    const result = await runAction({ workspace, inputs: { ...inputs, ...settings } });
    assert.equal(result.code, 0, result.log);
    const report = JSON.parse(Deno.readTextFileSync(result.outputs.report!));
    const told = Object.keys(settings).map((name) => name.replaceAll("-", "_"));
    assert.deepEqual(told.map((name) => String(report[name])), Object.values(settings));
    const made = JSON.parse(Deno.readTextFileSync(join(workspace, "made.json")));
    assert.deepEqual([made.granularity, made.group_size], ["slice", 16]);
  }));

Deno.test("the action fails with everything in place when figures got worse", async () => {
  const change = { sqnr_db: 30, cosine_similarity: 0.99 };
  const rules =
    '{"rules": [{"metric": "layers[blocks.0.*].sqnr_db", "level": "warn", "absolute": 0},' +
    '{"metric": "compression_ratio", "must_not_move": true}]}';
  await withRepository(change, async ({ workspace, report, baseline }) => {
    const [first, ...rest] = report.layers;
    const text = baseline.replace(
      `"sqnr_db": ${Number(first!.sqnr_db!.toPrecision(6))}`,
      '"sqnr_db": 99',
    );
    assert.notEqual(text, baseline);
    assert.ok(rest.length > 0);
    Deno.writeTextFileSync(join(workspace, BASELINE), text);
    const result = await runAction({ workspace, inputs: { model: "model" } });
    assert.equal(result.code, 3, result.log);
    assert.equal(result.outputs.verdict, "regression");
    assert.deepEqual(result.steps.map(({ name, code }) => [name, code]), [
      ...STEPS.slice(0, -1).map((name) => [name, 0]),
      ["Gate", 3],
    ]);
    const regressions = JSON.parse(result.outputs.regressions!) as Finding[];
    assert.deepEqual(
      regressions.map(({ metric, baseline, level, operator }) => [
        metric,
        baseline,
        level,
        operator,
      ]),
      [
        ["cosine_similarity", 0.99, "fail", ">="],
        ["sqnr_db", 30, "fail", ">="],
        ["quality_grade", 4, "fail", ">="],
      ],
    );
    const annotations = annotationsOf(result);
    assert.deepEqual(annotations.map(([level, place]) => [level, place]), [
      ["error", `${BASELINE}:${lineOf(text, '"cosine_similarity"')}`],
      ["error", `${BASELINE}:${lineOf(text, '"sqnr_db"')}`],
      ["error", `${BASELINE}:${lineOf(text, `{"name": "${first!.name}"`)}`],
      ["warning", `${BASELINE}:${lineOf(text, `{"name": "${first!.name}"`)}`],
    ]);
    assert.match(
      annotations[0]![2]!,
      /^FAIL cosine_similarity: 0\.99 -> 0\.\d+, must be >= 0\.988$/,
    );
    assert.equal(
      annotations[2]![2],
      `FAIL quality_grade of "${first!.name}": excellent -> poor, must be >= excellent`,
    );
    assert.match(result.summary, /^## \u2717 Isotherm gate failed: 3 failures, 1 warning, /);
    assert.equal(Deno.readTextFileSync(join(workspace, BASELINE)), text);
  }, { "repository/.isotherm/isotherm.gate.json": rules });
});

Deno.test("the action quantizes nothing when a report is given", () =>
  withRepository({}, async ({ workspace, report }) => {
    Deno.writeTextFileSync(
      join(workspace, "r.json"),
      formatReport({ ...report, violation_count: 9 }),
    );
    const inputs = { report: "r.json", model: "no-such-model", "html-report": "page.html" };
    const result = await runAction({ workspace, inputs });
    assert.equal(result.code, 3, result.log);
    assert.equal(result.outputs.report, "r.json");
    assert.equal(result.outputs["violation-count"], "9");
    assert.equal(result.outputs["html-report"], "page.html");
    const kept = Deno.readTextFileSync(join(result.outputs.summary!, "../report.html"));
    assert.equal(Deno.readTextFileSync(join(workspace, "page.html")), kept);
    const copy = Deno.readTextFileSync(join(result.outputs.summary!, "../report.json"));
    assert.equal(copy, Deno.readTextFileSync(join(workspace, "r.json")));
    assert.doesNotMatch(result.log, /Quantizing/);
  }));

Deno.test("the action writes the model where it is told when that is outside the repository", () =>
  withRepository({}, async ({ root, workspace }) => {
    const run = (output: string) => runAction({ workspace, inputs: { model: "model", output } });
    const output = join(root, "elsewhere/out");
    Deno.mkdirSync(join(root, "elsewhere"));
    const result = await run(output);
    assert.equal(result.code, 0, result.log);
    assert.ok(contentOf(output).has("model.safetensors"));
    // With a comma it would be two paths that may be written, and neither of them this one.
    Deno.mkdirSync(join(root, "a,b"));
    const refused = await run(join(root, "a,b/out"));
    assert.equal(refused.code, 2, refused.log);
    assert.match(refused.log, /Deno was not given the permission: add --allow-write/);
  }));

Deno.test("the action passes when there is no file for a job summary", () =>
  withRepository({}, async ({ workspace }) => {
    const result = await runAction({ workspace, inputs: { model: "model" }, noSummary: true });
    assert.equal(result.code, 0, result.log);
    assert.equal(result.outputs.verdict, "pass");
    assert.match(result.log, /No job summary was written: /);
    assert.match(Deno.readTextFileSync(result.outputs.summary!), /gate passed/);
  }));

Deno.test("the action keeps no artifact when it has no name", () =>
  withRepository({}, async ({ workspace }) => {
    const result = await runAction({ workspace, inputs: { model: "model", artifact: "" } });
    assert.equal(result.code, 0, result.log);
    assert.ok(!result.steps.some(({ name }) => name === "Keep the reports"));
    assert.match(result.summary, /\nThe full report was made by \[this run\]/);
  }));

Deno.test("the action says crash when the process is killed", async () => {
  const killed = (step: string) =>
    `#!/bin/sh\ncase "$*" in *"main.ts ${step} "*) kill -9 $$ ;; esac\nexec '${Deno.execPath()}' "$@"\n`;
  await withRepository({}, async ({ workspace }) => {
    const inputs = { model: "model" };
    const early = await runAction({ workspace, inputs, deno: killed("measure") });
    assert.equal(early.code, 1, early.log);
    assert.equal(early.outputs.verdict, "crash");
    assert.deepEqual(annotationsOf(early), [[
      "error",
      ":",
      "Isotherm was stopped: exit code 137",
    ]]);
    assert.match(early.summary, /^## Isotherm: crash\n\n {4}Isotherm was stopped: exit code 137\n/);
    assert.deepEqual(early.steps.map(({ name }) => name), STEPS);
    const late = await runAction({ workspace, inputs, deno: killed("publish") });
    assert.equal(late.code, 137);
    assert.equal(late.outputs.verdict, "");
    assert.equal(late.steps.at(-1)!.code, 1);
  });
});

Deno.test("the project's own workflow passes", () =>
  withFiles({}, async (temporary) => {
    const workflow = parse(Deno.readTextFileSync(`${ROOT}.github/workflows/gate.yml`)) as {
      jobs: { digits: { steps: Step[] } };
    };
    const { with: given = {} } = workflow.jobs.digits.steps.find(({ uses }) =>
      uses === "./action"
    )!;
    const inputs = Object.fromEntries(
      Object.entries(given).map(([key, one]) => [key, String(one)]),
    );
    const result = await runAction({ workspace: ROOT, inputs, temporary });
    assert.equal(result.code, 0, result.log);
    assert.equal(result.outputs["smoothness-score"]!.slice(0, 6), "0.9638");
  }));
