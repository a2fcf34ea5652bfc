import assert from "node:assert/strict";
import { join } from "node:path";
import { formatBaseline, parseHistory, type Report } from "../mod.ts";
import { contentOf, type Files, namesIn } from "./directories.ts";
import { whileFailing, whileWatchingSyncs } from "./fail_calls.ts";
import { withFiles } from "./make_model.ts";
import { formatReport, makeReport } from "./make_report.ts";
import { type Outcome, outcomeOf, runIn, runMain, spawnCli } from "./run_cli.ts";

const COMMIT = "0123456789abcdef";
const NEXT = "fedcba9876543210";

const reportText = (parts: Partial<Report> = {}) => formatReport(makeReport(parts));

const FILES: Files = {
  "report.json": reportText({ sqnr_db: 20.3 }),
  "again.json": reportText({ sqnr_db: 20.3, quantization_time_s: 9 }),
  "int4.json": reportText({ bit_width: 4, sqnr_db: 40 }),
  "broken.json": reportText({ sqnr_db: 5 }),
  "base.json": formatBaseline(makeReport({ sqnr_db: 20.4 })),
  "other.json": '{"name": "no report"}',
};

/** Runs `history` in a folder; operands and values that name files are in it. */
function historyIn(root: string, ...argv: string[]): Promise<Outcome> {
  return runMain("history", ...argv.map((one) => /\.\w+$/.test(one) ? join(root, one) : one));
}

/** Runs a test in a folder with reports; `run` is `history` in it, `read` reads a file. */
function withReports(
  files: Files,
  use: (world: {
    root: string;
    run: (...argv: string[]) => Promise<Outcome>;
    read: (name: string) => string;
  }) => Promise<void>,
): Promise<void> {
  return withFiles({ ...FILES, ...files }, (root) =>
    use({
      root,
      run: (...argv) => historyIn(root, ...argv),
      read: (name) => Deno.readTextFileSync(join(root, name)),
    }));
}

Deno.test("history append creates the file, adds lines and says what it did", () =>
  withReports({}, async ({ root, run, read }) => {
    assert.deepEqual(await run("append", "report.json", "--to", "h.jsonl", "--commit", COMMIT), {
      code: 0,
      stdout: "tiny, INT2: good, SQNR of the weights 20.30 dB, score 0.9000, 2.000 MB, 1.50 s\n",
      stderr: `Appended to the history "${root}/h.jsonl": 1 entry\n`,
    });
    const [line] = read("h.jsonl").split("\n");
    const next = await run("append", "int4.json", "--to", "h.jsonl", "--commit", COMMIT, "--json");
    assert.equal(next.stderr, `Appended to the history "${root}/h.jsonl": 2 entries\n`);
    const { replaced, entry } = JSON.parse(next.stdout);
    const text = read("h.jsonl");
    assert.equal(replaced, false);
    assert.equal(text, `${line}\n${JSON.stringify(entry)}\n`);
    assert.deepEqual(parseHistory(text).map(({ settings }) => settings.bit_width), [2, 4]);
    assert.deepEqual(namesIn(root), [...Object.keys(FILES), "h.jsonl"].sort());
  }));

Deno.test("history append replaces the line of a second run and says so", () =>
  withReports({}, async ({ root, run, read }) => {
    await run("append", "report.json", "--to", "h.jsonl", "--commit", COMMIT);
    await run("append", "report.json", "--to", "h.jsonl", "--commit", NEXT);
    const before = read("h.jsonl");
    const { code, stderr } = await run(
      "append",
      "again.json",
      "--to",
      "h.jsonl",
      "--commit",
      COMMIT,
    );
    assert.deepEqual({ code, stderr }, {
      code: 0,
      stderr:
        `Replaced the entry of commit ${COMMIT} in the history "${root}/h.jsonl": 2 entries\n`,
    });
    const [first, second] = parseHistory(read("h.jsonl"));
    assert.deepEqual([first!.quantization_time_s, second!.commit], [9, NEXT]);
    // The same report and flags: the same bytes.
    await run("append", "report.json", "--to", "h.jsonl", "--commit", COMMIT);
    assert.equal(read("h.jsonl"), before);
  }));

