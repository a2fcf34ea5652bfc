import assert from "node:assert/strict";
import { join } from "node:path";
import { namesIn, smallModel, stateOf, treeOf } from "./directories.ts";
import { withFiles } from "./make_model.ts";
import { pendingFile } from "../lib/run/pending_output.ts";
import { runMain } from "./run_cli.ts";

/** A place that cannot be written to, and what is said about it. */
interface Misplaced {
  what: string;
  /** Makes it; ROOT holds `model` and nothing else. */
  prepare?: (root: string) => void;
  /** Relative to ROOT. */
  output: string;
  report?: string;
  overwrite?: boolean;
  /** ROOT stands for the directory. */
  message: string;
}

const mkdir = (...parts: string[]) => Deno.mkdirSync(join(...parts), { recursive: true });
const touch = (...parts: string[]) => Deno.writeTextFileSync(join(...parts), "mine");

const OUTPUTS: Misplaced[] = [
  {
    what: "the output is the model",
    output: "model",
    message: 'output "ROOT/model": it is the model directory: give another --output',
  },
  {
    what: "the output is the model by a detour",
    output: "model/../model/.",
    message: 'output "ROOT/model/../model/.": it is the model directory: give another --output',
  },
  {
    what: "the output is a link to the model",
    prepare: (root) => Deno.symlinkSync(join(root, "model"), join(root, "link")),
    output: "link",
    overwrite: true,
    message: 'output "ROOT/link": it is the model directory: give another --output',
  },
  {
    what: "the output is the model's parent",
    output: ".",
    overwrite: true,
    message: 'output "ROOT/.": the model directory lies inside it: give another --output',
  },
  {
    what: "the output lies inside the model",
    output: "model/out",
    message: 'output "ROOT/model/out": it lies inside the model directory: give another --output',
  },
  {
    what: "the output lies inside the model behind a link",
    prepare: (root) => Deno.symlinkSync("model", join(root, "link")),
    output: "link/out",
    message: 'output "ROOT/link/out": it lies inside the model directory: give another --output',
  },
  {
    what: "the output is not empty",
    prepare: (root) => (mkdir(root, "out"), touch(root, "out/file")),
    output: "out",
    message: 'output "ROOT/out": it exists and is not empty: ' +
      "give another, or --overwrite to replace it",
  },
  {
    what: "the output to be replaced is not one of Isotherm's",
    prepare: (root) => (mkdir(root, "out"), touch(root, "out/file")),
    output: "out",
    overwrite: true,
    message: 'output "ROOT/out": it holds no time_groups.isotherm, ' +
      "so Isotherm did not write it: remove it yourself",
  },
  {
    what: "the output is a file",
    prepare: (root) => touch(root, "out"),
    output: "out",
    overwrite: true,
    message: 'output "ROOT/out": a file of that name exists',
  },
  {
    what: "the output is a link that leads nowhere",
    prepare: (root) => Deno.symlinkSync("gone", join(root, "out")),
    output: "out",
    message: 'output "ROOT/out": it is a link that leads nowhere: remove it',
  },
  {
    what: "the output's parent is missing",
    output: "new/deep/out",
    message: 'output "ROOT/new/deep/out": "ROOT/new/deep" does not exist: create it first',
  },
  {
    what: "the output's parent is a file",
    prepare: (root) => touch(root, "file"),
    output: "file/out",
    message: '"ROOT/file/out": a part of the path is not a directory',
  },
  {
    what: "the output's name is too long",
    output: "x".repeat(300),
    message: `"ROOT/${"x".repeat(300)}": the name is too long`,
  },
];

const REPORTS: Misplaced[] = [
  {
    what: "the report is a directory",
    prepare: (root) => mkdir(root, "r.json"),
    output: "out",
    report: "r.json",
    message: '"ROOT/r.json": it is a directory: give a file name',
  },
  {
    what: "the log is a directory",
    prepare: (root) => mkdir(root, "r.log"),
    output: "out",
    report: "r.json",
    message: '"ROOT/r.log": it is a directory: give a file name',
  },
  {
    what: "the report is the output",
    output: "out",
    report: "out",
    message: '"ROOT/out": it is the output directory: give a file name',
  },
  {
    what: "the log is the output",
    output: "out.log",
    report: "out.json",
    message: '"ROOT/out.log": it is the output directory: give a file name',
  },
  {
    what: "the report is named like the log",
    output: "out",
    report: "r.log",
    message: '--report is "ROOT/r.log", must not end in .log: the log does',
  },
  {
    what: "the report lies inside the model",
    output: "out",
    report: "model/r.json",
    message: '"ROOT/model/r.json": it lies inside the model directory: give another --report',
  },
  {
    what: "the report is a link into the model",
    prepare: (root) => Deno.symlinkSync("model/config.json", join(root, "r.json")),
    output: "out",
    report: "r.json",
    message: '"ROOT/r.json": it lies inside the model directory: give another --report',
  },
  {
    what: "the report's parent is missing",
    output: "out",
    report: "reports/r.json",
    message: '"ROOT/reports/r.json": "ROOT/reports" does not exist: create it first',
  },
  {
    what: "the report's parent is a file",
    prepare: (root) => touch(root, "file"),
    output: "out",
    report: "file/r.json",
    message: '"ROOT/file/r.json": a part of the path is not a directory',
  },
];

