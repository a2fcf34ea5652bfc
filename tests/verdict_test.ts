/** Grades, verdicts and advice: what is said of figures, and that the advice does what it promises. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createEvaluator } from "../examples/digits-dit-denoiser/evaluate.ts";
import { INPUTS } from "../examples/digits-dit-denoiser/observe.ts";
import { advise, describeAdvice, listFlags } from "../lib/report/advise.ts";
import type { Report } from "../lib/report/build_report.ts";
import {
  type Grade,
  gradeOfPoints,
  gradeQuality,
  GRADES,
  isLow,
  pointsOf,
  worstGrade,
} from "../lib/report/grades.ts";
import { describeQuality, judgeLayer, judgeQuality } from "../lib/report/judge_quality.ts";
import { countRough, rankDamage, savedBytes, shareErrors } from "../lib/report/rank_damage.ts";
import { reportQuality } from "../lib/report/report_quality.ts";
import { FLAGS } from "../lib/cli/flags.ts";
import { parseArgs } from "../lib/cli/parse_args.ts";
import { adviseCommand } from "../lib/render/repeat_command.ts";
import { withFiles } from "./make_model.ts";
import { makeLayer, makeReport } from "./make_report.ts";
import { runMain } from "./run_cli.ts";

const DIGITS = fileURLToPath(new URL("../examples/digits-dit", import.meta.url));

Deno.test("gradeQuality() grades at each edge, and no number as broken", () => {
  const edges: ["weights" | "outputs", number | null, Grade][] = [
    ["weights", null, "excellent"],
    ["weights", 35, "excellent"],
    ["weights", 34.99, "good"],
    ["weights", 18, "good"],
    ["weights", 17.99, "fair"],
    ["weights", 12, "fair"],
    ["weights", 11.99, "poor"],
    ["weights", 7.5, "poor"],
    ["weights", 7.49, "broken"],
    ["weights", -3, "broken"],
    ["weights", NaN, "broken"],
    ["outputs", 38, "excellent"],
    ["outputs", 37.99, "good"],
    ["outputs", 22, "good"],
    ["outputs", 21.99, "fair"],
    ["outputs", 16, "fair"],
    ["outputs", 15.99, "poor"],
    ["outputs", 12, "poor"],
    ["outputs", 11.99, "broken"],
  ];
  for (const [measure, db, grade] of edges) {
    assert.equal(gradeQuality(measure, db), grade, `${measure} ${db}`);
  }
});

Deno.test("grades are ordered, and their points go back and forth", () => {
  assert.deepEqual(GRADES.map(({ grade }) => pointsOf(grade)), [4, 3, 2, 1, 0]);
  for (const { grade } of GRADES) assert.equal(gradeOfPoints(pointsOf(grade)), grade);
  assert.equal(gradeOfPoints(0.5), undefined);
  assert.equal(worstGrade(["good", "excellent", "poor", "fair"]), "poor");
  assert.equal(worstGrade([]), "excellent");
  assert.deepEqual(GRADES.map(({ grade }) => isLow(grade)), [false, false, true, true, true]);
});

Deno.test("judgeQuality() takes the worse of quality and smoothness, as it is stored", () => {
  const verdict = (parts: Partial<Report>) => {
    const { verdict, quality, smoothness } = judgeQuality(makeReport(parts));
    return [verdict, quality.grade, smoothness];
  };
  assert.deepEqual(verdict({ sqnr_db: 20, violation_count: 0 }), ["good", "good", "excellent"]);
  assert.deepEqual(verdict({ sqnr_db: 5, violation_count: 0 }), ["broken", "broken", "excellent"]);
  assert.deepEqual(verdict({ sqnr_db: 40, violation_count: 4 }), ["fair", "excellent", "fair"]);
  const smoothed = { sqnr_db: 40, violation_count: 0, stored_smoothness_score: 0.5 };
  assert.deepEqual(verdict(smoothed), ["poor", "excellent", "poor"]);
  // One time group has nothing to praise.
  const single = { sqnr_db: 20, num_time_groups: 1, smoothness_score: 1, violation_count: 0 };
  assert.deepEqual(verdict(single), ["good", "good", null]);
});

Deno.test("judgeQuality() judges by outputs where they are known, and by weights where they are not", () => {
  const layers = [
    makeLayer("a", { rows: 8, columns: 16, output_sqnr_db: 25, sqnr_db: 4 }),
    makeLayer("b", { rows: 8, columns: 16, sqnr_db: 10 }),
    makeLayer("c", { rows: 24, columns: 16, sqnr_db: null }),
  ];
  const found = judgeQuality(makeReport({ sqnr_db: 4, output_sqnr_db: 25, layers }));
  // A quarter of the two layers has an error of a tenth.
  const db = -10 * Math.log10(0.1 / 4);
  assert.equal(found.unmeasured?.sqnr_db?.toFixed(9), db.toFixed(9));
  assert.deepEqual({ ...found, unmeasured: { ...found.unmeasured, sqnr_db: db } }, {
    inputs: null,
    verdict: "fair",
    quality: { grade: "fair", measure: "outputs", sqnr_db: 25 },
    unmeasured: { grade: "fair", measure: "weights", sqnr_db: db, layers: 2 },
    smoothness: "good",
  });
  assert.equal(
    describeQuality(found),
    "SQNR of the outputs 25.00 dB, of the weights of 2 layers without calibration 16.02 dB: " +
      "models like it hold, with other details",
  );
  const [known] = layers;
  const all = judgeQuality(makeReport({ sqnr_db: 4, output_sqnr_db: 25, layers: [known!] }));
  assert.deepEqual([all.quality.grade, all.unmeasured], ["good", null]);
  assert.deepEqual(judgeLayer(known!), { grade: "good", measure: "outputs", sqnr_db: 25 });
  assert.deepEqual(judgeLayer(layers[1]!), { grade: "poor", measure: "weights", sqnr_db: 10 });
});

Deno.test("shareErrors() weighs by what is measured of any layer", () => {
  const sums = (error: number, output?: [number, number]) => ({
    elements: 100,
    sums: {
      signal: 50,
      decoded: 50,
      error,
      ...output && { output: { signal: output[0], error: output[1] } },
    },
  });
  assert.deepEqual(shareErrors([sums(1), sums(3)]), [0.25, 0.75]);
  assert.deepEqual(shareErrors([sums(0), sums(0)]), [0, 0]);
  assert.deepEqual(shareErrors([]), []);
  // By the relative error of the output, and its elements.
  const wide = { ...sums(9, [10, 1]), elements: 300 };
  assert.deepEqual(shareErrors([wide, sums(1, [1, 0.1]), sums(5)]), [0.75, 0.25, undefined]);
});

Deno.test("rankDamage() puts the largest share first, and what has none by its SQNR behind", () => {
  const layers = [
    makeLayer("c", { sqnr_db: 3 }),
    makeLayer("d", { sqnr_db: 2 }),
    makeLayer("a", { error_share: 0.1, violation_count: 2 }),
    makeLayer("b", { error_share: 0.9, source_bytes: 10, output_bytes: 4 }),
  ];
  assert.deepEqual(rankDamage(layers).map(({ name }) => name), ["b", "a", "d", "c"]);
  assert.equal(savedBytes(layers[3]!), 6);
  assert.equal(countRough(layers), 1);
});

/** Layers of which each has the same share of the error. */
const EVEN = Array.from(
  { length: 20 },
  (_, i) =>
    makeLayer(`n${i}`, { rows: 100, columns: 1280, dtype: "F16", bits: 2, error_share: 0.05 }),
);