Deno.test("history append keeps the band of a baseline, and refuses one of other settings", () =>
  withReports({}, async ({ root, run, read }) => {
    const append = (report: string, baseline: string) =>
      run("append", report, "--to", "h.jsonl", "--baseline", baseline);
    assert.equal((await append("report.json", "base.json")).code, 0);
    assert.deepEqual(parseHistory(read("h.jsonl"))[0]!.baseline, {
      smoothness_score: 0.9,
      least_smoothness_score: 0.89,
      measure: "weights",
      sqnr_db: 20.4,
      least_sqnr_db: 20.2,
      model_size_mb: 2,
      most_model_size_mb: 2.02,
    });
    const before = contentOf(root);
    const other = await append("int4.json", "base.json");
    assert.equal(other.code, 4);
    assert.match(
      other.stderr,
      /^error: Cannot judge the report by the baseline ".*\/base\.json": bit_width is 4, [^\n]*\n$/,
    );
    const none = await append("report.json", "none.json");
    assert.deepEqual([none.code, none.stderr.slice(0, 31)], [4, "error: Cannot read the baseline"]);
    assert.deepEqual(contentOf(root), before);
  }));

/** What is refused: ROOT stands for the folder. */
const REFUSED: { argv: string[]; files?: Files; stderr: string }[] = [
  {
    argv: ["append", "other.json", "--to", "h.jsonl"],
    stderr: 'Cannot read the report "ROOT/other.json": it is no report of Isotherm: ' +
      "it has no schema_version: write it again with isotherm --report FILE",
  },
  {
    argv: ["append", "base.json", "--to", "h.jsonl"],
    stderr: 'Cannot read the report "ROOT/base.json": backend is missing: ' +
      "write it again with isotherm --report FILE",
  },
  {
    argv: ["append", "report.json", "--to", "h.jsonl"],
    files: { "h.jsonl": '{"schema_version":2}\n' },
    stderr: 'Cannot read the history "ROOT/h.jsonl": line 1: its schema_version is 2, ' +
      "this version of Isotherm reads 1: correct or remove that line",
  },
  {
    argv: ["append", "report.json", "--to", "h.jsonl"],
    files: { "h.jsonl": '{"schema_version":1,"comm' },
    stderr: 'Cannot read the history "ROOT/h.jsonl": line 1, cut short: it is not JSON: ' +
      "Unterminated string at byte 25: correct or remove that line",
  },
  {
    argv: ["append", "report.json", "--to", "report.json"],
    stderr: 'Cannot read the history "ROOT/report.json": line 1: it is not JSON: ' +
      "Expected a key in double quotes, but the text ends at byte 1: correct or remove that line",
  },
  {
    argv: ["append", "report.json", "--to", "h.jsonl"],
    files: { "h.jsonl": new Uint8Array([0xff, 0xfe]) },
    stderr: 'Cannot read the history "ROOT/h.jsonl": it is not UTF-8 text',
  },
  {
    argv: ["append", "report.json", "--to", "h.jsonl"],
    files: { "h.jsonl": new Uint8Array(10_000_001) },
    stderr: 'Cannot read the history "ROOT/h.jsonl": it has 10000001 bytes, 10000000 are allowed',
  },
  {
    argv: ["append", "report.json", "--to", "folder.d"],
    files: { "folder.d/x": "" },
    stderr: 'Cannot write "ROOT/folder.d": it is a directory: give a file name',
  },
  {
    argv: ["append", "report.json", "--to", "none.d/h.jsonl"],
    stderr: 'Cannot write "ROOT/none.d/h.jsonl": "ROOT/none.d" does not exist: create it first',
  },
  {
    argv: ["page", "none.jsonl", "--html-report", "p.html"],
    stderr: 'Cannot read "ROOT/none.jsonl": no such file or directory',
  },
  {
    argv: ["page", "h.jsonl", "--html-report", "p.html"],
    files: { "h.jsonl": "" },
    stderr: 'Cannot show the history "ROOT/h.jsonl": it holds no entry: ' +
      "add one with isotherm history append",
  },
  {
    argv: ["badge", "h.jsonl", "--to", "b.json"],
    files: { "h.jsonl": "{}\n" },
    stderr: 'Cannot read the history "ROOT/h.jsonl": line 1: it is no entry of a history: ' +
      "it has no schema_version: correct or remove that line",
  },
];

