import assert from "node:assert/strict";
import { join } from "node:path";
import type { Report } from "../mod.ts";
import { formatPieces } from "../lib/report/format_report.ts";
import { findBaseline } from "../lib/report/load_report.ts";
import { repeatArguments } from "../lib/render/repeat_command.ts";
import { contentOf, type Files, namesIn, shardedModel, smallModel, treeOf } from "./directories.ts";
import { withFiles } from "./make_model.ts";
import { makeLayer, makeReport } from "./make_report.ts";
import { runMain } from "./run_cli.ts";

/** The small model with files in a folder and with names that a file system may take for the same. */
const MODEL: Files = {
  ...smallModel(),
  "model/tokenizer/vocabulary.txt": "a",
  "model/notes.log": "side file",
  "model/Caf\u00e9.md": "side file",
};

/** Runs on ROOT/model into ROOT/out; paths are relative to ROOT. */
function run(root: string, report: string, ...flags: string[]) {
  const paths = ["--model", join(root, "model"), "--output", join(root, "out")];
  // Not joined, since that would take the detours out.
  return runMain(...paths, "--report", `${root}/${report}`, ...flags);
}

/** Paths of a report or a page that belong to another file of the run, and what is said. */
const COLLISIONS: { report?: string; page?: string; message: string; model?: Files }[] = [
  ...["config.json", "model.safetensors", "time_groups.isotherm", "tokenizer_config.json"]
    .flatMap(
      (name) => [
        {
          report: `out/${name}`,
          message:
            `"ROOT/out/${name}": the checkpoint's "${name}" goes there: give another --report`,
        },
        {
          page: `out/${name}`,
          message:
            `"ROOT/out/${name}": the checkpoint's "${name}" goes there: give another --html-report`,
        },
      ],
    ),
  {
    report: "out/tokenizer_config.json/x",
    message: '"ROOT/out/tokenizer_config.json/x": the checkpoint\'s "tokenizer_config.json" ' +
      "goes there: give another --report",
  },
  {
    page: "out/model.safetensors/deep/page.html",
    message: '"ROOT/out/model.safetensors/deep/page.html": the checkpoint\'s "model.safetensors" ' +
      "goes there: give another --html-report",
  },
  {
    report: "out/tokenizer",
    message: '"ROOT/out/tokenizer": the checkpoint\'s "tokenizer/vocabulary.txt" ' +
      "goes there: give another --report",
  },
  {
    report: "out/notes.json",
    message:
      '"ROOT/out/notes.log": the checkpoint\'s "notes.log" goes there: give another --report',
  },
  {
    report: "out/sub/../CONFIG.json",
    message: '"ROOT/out/sub/../CONFIG.json": the checkpoint\'s "config.json" ' +
      "goes there: give another --report",
  },
  {
    page: "out/CAFE\u0301.md",
    message: '"ROOT/out/CAFE\u0301.md": the checkpoint\'s "Caf\u00e9.md" ' +
      "goes there: give another --html-report",
  },
  {
    model: shardedModel(),
    report: "out/model.safetensors.index.json",
    message: '"ROOT/out/model.safetensors.index.json": the checkpoint\'s ' +
      '"model.safetensors.index.json" goes there: give another --report',
  },
  {
    page: "r.json",
    message: '"ROOT/r.json": the report or its log goes there: give another --html-report',
  },
  {
    report: "out/r.json",
    page: "out/r.log/page.html",
    message: '"ROOT/out/r.log/page.html": the report or its log goes there: ' +
      "give another --html-report",
  },
];

for (const { report = "r.json", page, message, model = MODEL } of COLLISIONS) {
  const what = page === undefined ? `--report ${report}` : `--html-report ${page}`;
  Deno.test(`main() refuses a path that another file of the run takes when given ${what}`, async () => {
    await withFiles(model, async (root) => {
      const flags = page === undefined ? [] : ["--html-report", `${root}/${page}`];
      const expected = `error: Cannot write ${message.replaceAll("ROOT", root)}`;
      const check = async (...more: string[]) => {
        const before = contentOf(root);
        const { code, stdout, stderr } = await run(root, report, ...flags, ...more);
        const [last, end] = stderr.split("\n").slice(-2);
        assert.deepEqual({ code, stdout, last, end }, {
          code: 2,
          stdout: "",
          last: expected,
          end: "",
        });
        assert.equal(stderr.includes("Quantizing"), false, "work had begun");
        assert.deepEqual(contentOf(root), before);
      };
      await check();
      await check("--dry-run");
      // The same where an earlier output is to be replaced.
      assert.equal((await run(root, "first.json")).code, 0);
      await check("--overwrite");
    });
  });
}