/** A report of layers of its own width. */
const at = ({ bit_width = 2, layers = EVEN, ...parts }: Partial<Report>) =>
  makeReport({
    granularity: "row",
    group_size: 128,
    violation_count: 0,
    ...parts,
    bit_width,
    layers: layers.map((layer) => ({ ...layer, bits: bit_width })),
  });

const ADVICE: [string, Report, string][] = [
  [
    "a good model is kept",
    at({ sqnr_db: 20, bit_width: 4 }),
    "Keep this report as the baseline of later runs",
  ],
  [
    "a good model that is rough is smoothed",
    at({ sqnr_db: 20, bit_width: 4, smoothness_score: 0.7 }),
    "Let parameters move across each boundary step by step: --phase smooth, at the same size",
  ],
  [
    "a rough optimized model takes a window",
    at({ sqnr_db: 20, bit_width: 4, smoothness_score: 0.7, phase: "optimize" }),
    "Let parameters move across each boundary step by step: --smoothing-window 1, at the same size",
  ],
  [
    "a rough smooth model takes a wider window",
    at({ sqnr_db: 20, smoothness_score: 0.7, phase: "smooth", smoothing_window: 15 }),
    "Let parameters move across each boundary step by step: --smoothing-window 20, at the same size",
  ],
  [
    "a model that is as smooth as can be is kept",
    at({ sqnr_db: 20, smoothness_score: 0.7, phase: "smooth", smoothing_window: 20 }),
    "Keep this report as the baseline of later runs",
  ],
  [
    "2 bits become 4 where nothing else is enough",
    at({ sqnr_db: 6.4 }),
    // 20 x 128,000 weights with 2 bits more.
    "Give each weight 4 bits: --bit-width 4, about 0.64 MB larger",
  ],
  [
    "4 bits by slices are searched where a little is missing",
    at({ sqnr_db: 17.2, bit_width: 4, granularity: "slice", group_size: null }),
    "Search the parameters for the least error: --phase optimize, at the same size",
  ],
  [
    "4 bits that lack 3 dB are calibrated",
    at({ sqnr_db: 15, bit_width: 4 }),
    "Record what the layers are fed (docs/calibration.md) and let errors be compensated by it: " +
    "--phase optimize --calibration FILE, at the same size",
  ],
  [
    "calibrated blocks of 128 become smaller where a little is missing",
    at({
      output_sqnr_db: 21,
      bit_width: 4,
      phase: "optimize",
      calibration: {
        timesteps: 1,
        segments: 1,
        rank: 1,
        weights: "recorded",
        compensated_layers: 20,
        other_layers: 0,
      },
      layers: EVEN.map((layer) => ({ ...layer, output_sqnr_db: 21 })),
    }),
    // 20 x 100 rows of 40 blocks for 10, with 2.5 bytes each.
    "Give each 32 columns parameters of their own: --group-size 32, about 0.15 MB larger",
  ],
  [
    "one layer with most of the error is left alone",
    at({
      sqnr_db: 16,
      bit_width: 4,
      phase: "optimize",
      layers: EVEN.map((layer, i) => ({
        ...layer,
        error_share: i === 7 ? 0.62 : 0.02,
        source_bytes: 256_000,
        output_bytes: 64_000,
      })),
    }),
    "Record what the layers are fed (docs/calibration.md) and let errors be compensated by it: " +
    "--calibration FILE, at the same size",
  ],
  [
    "8 bits that lack much leave alone what the error comes from",
    at({
      sqnr_db: 10,
      bit_width: 8,
      format: "comfy",
      group_size: null,
      layers: EVEN.map((layer, i) => ({
        ...layer,
        error_share: i < 2 ? 0.45 : 0.1 / 18,
        source_bytes: 256_000,
        output_bytes: 128_000,
      })),
    }),
    "Leave alone what 90 % of the error comes from: --ignore n0 --ignore n1, about 0.26 MB larger",
  ],
  [
    "no more layers are left alone than most of the error comes from",
    at({
      sqnr_db: 10,
      bit_width: 8,
      format: "comfy",
      group_size: null,
      layers: EVEN.map((layer, i) => ({
        ...layer,
        error_share: i === 3 ? 0.85 : 0.15 / 19,
        source_bytes: 256_000,
        output_bytes: 128_000,
      })),
    }),
    "Leave alone what 85 % of the error comes from: --ignore n3, about 0.13 MB larger",
  ],
];