for (const { argv, files = {}, stderr } of REFUSED) {
  Deno.test(`history ${argv.join(" ")} leaves everything as it is: ${stderr}`, () =>
    withReports(files, async ({ root, run }) => {
      const before = contentOf(root);
      const outcome = await run(...argv);
      assert.deepEqual(outcome, {
        code: 2,
        stdout: "",
        stderr: `error: ${stderr.replaceAll("ROOT", root)}\n`,
      });
      assert.deepEqual(contentOf(root), before);
    }));
}

Deno.test("history badge writes the newest entry, replaces a badge and nothing else", () =>
  withReports({ "b.json": "" }, async ({ root, run, read }) => {
    await run("append", "report.json", "--to", "h.jsonl");
    assert.deepEqual(await run("badge", "h.jsonl", "--to", "b.json"), {
      code: 0,
      stdout: "good, 20.3 dB\n",
      stderr: `Wrote the badge "${root}/b.json"\n`,
    });
    assert.equal(
      read("b.json"),
      '{"schemaVersion":1,"label":"isotherm","message":"good, 20.3 dB","color":"green"}\n',
    );
    await run("append", "broken.json", "--to", "h.jsonl");
    assert.equal((await run("badge", "h.jsonl", "--to", "b.json")).code, 0);
    assert.equal(JSON.parse(read("b.json")).color, "red");
    Deno.writeTextFileSync(join(root, "other.json"), '{"schemaVersion":1,"label":"build"}');
    const before = contentOf(root);
    for (const target of ["report.json", "h.jsonl", "other.json"]) {
      assert.deepEqual(await run("badge", "h.jsonl", "--to", target), {
        code: 2,
        stdout: "",
        stderr: `error: Cannot write "${root}/${target}": it cannot be read as a badge of ` +
          "Isotherm: give another --to, or remove it yourself\n",
      });
    }
    assert.deepEqual(contentOf(root), before);
  }));

Deno.test("history page replaces a page when it may, and nothing else", () =>
  withReports({}, async ({ root, run, read }) => {
    await run("append", "report.json", "--to", "h.jsonl", "--commit", COMMIT);
    const page = () => run("page", "h.jsonl", "--html-report", "p.html");
    assert.deepEqual(await page(), {
      code: 0,
      stdout: "",
      stderr: `Wrote the page "${root}/p.html": 1 entry\n`,
    });
    const first = read("p.html");
    assert.ok(first.endsWith("</html>\n"));
    assert.deepEqual(await page(), {
      code: 2,
      stdout: "",
      stderr: `error: Cannot write "${root}/p.html": it exists and is not empty: ` +
        "give another --html-report, or --overwrite to replace it\n",
    });
    assert.equal(
      (await run("page", "h.jsonl", "--html-report", "p.html", "--overwrite")).code,
      0,
    );
    assert.equal(read("p.html"), first);
    const before = contentOf(root);
    const other = await run("page", "h.jsonl", "--html-report", "h.jsonl", "--overwrite");
    assert.deepEqual([other.code, other.stderr], [
      2,
      `error: Cannot write "${root}/h.jsonl": it cannot be read as a page of Isotherm: ` +
      "give another --html-report, or remove it yourself\n",
    ]);
    assert.deepEqual(contentOf(root), before);
  }));

Deno.test("history append leaves the file as it is where nobody can read its answer", () =>
  withReports({}, async ({ root, run }) => {
    await run("append", "report.json", "--to", "h.jsonl");
    const before = contentOf(root);
    const stdout = () => {
      throw new TypeError("closed");
    };
    const argv = ["append", join(root, "int4.json"), "--to", join(root, "h.jsonl")];
    assert.equal((await runIn({ stdout }, "history", ...argv)).code, 1);
    assert.deepEqual(contentOf(root), before);
  }));

