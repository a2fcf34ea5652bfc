import assert from "node:assert/strict";
import { compareReports } from "../lib/compare/compare_reports.ts";
import { judgeReports } from "../lib/gate/judge_reports.ts";
import { codeSpan, escapeMarkdown } from "../lib/render/escape_markdown.ts";
import { renderSummary } from "../lib/render/render_summary.ts";
import {
  HOSTILE_NAMES,
  inventActivations,
  inventCalibrated,
  inventReport,
  layerNames,
} from "./invent_report.ts";

const PLAIN = inventReport({ names: layerNames(12) });

Deno.test("renderSummary() begins with the verdict when there is no gate, and ranks layers by their damage", async () => {
  const text = await renderSummary(PLAIN);
  const score = PLAIN.smoothness_score.toFixed(4);
  assert.ok(text.startsWith("## Isotherm: broken\n"), text);
  assert.ok(
    text.includes(
      "\nQuality: broken (SQNR of the weights 2.50 dB: some models like it fall apart). " +
        `Smoothness: good (score ${score}, 0 violations, 9 of 12 layers with violations of their own).\n`,
    ),
    text,
  );
  assert.ok(
    text.includes(
      "\n**Next:** Give each weight 4 bits: `bit-width: 4` among the inputs, about 0.02 MB larger.\n",
    ),
    text,
  );
  assert.ok(text.includes("| Cosine similarity | 0.7100 |\n"));
  assert.ok(text.includes("\nand 2 more layers, all in the page and the report\n"));
  const shares = [...text.matchAll(/^\| `[^`]*` \| (\d\.\d)% \|/gm)].map(([, share]) =>
    Number(share)
  );
  assert.deepEqual(shares, shares.toSorted((a, b) => b - a));
  assert.equal(shares.length, 10);
  assert.ok(!text.includes("<details>"));
});

Deno.test("renderSummary() begins with the verdict when there are findings", async () => {
  const worse = { ...PLAIN, smoothness_score: PLAIN.smoothness_score - 0.1 };
  const { comparison, findings } = judgeReports(PLAIN, worse);
  const text = await renderSummary(worse, { comparison, findings });
  assert.ok(text.startsWith("## \u2717 Isotherm gate failed: 1 failure, 29 of 30 checks passed\n"));
  assert.match(text, /^\| \u2717 \| Smoothness score \|.*`>=` 0\.\d+ \| fail \|$/m);
  assert.match(text, /^\| Smoothness score \|.*\| -0.1 \| \u2717 worse \|$/m);
  assert.doesNotMatch(text, /^\| Cosine similarity/m);
  assert.match(text, /^\*\*Next:\*\* Parameters jump more than in the baseline\\: look/m);
  // What did not move is folded away.
  assert.ok(
    text.includes(
      "\n<details><summary>Unchanged layers that most of the error comes from</summary>",
    ),
  );
  const same = judgeReports(PLAIN, PLAIN);
  const passed = await renderSummary(PLAIN, same);
  assert.ok(passed.startsWith("## \u2713 Isotherm gate passed: 30 of 30 checks passed\n"));
  assert.ok(passed.includes("None: every figure is the same"));
});

Deno.test("renderSummary() keeps tables whole and names text when names are hostile", async () => {
  const hostile = inventReport({ names: HOSTILE_NAMES });
  const renamed = inventReport({ names: HOSTILE_NAMES.map((name) => `${name}'`), seed: 2 });
  const comparison = compareReports(renamed, hostile);
  const text = await renderSummary({
    ...hostile,
    model_name: HOSTILE_NAMES[12]!,
  }, { comparison });
  // deno-lint-ignore no-control-regex -- they are what must not be there
  assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\u2066\ud800]/);
  const outside = text.replaceAll(/`[^`\n]*`/g, "CODE").replace("**Next:**", "")
    .replace(/<details><summary>[\w ]+<\/summary>/, "").replace("</details>", "");
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
  assert.match(text, /^and [1-9]\d+ more layers, /m);
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
  const plain = inventReport({ names: layerNames(8) });
  const report = inventCalibrated(plain);
  const text = await renderSummary(report);
  assert.ok(text.includes("| Output SQNR | 17.54 dB |\n| SQNR | 2.50 dB |\n"), text);
  assert.ok(
    text.includes("| Layer | Share of the error | Grade | SQNR | Output SQNR | Bytes saved |\n"),
  );
  const rows = text.split("\n").filter((line) => line.startsWith("| `"));
  assert.equal(rows.length, 8);
  for (const row of rows) {
    assert.match(row, / dB \| (n\/a|\d+\.\d\d dB) \| 14\.2 kB \|$|no error \| 19\.88 dB \| /);
  }
  assert.ok(rows.some((row) => row.endsWith("| n/a | 14.2 kB |")));
  const comparison = compareReports(plain, report);
  const compared = await renderSummary(report, { comparison });
  assert.ok(
    compared.includes("| SQNR of the outputs, dB | missing | 17.54 |  | changed |"),
    compared,
  );
  assert.ok(!(await renderSummary(PLAIN)).includes("Output SQNR"));
});

