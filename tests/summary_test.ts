import assert from "node:assert/strict";
import { compareReports } from "../lib/compare/compare_reports.ts";
import { judgeReports } from "../lib/gate/judge_reports.ts";
import { codeSpan, escapeMarkdown } from "../lib/render/escape_markdown.ts";
import { renderSummary } from "../lib/render/render_summary.ts";
import { HOSTILE_NAMES, inventCalibrated, inventReport, layerNames } from "./invent_report.ts";

const PLAIN = inventReport({ names: layerNames(12) });

Deno.test("renderSummary() begins with score and violations when there is no gate", async () => {
  const text = await renderSummary(PLAIN);
  const score = PLAIN.smoothness_score.toFixed(4);
  assert.ok(text.startsWith(`## Smoothness ${score}, ${PLAIN.violation_count} violation`), text);
  assert.ok(text.includes("| Cosine similarity | 0.7100 |\n"));
  assert.ok(text.includes("\nand 2 more\n"));
  const scores = [...text.matchAll(/^\| `[^`]*` \| (0\.\d+) \|/gm)].map(([, score]) => score);
  assert.deepEqual(scores, scores.toSorted());
  assert.equal(scores.length, 10);
});

Deno.test("renderSummary() begins with the verdict when there are findings", async () => {
  const worse = { ...PLAIN, smoothness_score: PLAIN.smoothness_score - 0.1 };
  const { comparison, findings } = judgeReports(PLAIN, worse);
  const text = await renderSummary(worse, { comparison, findings });
  assert.ok(text.startsWith("## Isotherm gate failed: 1 failure, 5 of 6 checks passed\n"));
  assert.match(text, /^\| `smoothness_score` \|.*`>=` 0\.\d+ \| fail \|$/m);
  assert.match(text, /^\| `smoothness_score` \|.*\| -0.1 \| worse \|$/m);
  assert.doesNotMatch(text, /^\| `cosine_similarity`/m);
  const same = judgeReports(PLAIN, PLAIN);
  const passed = await renderSummary(PLAIN, same);
  assert.ok(passed.startsWith("## Isotherm gate passed: 6 of 6 checks passed\n"));
  assert.ok(passed.includes("None: every figure is the same"));
});

Deno.test("renderSummary() keeps tables whole and names text when names are hostile", async () => {
  const hostile = inventReport({ names: HOSTILE_NAMES });
  const renamed = inventReport({ names: HOSTILE_NAMES.map((name) => `${name}'`), seed: 2 });
  const comparison = compareReports(renamed, hostile);
  const text = await renderSummary({
    ...hostile,
    model_name: HOSTILE_NAMES[12]!,
    interpretation: { ...hostile.interpretation, next_step: HOSTILE_NAMES[12]! },
  }, { comparison });
  // deno-lint-ignore no-control-regex -- they are what must not be there
  assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\u2066\ud800]/);
  const outside = text.replaceAll(/`[^`\n]*`/g, "CODE");
  assert.doesNotMatch(outside, /(?<!\\)[<`*[]|@(?!\u200b)|https:/);
  const rows = outside.split("\n").filter((line) => line.startsWith("| CODE"));
  const layers = rows.slice(-10);
  assert.deepEqual(layers.map((line) => line.split("|").length), Array(10).fill(8));
});

Deno.test("renderSummary() stays below 60 kB when every name is long and every rule broken", async () => {
  const names = Array.from({ length: 2000 }, (_, i) => `${i}${"\u{1f600}".repeat(5000)}`);
  const report = inventReport({ names });
  const old = inventReport({ names: names.map((name) => `old ${name}`), seed: 2 });
  const { comparison, findings } = judgeReports(old, report);
  const text = await renderSummary(report, { comparison, findings });
  assert.ok(findings.length > 1000);
  assert.match(text, /^and [1-9]\d+ more$/m);
  const { length } = new TextEncoder().encode(text);
  assert.ok(length < 60_000, `${length} bytes`);
});

Deno.test("codeSpan() is never empty and never ends early", () => {
  assert.equal(codeSpan(""), '`""`');
  assert.equal(codeSpan("  "), '`"  "`');
  assert.equal(codeSpan("a`b|c\n"), "`a\\u{60}b\\u{7c}c\\u{a}`");
  assert.ok(codeSpan("x".repeat(1000)).length < 130);
});

Deno.test("escapeMarkdown() leaves no markup and no mention", () => {
  assert.equal(escapeMarkdown("a@b #1 <i> --x"), "a\\@\u200bb \\#\u200b1 \\<i\\> \\-\\-x");
});

Deno.test("renderSummary() shows what outputs come to where that is known", async () => {
  const report = inventCalibrated(PLAIN);
  const text = await renderSummary(report);
  assert.ok(text.includes("| Output SQNR | 17.54 dB |\n| SQNR | 2.50 dB |\n"), text);
  assert.ok(text.includes("| Layer | Score | Violations | Cosine | SQNR | Output SQNR |\n"));
  const rows = text.split("\n").filter((line) => line.startsWith("| `"));
  assert.equal(rows.length, 10);
  for (const row of rows) {
    assert.match(row, / dB \| (n\/a|\d+\.\d\d dB) \|$|no error \| 19\.88 dB \|$/);
  }
  assert.ok(rows.some((row) => row.endsWith("| n/a |")));
  const comparison = compareReports(PLAIN, report);
  const compared = await renderSummary(report, { comparison });
  assert.ok(compared.includes("| `output_sqnr_db` | missing | 17.54 |  | changed |"), compared);
  assert.ok(!(await renderSummary(PLAIN)).includes("Output SQNR"));
});