for (const [what, report, words] of ADVICE) {
  Deno.test(`advise(): ${what}`, () => {
    assert.equal(describeAdvice(advise(report, judgeQuality(report))), words);
  });
}

Deno.test("advise() says so where no setting is left", () => {
  const report = at({
    sqnr_db: 10,
    bit_width: 8,
    phase: "optimize",
    format: "gguf",
    group_size: 32,
    calibration: {
      timesteps: 1,
      segments: 1,
      rank: 1,
      weights: "recorded",
      compensated_layers: 0,
      other_layers: 20,
    },
  });
  const { change, words, growth_mb } = advise(report, judgeQuality(report));
  assert.deepEqual([change, growth_mb], [null, 0]);
  assert.match(words, /^No setting is left that is known to help/);
});

Deno.test("adviseCommand() changes what is advised and keeps the rest, for the user's own paths", async () => {
  const report = at({
    sqnr_db: 6.4,
    ignore: ["head*"],
    symmetric: true,
    components: [{ name: "unet" } as NonNullable<Report["components"]>[number]],
  });
  const paths = {
    model: "/my models/dit",
    output: "out/q",
    report: "r.json",
    html: "p.html",
    calibration: "c.safetensors",
  };
  const argumentsOf = async (command: string) => {
    const script = `printf '%s\\0' ${command.replace(/^.* lib\/cli\.ts /, "")}`;
    const { stdout } = await new Deno.Command("bash", { args: ["-c", script] }).output();
    return await parseArgs(new TextDecoder().decode(stdout).split("\0").slice(0, -1));
  };
  const wide = adviseCommand(report, { words: "", change: { bit_width: 4 }, growth_mb: 1 }, {
    entry: "lib/cli.ts",
    paths,
  })!;
  assert.ok(
    wide.startsWith(
      "npx --yes deno@2.9.6 run --no-prompt --allow-read --allow-write=. lib/cli.ts " +
        "--model '/my models/dit' --output out/q --bit-width 4 ",
    ),
    wide,
  );
  const parsed = await argumentsOf(wide);
  assert.deepEqual(
    [parsed.model, parsed.output, parsed.report, parsed.htmlReport, parsed.overwrite],
    ["/my models/dit", "out/q", "r.json", "p.html", true],
  );
  const { bits, ignore, symmetric, components } = parsed.settings;
  assert.deepEqual({ bits, ignore, symmetric, components }, {
    bits: 4,
    ignore: ["head*"],
    symmetric: true,
    components: ["unet"],
  });
  const change = { phase: "optimize", needs_calibration: true } as const;
  const recorded = await argumentsOf(
    adviseCommand(report, { words: "", change, growth_mb: 0 }, { entry: "lib/cli.ts", paths })!,
  );
  assert.deepEqual(
    [recorded.settings.phase, recorded.settings.calibration],
    ["optimize", "c.safetensors"],
  );
  // Layers of a component are named without it, and what a glob reads otherwise stands for any character.
  const left = await argumentsOf(
    adviseCommand(report, {
      words: "",
      change: { ignore: ["unet/a[0]*", "re:b"] },
      growth_mb: 0,
    }, { entry: "lib/cli.ts", paths })!,
  );
  assert.deepEqual(left.settings.ignore, ["head*", "a?0??", "?e:b"]);
  assert.equal(adviseCommand(report, { words: "", change: null, growth_mb: 0 }), null);
});

