import assert from "node:assert/strict";
import { join } from "node:path";
import { contentOf } from "./directories.ts";
import { BASELINE, withRepository } from "./gated_repository.ts";
import { annotationsOf, runAction } from "./run_action.ts";

/** A run without a usable baseline or model. */
interface BadCase {
  what: string;
  inputs: Record<string, string>;
  code: number;
  verdict: string;
  /** Annotations: level, place and text; ROOT stands for the repository's path. */
  annotations: string[][];
  /** What the summary begins with. */
  summary: RegExp;
  /** Text of the baseline; absent: there is none. */
  baseline?: string;
  /** Whether there are figures, a report and a page. */
  measured: boolean;
}

const UPDATE = "isotherm baseline update CURRENT --to FILE";
const MISSING = `Cannot read the baseline "${BASELINE}": no such file or directory: ` +
  `write it with ${UPDATE}`;
const BROKEN = `Cannot read the baseline "${BASELINE}": it is no report of Isotherm: ` +
  `it has no schema_version: remove it and write it again with ${UPDATE}`;

const BAD_CASES: BadCase[] = [
  {
    what: "the baseline is missing",
    inputs: { model: "model" },
    code: 4,
    verdict: "baseline-problem",
    annotations: [["error", ":", MISSING]],
    summary: /^## Isotherm: problem with the baseline\n\n {4}Cannot read the baseline /,
    measured: true,
  },
  {
    what: "the baseline is missing and that is a warning",
    inputs: { model: "model", "missing-baseline": "warn" },
    code: 0,
    verdict: "pass",
    annotations: [["warning", ":", "There is no baseline: nothing was compared"]],
    summary:
      /^## Isotherm: poor\n[\s\S]*There is no baseline `\.isotherm\/baseline\.json`: nothing was/,
    measured: true,
  },
  {
    what: "the baseline is missing and to be created",
    inputs: { model: "model", "missing-baseline": "create" },
    code: 0,
    verdict: "pass",
    annotations: [
      [
        "notice",
        `${BASELINE}:1`,
        "The baseline was created: review and commit it, as the job summary says",
      ],
    ],
    summary: /^## Isotherm: poor\n[\s\S]*`\.isotherm\/baseline\.json` was written from this run/,
    measured: true,
  },
  ...["fail", "warn", "create"].map((policy) => ({
    what: `the baseline is broken, with missing-baseline ${policy}`,
    inputs: { model: "model", "missing-baseline": policy },
    baseline: "{}",
    code: 4,
    verdict: "baseline-problem",
    annotations: [["error", `${BASELINE}:1`, BROKEN]],
    summary:
      /^## Isotherm: problem with the baseline\n\n {4}Cannot read[\s\S]*\n## Isotherm: poor\n/,
    measured: true,
  })),
  {
    what: "the baseline has other settings",
    inputs: { model: "model", "bit-width": "4", baseline: "made.json" },
    code: 4,
    verdict: "baseline-problem",
    annotations: [[
      "error",
      "made.json:1",
      'Cannot judge the report by the baseline "made.json": bit_width is 4, the baseline has 2: ' +
      "quantize with the baseline's settings, or write it again with isotherm baseline update",
    ]],
    summary: /^## Isotherm: problem with the baseline\n/,
    measured: true,
  },
  {
    what: "there is no model",
    inputs: { model: "none" },
    code: 2,
    verdict: "bad-input",
    annotations: [["error", ":", 'Model not found: "none": ']],
    summary: /^## Isotherm: bad input\n\n {4}Model not found: "none": /,
    measured: false,
  },
  {
    what: "neither a model nor a report is named",
    inputs: {},
    code: 2,
    verdict: "bad-input",
    annotations: [[
      "error",
      ":",
      "Missing input model: name the directory to quantize, or give report",
    ]],
    summary: /^## Isotherm: bad input\n/,
    measured: false,
  },
  {
    what: "the report is a baseline, which has no jumps",
    inputs: { report: "made.json" },
    code: 2,
    verdict: "bad-input",
    annotations: [["error", ":", 'Cannot read the report "made.json": ']],
    summary: /^## Isotherm: bad input\n/,
    measured: false,
  },
];

for (const { what, inputs, code, verdict, annotations, summary, baseline, measured } of BAD_CASES) {
  Deno.test(`the action says ${verdict} when ${what}`, () =>
    withRepository({}, async ({ workspace, baseline: made }) => {
      Deno.renameSync(join(workspace, BASELINE), join(workspace, "made.json"));
      Deno.removeSync(join(workspace, ".isotherm"));
      if (baseline !== undefined) {
        Deno.mkdirSync(join(workspace, ".isotherm"));
        Deno.writeTextFileSync(join(workspace, BASELINE), baseline);
      }
      const result = await runAction({ workspace, inputs });
      assert.equal(result.code, code, result.log);
      assert.equal(result.outputs.verdict, verdict);
      assert.equal(result.outputs.regressions, "[]");
      const found = annotationsOf(result);
      assert.deepEqual(
        found.map((one) => one.slice(0, 2)),
        annotations.map((one) => one.slice(0, 2)),
      );
      for (const [i, one] of annotations.entries()) {
        assert.ok(found[i]![2]!.startsWith(one[2]!), found[i]![2]);
      }
      assert.match(result.summary, summary);
      for (const name of ["quality-grade", "smoothness-score", "report", "html-report"]) {
        assert.equal(result.outputs[name] !== "", measured, name);
      }
      assert.equal(result.steps.at(-1)!.name, "Gate");
      const created = inputs["missing-baseline"] === "create" && code === 0;
      const now = contentOf(workspace).get(BASELINE);
      if (created) assert.equal(Deno.readTextFileSync(join(workspace, BASELINE)), made);
      else assert.equal(now === undefined, baseline === undefined);
    }));
}