Deno.test("history append keeps the lines before, whole, when processes append at once", () =>
  withReports({}, async ({ root, run, read }) => {
    await run("append", "report.json", "--to", "h.jsonl", "--commit", COMMIT);
    const before = read("h.jsonl");
    const commits = [NEXT, "abcdef012345", "54321fedcba"];
    const outcomes = await Promise.all(commits.map((commit) => {
      const files = [join(root, "report.json"), "--to", join(root, "h.jsonl")];
      return outcomeOf(spawnCli(["history", "append", ...files, "--commit", commit]));
    }));
    for (const { code, stderr } of outcomes) assert.equal(code, 0, stderr);
    const text = read("h.jsonl");
    assert.ok(text.startsWith(before));
    const [, ...kept] = parseHistory(text).map(({ commit }) => commit!);
    assert.ok(kept.length >= 1 && new Set(kept).size === kept.length);
    assert.ok(kept.every((commit) => commits.includes(commit)));
    assert.deepEqual(namesIn(root), [...Object.keys(FILES), "h.jsonl"].sort());
  }));

Deno.test("history append puts the file in place in one step, when it is on the disk", () =>
  withReports({}, async ({ root, run }) => {
    await run("append", "report.json", "--to", "h.jsonl");
    const calls = await whileWatchingSyncs(async () => {
      await run("append", "int4.json", "--to", "h.jsonl");
    });
    // The file, its new name, and the directory that has the name.
    assert.deepEqual(calls.map(({ call }) => call), ["sync", "rename", "sync"]);
    assert.match(calls[0]!.path, /\/\.h\.jsonl\.tmp-/);
    assert.deepEqual(calls.slice(1).map(({ path }) => path), [join(root, "h.jsonl"), root]);
  }));

Deno.test("history append leaves the old file or the new one, whichever call fails", () =>
  withReports({}, async ({ root, run, read }) => {
    await run("append", "report.json", "--to", "h.jsonl", "--commit", COMMIT);
    const before = read("h.jsonl");
    const codes: number[] = [];
    for (let number = 1;; number++) {
      Deno.writeTextFileSync(join(root, "h.jsonl"), before);
      let outcome: Outcome | undefined;
      const { failed } = await whileFailing(number, "once", async () => {
        outcome = await run("append", "int4.json", "--to", "h.jsonl", "--commit", NEXT);
      });
      const { code, stderr } = outcome!;
      codes.push(code);
      const isNew = code === 0 || stderr.includes("error: Wrote ");
      if (code === 2) assert.match(stderr, /error: (Cannot (read|write)|Wrote) "[^\n]*\n$/);
      assert.equal(parseHistory(read("h.jsonl")).length, isNew ? 2 : 1, failed);
      assert.ok(read("h.jsonl").startsWith(before));
      if (failed === undefined) break;
    }
    assert.ok(codes.length > 8 && codes.filter((code) => code === 2).length > 6, `${codes}`);
  }));

/** Wrong command lines, and what is said. */
const WRONG: [argv: string[], stderr: string][] = [
  [[], "Missing the file: isotherm history append REPORT, page HISTORY or badge HISTORY"],
  [["page"], "Missing the file: isotherm history append REPORT, page HISTORY or badge HISTORY"],
  [["show", "h"], 'Unknown history action "show": expected append, page, badge'],
  [["append", "a", "b"], 'Unexpected argument "b": history takes one report or history'],
  [["append", "r"], "Missing --to FILE: see isotherm history --help"],
  [["badge", "h"], "Missing --to FILE: see isotherm history --help"],
  [["page", "h"], "Missing --html-report FILE: see isotherm history --help"],
  [
    ["page", "h", "--html-report", "p", "--commit", COMMIT],
    "--commit is no flag of history page: see isotherm history --help",
  ],
  [
    ["badge", "h", "--to", "b", "--overwrite"],
    "--overwrite is no flag of history badge: see isotherm history --help",
  ],
  [
    ["append", "r", "--to", "h", "--html-report", "p"],
    "--html-report is no flag of history append: see isotherm history --help",
  ],
  [
    ["append", "r", "--to", "h", "--commit", "main"],
    '--commit is "main", must be a commit\'s hash, 7 to 64 hexadecimal digits',
  ],
];

for (const [argv, stderr] of WRONG) {
  Deno.test(`history refuses ${JSON.stringify(argv.join(" "))}`, async () => {
    const outcome = await runMain("history", ...argv);
    assert.deepEqual(outcome, { code: 2, stdout: "", stderr: `error: ${stderr}\n` });
  });
}