Deno.test("every advice names flags that a run takes", () => {
  const known = FLAGS.filter(({ commands }) => commands.includes("quantize"));
  const all = listFlags({
    bit_width: 4,
    phase: "optimize",
    needs_calibration: true,
    group_size: 32,
    smoothing_window: 1,
    ignore: ["a"],
  });
  assert.deepEqual(all.map(([name]) => name), [
    "bit-width",
    "phase",
    "calibration",
    "group-size",
    "smoothing-window",
    "ignore",
  ]);
  for (const [name] of all) assert.ok(known.some((flag) => flag.name === name), name);
});

Deno.test("the digits model at INT2 is called broken, and its advice leads to 1.00 recognised in one step", () =>
  withFiles({}, async (root) => {
    const [output, report] = [join(root, "q"), join(root, "r.json")];
    const first = await runMain("--model", DIGITS, "--output", output, "--report", report);
    assert.equal(first.code, 0, first.stderr);
    assert.ok(
      first.stdout.includes("\nVerdict: BROKEN\n  Quality: broken (SQNR of the weights 6.38 dB"),
    );
    const before: Report = JSON.parse(Deno.readTextFileSync(report));
    assert.deepEqual(before.quality, reportQuality(before));
    assert.equal(before.quality!.verdict, "broken");
    const lines = first.stderr.split("\n");
    const next = lines.findIndex((line) => line.startsWith("Verdict: broken. Next: "));
    assert.equal(
      lines[next],
      "Verdict: broken. Next: Give each weight 4 bits: --bit-width 4, about 0.20 MB larger:",
    );
    const command = lines[next + 1]!.trim();
    assert.ok(command.startsWith("npx --yes deno@2.9.6 run "), command);
    const second = await runMain(...command.replace(/^.* cli\.ts /, "").split(" "));
    assert.equal(second.code, 0, second.stderr);
    const after: Report = JSON.parse(Deno.readTextFileSync(report));
    assert.equal(after.quality!.verdict, "good");
    const growth = after.model_size_mb - before.model_size_mb;
    assert.ok(Math.abs(growth - before.quality!.advice.growth_mb) < 0.01, `${growth} MB`);
    const evaluator = await createEvaluator(DIGITS, undefined, { ...INPUTS, samples: 20 });
    try {
      const { recognized_share, denoiser_sqnr_db } = await evaluator.evaluate(output);
      assert.equal(recognized_share, 1);
      assert.ok(denoiser_sqnr_db > 26.9, `${denoiser_sqnr_db} dB`);
    } finally {
      evaluator.close();
    }
  }));