Deno.test("renderSummary() shows what is expected of quantized inputs, alone and against a baseline", async () => {
  const plain = inventReport({ names: layerNames(8) });
  const report = inventActivations(plain);
  const rowsOf = (text: string) =>
    text.split("\n").filter((line) => line.startsWith("|") && line.includes("activations"));
  assert.deepEqual(rowsOf(await renderSummary(report)), [
    "| SQNR of activations | 15.25 dB |",
    "| Smoothness of activations | 0.8750 |",
  ]);
  assert.deepEqual(rowsOf(await renderSummary(plain)), []);
  const before = {
    ...report,
    activation_smoothness_score: 0.9,
    activation_sqnr_db: 15.75,
  };
  const changed = await renderSummary(report, { comparison: compareReports(before, report) });
  assert.deepEqual(rowsOf(changed), [
    "| Smoothness of activations | 0.9 | 0.875 | -0.025 | \u2717 worse |",
    "| Expected SQNR of activations, dB | 15.75 | 15.25 | -0.5 | \u2717 worse |",
  ]);
  const unlike = await renderSummary(report, { comparison: compareReports(plain, report) });
  assert.deepEqual(rowsOf(unlike), [
    "| Smoothness of activations | missing | 0.875 |  | changed |",
    "| Expected SQNR of activations, dB | missing | 15.25 |  | changed |",
  ]);
});

Deno.test("renderSummary() lists the layers that lost quality, and advises on them, when a gate failed", async () => {
  const worse = {
    ...PLAIN,
    layers: PLAIN.layers.map((layer, i) => i === 5 ? { ...layer, sqnr_db: -4 } : layer),
  };
  const { comparison, findings } = judgeReports(PLAIN, worse);
  const text = await renderSummary(worse, { comparison, findings });
  const { name, sqnr_db: before } = PLAIN.layers[5]!;
  assert.match(text, /^## \u2717 Isotherm gate failed: 1 failure, /);
  const advice = text.split("\n").find((line) => line.startsWith("**Next:**"))!;
  assert.match(
    advice,
    /1 layer lost quality, most of all "model\\\.layers\\\.1\\\.mlp.*look at what changed/,
  );
  const [moved] = text.split("### Layers that moved, worst first")[1]!.split("<details>");
  const rows = moved!.split("\n").filter((line) => line.startsWith("| `"));
  assert.equal(rows.length, 1);
  assert.ok(rows[0]!.startsWith(`| \`${name}\` | `), rows[0]);
  assert.ok(rows[0]!.endsWith(`| \u2717 worse, ${(-4 - before!).toFixed(2)} dB |`), rows[0]);
});