for (
  const { what, prepare, output, report = "r.json", overwrite, message } of [...OUTPUTS, ...REPORTS]
) {
  Deno.test(`main() writes nothing at all when ${what}`, async () => {
    await withFiles(smallModel(), async (root) => {
      prepare?.(root);
      const before = treeOf(root);
      const model = stateOf(join(root, "model"));
      // Not joined, since that would take the detours out.
      const { code, stdout, stderr } = await runMain(
        ...["--model", `${root}/model`, "--output", `${root}/${output}`],
        ...["--report", `${root}/${report}`, ...(overwrite ? ["--overwrite"] : [])],
      );
      const expected = `${message.startsWith("-") ? "" : "Cannot write "}${
        message.startsWith("output") ? "the " : ""
      }${message.replaceAll("ROOT", root)}`;
      const [last, end] = stderr.split("\n").slice(-2);
      assert.deepEqual({ code, stdout, last, end }, {
        code: 2,
        stdout: "",
        last: `error: ${cut(expected)}`,
        end: "",
      });
      assert.equal(stderr.includes("Quantizing"), false, "work had begun");
      assert.deepEqual(treeOf(root), before);
      assert.deepEqual(stateOf(join(root, "model")), model);
    });
  });
}

/** Quoted text is cut at 200 characters. */
function cut(message: string): string {
  return message.replace(/"([^"]{200})[^"]+"/, '"$1…"');
}

Deno.test("pendingFile() refuses a device when one is named", () => {
  assert.throws(() => pendingFile("/dev/null", undefined), {
    name: "BadInputError",
    message: 'Cannot write "/dev/null": it is not a regular file: give a file name',
  });
});

Deno.test("main() fills the output when it is an empty directory or a link to one", async () => {
  await withFiles(smallModel(), async (root) => {
    mkdir(root, "real");
    Deno.symlinkSync("real", join(root, "link"));
    const { code } = await runMain(
      ...["--model", join(root, "model"), "--output", join(root, "link")],
      ...["--report", join(root, "r.json")],
    );
    assert.equal(code, 0);
    assert.deepEqual(namesIn(root), ["link", "model", "r.json", "r.log", "real"]);
    assert.equal(Deno.lstatSync(join(root, "link")).isSymlink, true);
    assert.equal(namesIn(join(root, "real")).includes("model.safetensors"), true);
  });
});

for (
  const [what, filler] of [
    ["three bytes a character", "模"],
    ["four bytes a character", "🌡"],
    ["three and four bytes a character", "模🌡"],
    ["one byte a character", "x"],
  ] as const
) {
  Deno.test(`main() writes to names as long as a file system has them when they take ${what}`, async () => {
    const bytes = (text: string) => new TextEncoder().encode(text).length;
    const longest = (ending: string) => {
      const fill = filler.repeat(Math.floor((255 - bytes(ending)) / bytes(filler)));
      return `${"a".repeat(255 - bytes(ending) - bytes(fill))}${fill}${ending}`;
    };
    const [output, report, page] = [longest(""), longest("r.json"), longest(".html")];
    assert.deepEqual([output, report, page].map(bytes), [255, 255, 255]);
    await withFiles(smallModel(), async (root) => {
      for (const flags of [[], ["--overwrite"]]) {
        const { code, stderr } = await runMain(
          ...["--model", join(root, "model"), "--output", join(root, output)],
          ...["--report", join(root, report), "--html-report", join(root, page), ...flags],
        );
        assert.equal(code, 0, stderr);
        const log = report.replace(/json$/, "log");
        assert.deepEqual(namesIn(root), ["model", output, report, log, page].sort());
      }
    });
  });
}

Deno.test("main() writes beside the model to names that begin with the model's", async () => {
  await withFiles(smallModel("Dream-7B"), async (root) => {
    const { code, stderr } = await runMain(
      ...["--model", join(root, "Dream-7B"), "--output", join(root, "Dream-7B-int4")],
      ...["--report", join(root, "Dream-7B.json")],
    );
    assert.equal(code, 0, stderr);
    assert.deepEqual(namesIn(root), ["Dream-7B", "Dream-7B-int4", "Dream-7B.json", "Dream-7B.log"]);
  });
});