Deno.test("main() puts the report beside the checkpoint's files when the output is replaced", async () => {
  await withFiles(MODEL, async (root) => {
    const page = join(root, "out/pages/page.html");
    for (const [flags, bits] of [[[], "8"], [["--overwrite"], "4"]] as const) {
      const more = ["--html-report", page, "--bit-width", bits, ...flags];
      const { code, stderr } = await run(root, "out/metrics/r.json", ...more);
      assert.equal(code, 0, stderr);
      const { bit_width } = JSON.parse(Deno.readTextFileSync(join(root, "out/metrics/r.json")));
      assert.equal(bit_width, Number(bits));
    }
    assert.deepEqual(namesIn(join(root, "out/metrics")), ["r.json", "r.log"]);
    // A file of the output that went is in nobody's way.
    const { code, stderr } = await run(root, "out/metrics", "--overwrite");
    assert.equal(code, 0, stderr);
    assert.equal(treeOf(root).includes("out/metrics"), true);
    assert.equal((await run(root, "out/metrics/r.json", "--overwrite")).code, 0);
  });
});

const IN_THE_WAY = [
  { name: "r.json", kind: "report", flag: "--report", foreign: '{"schema": 1}' },
  { name: "r.log", kind: "log", flag: "--report", foreign: "Quantizing nothing\n" },
  { name: "page.html", kind: "page", flag: "--html-report", foreign: "<!DOCTYPE html>\n" },
] as const;

for (const { name, kind, flag, foreign } of IN_THE_WAY) {
  Deno.test(`main() replaces the ${kind} of another run only when --overwrite is given`, async () => {
    await withFiles(smallModel(), async (root) => {
      const page = ["--html-report", join(root, "page.html")];
      assert.equal((await run(root, "r.json", ...page)).code, 0);
      const left = ["out", "r.json", "r.log", "page.html"];
      for (const other of left.filter((one) => one !== name)) {
        Deno.removeSync(join(root, other), { recursive: true });
      }
      const before = contentOf(root);
      const { code, stdout, stderr } = await run(root, "r.json", ...page, "--bit-width", "4");
      assert.deepEqual({ code, stdout }, { code: 2, stdout: "" });
      assert.equal(
        stderr.split("\n").at(-2),
        `error: Cannot write "${root}/${name}": it exists and is not empty: ` +
          `give another ${flag}, or --overwrite to replace it`,
      );
      assert.deepEqual(contentOf(root), before);
      const replaced = await run(root, "r.json", ...page, "--bit-width", "4", "--overwrite");
      assert.equal(replaced.code, 0, replaced.stderr);
      assert.notEqual(contentOf(root).get(name), before.get(name));
    });
  });

  Deno.test(`main() leaves a file that is no ${kind} of Isotherm alone when --overwrite is given`, async () => {
    // Text of something else, bytes that are no text, a report cut short, and one with text behind it.
    const contents = [
      foreign,
      new Uint8Array([0xff, 0xfe, 0]),
      '{\n  "schema_version": 1,',
      '{"schema_version":1} and more',
    ];
    for (const content of contents) {
      await withFiles({ ...smallModel(), [name]: content }, async (root) => {
        const before = contentOf(root);
        const page = ["--html-report", join(root, "page.html")];
        const { code, stdout, stderr } = await run(root, "r.json", ...page, "--overwrite");
        assert.deepEqual({ code, stdout }, { code: 2, stdout: "" });
        assert.equal(
          stderr.split("\n").at(-2),
          `error: Cannot write "${root}/${name}": it cannot be read as a ${kind} of Isotherm: ` +
            `give another ${flag}, or remove it yourself`,
        );
        assert.deepEqual(contentOf(root), before);
      });
    }
  });
}

