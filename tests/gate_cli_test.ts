import assert from "node:assert/strict";
import { join } from "node:path";
import { formatBaseline, type Report } from "../mod.ts";
import { contentOf, namesIn, withSmallModel } from "./directories.ts";
import { SMOOTH } from "./invent_report.ts";
import { withFiles } from "./make_model.ts";
import { formatReport, makeLayer, makeReport } from "./make_report.ts";
import { outcomeOf, runIn, runMain, spawnCli } from "./run_cli.ts";

/** The text of a report file. */
const reportText = (parts: Partial<Report> = {}) => formatReport(makeReport(parts));

const FILES = {
  "base.json": formatBaseline(makeReport()),
  "same.json": reportText(),
  "worse.json": reportText({ smoothness_score: 0.85, violation_count: 3 }),
  "better.json": reportText({ sqnr_db: 12 }),
  "int4.json": reportText({ bit_width: 4 }),
  "smooth.json": reportText(SMOOTH),
  "early.json": formatBaseline(makeReport()).replace(/ {2}"smoothing_.*\n/g, ""),
  "old.json": reportText({ schema_version: 0 }),
  "cut.json": reportText().slice(0, 190),
  "binary.json": new Uint8Array([0xff, 0xfe, 0x00]),
  "other.json": '{"name": "no report"}',
  "rules.json": '{"rules": [{"metric": "smoothness_score", "absolute": 0.1},' +
    '{"metric": "violation_count", "level": "warn"}]}',
  "bad_rules.json": '{"rules": [{"metric": "score"}]}',
};

const UPDATE = "isotherm baseline update CURRENT --to FILE";
const AGAIN = `remove it and write it again with ${UPDATE}`;
const AGAIN_REPORT = "write it again with isotherm --report FILE";

/** How a gate ends; ROOT stands for the directory of the files. */
const ENDINGS: { argv: string[]; code: number; stderr: string; verdict?: string }[] = [
  {
    argv: ["base.json", "same.json"],
    code: 0,
    stderr: "",
    verdict: "GATE PASSED: 10 of 10 checks passed",
  },
  {
    argv: ["same.json", "same.json"],
    code: 0,
    stderr: "",
    verdict: "GATE PASSED: 10 of 10 checks passed",
  },
  {
    argv: ["base.json", "better.json"],
    code: 0,
    stderr: "",
    verdict: "GATE PASSED: 10 of 10 checks passed",
  },
  {
    argv: ["base.json", "worse.json"],
    code: 3,
    stderr: "Where the change is wanted: npx --yes deno@2.9.6 run --no-prompt --allow-read " +
      "--allow-write=. cli.ts baseline update ROOT/worse.json --to ROOT/base.json\n",
    verdict: "GATE FAILED: 2 failures, 8 of 10 checks passed",
  },
  {
    argv: ["base.json", "worse.json", "--max-score-drop", "0.05", "--max-new-violations=2"],
    code: 0,
    stderr: "",
    verdict: "GATE PASSED: 10 of 10 checks passed",
  },
  {
    argv: ["base.json", "worse.json", "--rules", "ROOT/rules.json"],
    code: 0,
    stderr: 'Rules from "ROOT/rules.json"\n',
    verdict: "GATE PASSED: 1 warning, 9 of 10 checks passed",
  },
  {
    argv: ["base.json", "same.json", "--rules", "ROOT/bad_rules.json"],
    code: 2,
    stderr: 'error: Cannot read the rules "ROOT/bad_rules.json": rules[0].metric "score" is ' +
      "unknown: name a figure of the report: correct it, or leave it out\n",
  },
  {
    argv: ["base.json", "same.json", "--rules", "ROOT/none.json"],
    code: 2,
    stderr: 'error: Cannot read "ROOT/none.json": no such file or directory\n',
  },
  {
    argv: ["base.json", "int4.json"],
    code: 4,
    stderr: 'error: Cannot judge the report by the baseline "ROOT/base.json": bit_width is 4, ' +
      "the baseline has 2: quantize with the baseline's settings, or write it again with " +
      "isotherm baseline update\n",
  },
  {
    argv: ["base.json", "smooth.json"],
    code: 4,
    stderr: 'error: Cannot judge the report by the baseline "ROOT/base.json": phase is "smooth", ' +
      'the baseline has "baseline"; smoothing_window is 3, the baseline has null; ' +
      'smoothing_method is "cubic", the baseline has null: quantize with the baseline\'s ' +
      "settings, or write it again with isotherm baseline update\n",
  },
  {
    argv: ["early.json", "same.json"],
    code: 4,
    stderr: 'error: Cannot read the baseline "ROOT/early.json": smoothing_window is missing: ' +
      `${AGAIN}\n`,
  },
  {
    argv: ["none.json", "same.json"],
    code: 4,
    stderr: 'error: Cannot read the baseline "ROOT/none.json": no such file or directory: ' +
      `write it with ${UPDATE}\n`,
  },
  {
    argv: ["old.json", "same.json"],
    code: 4,
    stderr: 'error: Cannot read the baseline "ROOT/old.json": its schema_version is 0, ' +
      `this version of Isotherm reads 1: ${AGAIN}\n`,
  },
  {
    argv: ["cut.json", "same.json"],
    code: 4,
    stderr: 'error: Cannot read the baseline "ROOT/cut.json": it is not JSON: ' +
      `Unterminated string at byte 190: ${AGAIN}\n`,
  },
  {
    argv: ["binary.json", "same.json", "--missing", "create"],
    code: 4,
    stderr: 'error: Cannot read the baseline "ROOT/binary.json": it is not JSON: ' +
      `Invalid UTF-8 at byte 0: ${AGAIN}\n`,
  },
  {
    argv: ["other.json", "same.json", "--missing", "warn"],
    code: 4,
    stderr: 'error: Cannot read the baseline "ROOT/other.json": it is no report of Isotherm: ' +
      `it has no schema_version: ${AGAIN}\n`,
  },
  {
    argv: ["", "same.json"],
    code: 4,
    stderr: 'error: Cannot read "ROOT": it is not a regular file\n',
  },
  {
    argv: ["base.json", "none.json"],
    code: 2,
    stderr: 'error: Cannot read "ROOT/none.json": no such file or directory\n',
  },
  {
    argv: ["base.json", "cut.json"],
    code: 2,
    stderr: 'error: Cannot read the report "ROOT/cut.json": it is not JSON: ' +
      `Unterminated string at byte 190: ${AGAIN_REPORT}\n`,
  },
  {
    argv: ["none.json", "same.json", "--missing", "warn"],
    code: 0,
    stderr: `Warning: There is no baseline "ROOT/none.json": write it with ${UPDATE}\n`,
    verdict: "GATE SKIPPED: nothing was compared",
  },
];

for (const { argv, code, stderr, verdict = "" } of ENDINGS) {
  Deno.test(`main() ends with ${code} when gate gets ${JSON.stringify(argv.join(" "))}`, async () => {
    await withFiles(FILES, async (root) => {
      const before = contentOf(root);
      const here = (text: string) => text.replaceAll("ROOT", root);
      const [baseline, current, ...flags] = argv.map(here);
      const outcome = await runMain("gate", join(root, baseline!), join(root, current!), ...flags);
      assert.equal(outcome.stderr, here(stderr));
      assert.equal(outcome.code, code);
      assert.equal(outcome.stdout.split("\n")[0], verdict);
      assert.deepEqual(contentOf(root), before);
    });
  });
}

Deno.test("main() writes the baseline when gate finds none and may create it", async () => {
  await withFiles(FILES, async (root) => {
    const target = join(root, "new.json");
    const argv = ["gate", target, join(root, "same.json"), "--missing", "create"];
    assert.deepEqual(await runMain(...argv), {
      code: 0,
      stdout: "GATE CREATED: nothing was compared\n",
      stderr: `Wrote the baseline "${target}": review and commit it\n`,
    });
    assert.equal(Deno.readTextFileSync(target), FILES["base.json"]);
    assert.match((await runMain(...argv)).stdout, /^GATE PASSED/);
  });
});

Deno.test("main() takes the rules beside the baseline when none are named", async () => {
  const files = { ...FILES, "isotherm.gate.json": FILES["rules.json"] };
  await withFiles(files, async (root) => {
    const run = ["gate", join(root, "base.json"), join(root, "worse.json")];
    const { code, stderr } = await runMain(...run);
    assert.equal(stderr, `Rules from "${join(root, "isotherm.gate.json")}"\n`);
    assert.equal(code, 0);
    Deno.writeTextFileSync(join(root, "isotherm.gate.json"), "{");
    assert.equal((await runMain(...run)).code, 2);
  });
});

Deno.test("main() takes no rules from the working directory when the baseline is elsewhere", async () => {
  const files = { "isotherm.gate.json": FILES["rules.json"], "b/base.json": FILES["base.json"] };
  await withFiles({ ...files, "worse.json": FILES["worse.json"] }, async (root) => {
    const child = spawnCli(["gate", "b/base.json", "worse.json"], {
      cwd: root,
      permissions: ["--allow-read"],
    });
    const { code, stderr } = await outcomeOf(child);
    assert.equal(code, 3);
    assert.match(
      stderr,
      /^Where the change is wanted: .*cli\.ts baseline update worse\.json --to b\/base\.json\n$/,
    );
  });
});

Deno.test("main() prints findings as JSON when gate is asked to", async () => {
  await withFiles(FILES, async (root) => {
    const paths = [join(root, "base.json"), join(root, "worse.json")];
    const { code, stdout } = await runMain("gate", ...paths, "--json");
    assert.equal(code, 3);
    const { verdict, findings, improvements, advice, comparison } = JSON.parse(stdout);
    assert.match(advice, /^Parameters jump more than in the baseline: /);
    assert.equal(verdict, "failed");
    assert.equal(findings.length, 10);
    assert.deepEqual(findings[0], {
      metric: "smoothness_score",
      layer: null,
      baseline: 0.9,
      current: 0.85,
      allowed: 0.89,
      operator: ">=",
      level: "fail",
      passed: false,
      problem: null,
    });
    assert.deepEqual(improvements, []);
    assert.equal(comparison.layers.length, 2);
    const none = await runMain("gate", join(root, "x"), paths[1]!, "--json", "--missing", "warn");
    assert.deepEqual(JSON.parse(none.stdout), {
      verdict: "skipped",
      findings: [],
      improvements: [],
      advice: null,
      comparison: null,
    });
  });
});

Deno.test("main() shows the difference and writes when a baseline is updated", async () => {
  await withFiles(FILES, async (root) => {
    const [target, current] = [join(root, "base.json"), join(root, "better.json")];
    const update = ["baseline", "update", current, "--to", target];
    const first = await runMain(...update);
    assert.equal(first.code, 0);
    assert.match(first.stdout, /^baseline .*\ncurrent .*\n\nmetric .*\n/);
    assert.match(first.stdout, /\nsqnr_db +10 +12 +\+2 {2}better\n/);
    assert.equal(first.stderr, `Wrote the baseline "${target}": review and commit it\n`);
    const text = formatBaseline(makeReport({ sqnr_db: 12 }));
    assert.equal(Deno.readTextFileSync(target), text);
    const second = await runMain(...update, "--json");
    assert.equal(
      second.stderr,
      `The baseline "${target}" holds these figures already: left as it is\n`,
    );
    assert.equal(JSON.parse(second.stdout).written, false);
    assert.deepEqual(namesIn(root), Object.keys(FILES).sort());
  });
});

Deno.test("main() writes a first baseline when there is none to update", async () => {
  await withFiles(FILES, async (root) => {
    const target = join(root, "new.json");
    assert.deepEqual(await runMain("baseline", "update", join(root, "same.json"), "--to", target), {
      code: 0,
      stdout: "",
      stderr: `Wrote the baseline "${target}": review and commit it\n`,
    });
    assert.equal(Deno.readTextFileSync(target), FILES["base.json"]);
  });
});

Deno.test("main() leaves files alone when a baseline cannot be updated", async () => {
  await withFiles(FILES, async (root) => {
    const before = contentOf(root);
    const update = (current: string, to: string) =>
      runMain("baseline", "update", join(root, current), "--to", join(root, to));
    assert.equal((await update("same.json", "other.json")).code, 4);
    assert.equal((await update("same.json", "old.json")).code, 4);
    assert.equal((await update("cut.json", "base.json")).code, 2);
    assert.equal((await update("same.json", "none/base.json")).code, 2);
    const closed = {
      stdout: () => {
        throw new TypeError("closed");
      },
    };
    const argv = ["baseline", "update", join(root, "better.json"), "--to", join(root, "base.json")];
    assert.equal((await runIn(closed, ...argv)).code, 1);
    assert.deepEqual(contentOf(root), before);
  });
});

Deno.test("main() ends with 4 or 2 when compare cannot read its baseline or report", async () => {
  await withFiles(FILES, async (root) => {
    const compare = (...names: string[]) =>
      runMain("compare", ...names.map((name) => join(root, name)));
    assert.equal((await compare("none.json", "same.json")).code, 4);
    assert.equal((await compare("old.json", "same.json")).code, 4);
    assert.equal((await compare("base.json", "same.json", "cut.json")).code, 2);
    const { code, stdout } = await compare("base.json", "int4.json", "worse.json");
    assert.equal(code, 0);
    assert.match(stdout, /^\[2\] {6}.*worse\.json: tiny, INT2/m);
    const json = await runMain(
      "compare",
      join(root, "base.json"),
      join(root, "int4.json"),
      "--json",
    );
    const [{ differing_settings, metrics }] = JSON.parse(json.stdout);
    assert.deepEqual(differing_settings, [{ setting: "bit_width", baseline: 2, current: 4 }]);
    assert.equal(metrics.length, 13);
  });
});

Deno.test("main() compares a run with a baseline when --compare is given", async () => {
  await withSmallModel(async ({ root, run }) => {
    const report = join(root, "report.json");
    assert.equal((await runMain(...run)).code, 0);
    const baseline = join(root, "base.json");
    assert.equal((await runMain("baseline", "update", report, "--to", baseline)).code, 0);
    const { code, stdout, stderr } = await runMain(
      ...run,
      ...["--overwrite", "--compare", baseline, "--json"],
    );
    assert.equal(code, 0);
    assert.ok(stderr.includes(`\nbaseline ${baseline}: model, INT2, 4 time groups, positional`));
    assert.ok(stderr.includes("\n2 layers in both: 0 worse, 0 better, 2 the same\n"));
    assert.ok(Deno.readTextFileSync(join(root, "report.log")).includes("\n2 layers in both: 0 "));
    const { comparison } = JSON.parse(stdout);
    assert.ok(
      comparison.metrics.every((change: { direction: string }) => change.direction === "same"),
    );
    // Its own report, which holds a comparison now, is as good a baseline.
    assert.equal((await runMain(...run, "--overwrite", "--compare", report)).code, 0);
    assert.equal((await runMain("gate", report, report)).code, 0);
  });
});

Deno.test("main() writes nothing when the file to compare with is missing", async () => {
  await withSmallModel(async ({ root, run }) => {
    const { code, stdout } = await runMain(...run, "--compare", join(root, "none.json"));
    assert.deepEqual({ code, stdout }, { code: 4, stdout: "" });
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

Deno.test("main() writes nothing when the page would replace another file of the run", async () => {
  await withSmallModel(async ({ root, model, run }) => {
    for (const name of ["report.json", "report.log"]) {
      const { code, stderr } = await runMain(...run, "--html-report", join(root, name));
      assert.equal(code, 2);
      assert.ok(stderr.endsWith(
        `error: Cannot write "${join(root, name)}": the report or its log goes there: ` +
          "give another --html-report\n",
      ));
    }
    const inside = await runMain(...run, "--html-report", join(model, "report.html"));
    assert.ok(
      inside.stderr.endsWith("it lies inside the model directory: give another --html-report\n"),
    );
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

Deno.test("main() refuses a page in place of a report when comparing", async () => {
  await withFiles(FILES, async (root) => {
    const before = contentOf(root);
    const [base, same] = [join(root, "base.json"), join(root, "same.json")];
    const { code, stderr } = await runMain("compare", base, same, "--html-report", same);
    assert.equal(code, 2);
    assert.equal(
      stderr,
      `error: Cannot write "${same}": it is one of the reports compared: ` +
        "give another --html-report\n",
    );
    assert.deepEqual(contentOf(root), before);
  });
});

/** Names that show what is not escaped. */
const HOSTILE = [
  "<script>alert(1)</script>",
  `"quotes' \\`,
  "ansi\x1b[31m\x1b]0;title\x07\u009b2J",
  "new\nline\r\u2028",
  "bidi\u202e\u2066",
  "__proto__",
  "x".repeat(20_000),
];

Deno.test("main() keeps names text when they are hostile", async () => {
  const layers = HOSTILE.map((name) => makeLayer(name));
  const worse = HOSTILE.map((name) => makeLayer(name, { sqnr_db: 1 }));
  const files = {
    "base.json": reportText({ model_name: HOSTILE[2]!, layers }),
    "worse.json": reportText({ model_name: HOSTILE[2]!, layers: worse }),
    "gone.json": reportText({ model_name: HOSTILE[2]!, layers: [] }),
    "renamed.json": reportText({
      model_name: HOSTILE[4]!,
      ignore: HOSTILE,
      layers: HOSTILE.map((name, i) => makeLayer(name + i)),
    }),
    "rules.json": JSON.stringify({
      rules: HOSTILE.slice(0, 6).map((name) => ({ metric: `layers[no ${name}].sqnr_db` })),
    }),
  };
  await withFiles(files, async (root) => {
    const at = (...names: string[]) => names.map((name) => join(root, name));
    const shown = [
      await runMain("compare", ...at("base.json", "worse.json", "gone.json", "renamed.json")),
      await runMain("gate", ...at("base.json", "worse.json"), "--rules", ...at("rules.json")),
      await runMain("gate", ...at("base.json", "gone.json")),
      await runMain("gate", ...at("base.json", "renamed.json")),
      await runMain("baseline", "update", ...at("renamed.json"), "--to", ...at("base.json")),
    ];
    assert.deepEqual(shown.map(({ code }) => code), [0, 3, 3, 4, 0]);
    for (const { stdout, stderr } of shown) {
      // deno-lint-ignore no-control-regex -- they are what must not be there
      const unsafe = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u202e\u2066]/;
      assert.equal(unsafe.exec(stdout + stderr), null);
      for (const line of `${stdout}${stderr}`.split("\n")) assert.ok(line.length < 1000);
    }
    assert.ok(
      shown[0]!.stdout.includes(
        "  new\\u{a}line\\u{d}\\u{2028}: sqnr_db 8 -> 1, quality_grade poor -> broken\n",
      ),
    );
    assert.ok(shown[2]!.stdout.includes(`: "\\"quotes' \\"\n`));
    assert.ok(shown[2]!.stdout.includes('  FAIL vanished_layers: 7, must be <= 0: "__proto__"\n'));
  });
});