Deno.test("main() compares with the report that it replaces", async () => {
  await withFiles(smallModel(), async (root) => {
    assert.equal((await run(root, "r.json")).code, 0);
    const path = join(root, "r.json");
    const before: Report = JSON.parse(Deno.readTextFileSync(path));
    const again = ["--compare", path, "--bit-width", "4"];
    Deno.renameSync(join(root, "out"), join(root, "other"));
    const refused = await run(root, "r.json", ...again);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /r\.json": it exists and is not empty/);
    assert.deepEqual(JSON.parse(Deno.readTextFileSync(path)), before);
    const { code, stderr } = await run(root, "r.json", ...again, "--overwrite");
    assert.equal(code, 0, stderr);
    const { bit_width, sqnr_db, comparison }: Report = JSON.parse(Deno.readTextFileSync(path));
    assert.equal(bit_width, 4);
    const figure = comparison!.metrics.find(({ metric }) => metric === "sqnr_db")!;
    assert.deepEqual([figure.baseline, figure.current], [before.sqnr_db, sqnr_db]);
    assert.ok(sqnr_db! > before.sqnr_db!);
  });
});

Deno.test("main() fills the files of a report when they are there and empty", async () => {
  const empty = { "r.json": "", "r.log": "", "page.html": "" };
  await withFiles({ ...smallModel(), ...empty }, async (root) => {
    const { code, stderr } = await run(root, "r.json", "--html-report", join(root, "page.html"));
    assert.equal(code, 0, stderr);
    for (const name of Object.keys(empty)) assert.notEqual(Deno.statSync(join(root, name)).size, 0);
  });
});

Deno.test("main() replaces a report of another version, and a baseline, when --overwrite is given", async () => {
  await withFiles({ ...smallModel(), "r.json": '{"schema_version": 99}' }, async (root) => {
    assert.equal((await run(root, "r.json", "--overwrite")).code, 0);
    const update = ["baseline", "update", join(root, "r.json"), "--to", join(root, "b.json")];
    assert.equal((await runMain(...update)).code, 0);
    const { code, stderr } = await run(root, "b.json", "--overwrite");
    assert.equal(code, 0, stderr);
  });
});

for (const granularity of ["row", "slice"]) {
  Deno.test(`a run by ${granularity}s can be repeated as its report says when layers are narrower than a default block`, async () => {
    await withFiles(smallModel(), async (root) => {
      const [model, report] = [join(root, "model"), join(root, "r.json")];
      const argv = ["--granularity", granularity, "--json"];
      const run = (output: string, ...flags: string[]) =>
        runMain("--model", model, "--output", join(root, output), "--report", report, ...flags);
      const first = await run("first", ...argv);
      assert.equal(first.code, 0, first.stderr);
      const [, , , , ...flags] = repeatArguments(JSON.parse(first.stdout));
      const again = await run("again", "--overwrite", ...flags);
      assert.equal(again.code, 0, again.stderr);
      assert.deepEqual(contentOf(join(root, "again")), contentOf(join(root, "first")));
    });
  });
}

Deno.test("formatPieces() cuts a report of many layers, and its pieces are one JSON document", () => {
  const layers = Array.from({ length: 6000 }, (_, i) => makeLayer(`blocks.${i}.fc`));
  const report = makeReport({ layers });
  const pieces = [...formatPieces(report)];
  assert.ok(pieces.length >= 3, `${pieces.length}`);
  for (const { length } of pieces.slice(0, -1)) {
    assert.ok(length >= 2 ** 20 && length < 2 ** 20 + 2 ** 16, `${length}`);
  }
  const text = pieces.join("");
  assert.deepEqual(JSON.parse(text), report);
  const lines = text.split("\n");
  assert.deepEqual(lines.slice(0, 2), ["{", '  "schema_version": 1,']);
  assert.deepEqual(lines.slice(-2), ["}", ""]);
  assert.equal(lines.filter((line) => line.startsWith('    {"name":"blocks.')).length, 6000);
  assert.equal(lines.filter((line) => line.startsWith("  ]")).length, 3);
  // Numbers stand in one line, and so does a list that is empty.
  assert.ok(lines.includes('  "boundary_scores": [0.95,0.75,1],'));
  assert.equal(lines.at(-3), '  "skipped": []');
});

Deno.test("findBaseline() finds none where nothing has that name, also below a file", () =>
  withFiles({ file: "x" }, (root) => {
    assert.equal(findBaseline(join(root, "none.json")), undefined);
    assert.equal(findBaseline(join(root, "file/baseline.json")), undefined);
    assert.throws(() => findBaseline(join(root, "file")), {
      name: "BaselineError",
      message: /it is not JSON/,
    });
    return Promise.resolve();
  }));
