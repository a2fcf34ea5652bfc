/** README and docs/ agree with the program where they can be held against it. */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { COMMANDS, FLAGS } from "../lib/cli/flags.ts";
import { MAX_CONFIG_BYTES } from "../lib/model/open_model.ts";
import { MAX_TEXT_BYTES } from "../lib/report/load_report.ts";
import { MAX_HEADER_BYTES } from "../lib/safetensors/header.ts";
import {
  DOCUMENT_DEPTH,
  HEADER_DEPTH,
  MAX_KEPT,
  MAX_TEXT,
} from "../lib/safetensors/json_limits.ts";
import { HOSTILE_DIRECTORIES } from "./hostile_directories.ts";
import { HOSTILE_HEADERS } from "./hostile_headers.ts";
import { ODD_MODELS } from "./odd_models.ts";
import { GRADES } from "../lib/report/grades.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

const DOCS = [...Deno.readDirSync(join(ROOT, "docs"))].map(({ name }) => `docs/${name}`)
  .filter((path) => path.endsWith(".md"));

const PAGES = ["README.md", "SECURITY.md", "CHANGELOG.md", "action/README.md", ...DOCS];

const read = (path: string) => Deno.readTextFileSync(join(ROOT, path));

/** All files of a folder, as paths from the root. */
function filesOf(folder: string): string[] {
  return [...Deno.readDirSync(join(ROOT, folder))].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesOf(`${folder}/${name}`) : [`${folder}/${name}`]
  );
}

Deno.test("README.md has at most 1,200 words and the two commands on its first screen", () => {
  const text = read("README.md");
  assert.ok(text.split(/\s+/).length <= 1200);
  const screen = text.split("\n").slice(0, 24).join("\n");
  assert.ok(
    screen.includes(
      "```sh\nnpx --yes deno@2.9.6 task demo\nnpx --yes deno@2.9.6 task test\n```\n",
    ),
  );
  for (const path of DOCS) assert.ok(text.includes(`](${path})`), `no link to ${path}`);
});

for (const page of PAGES) {
  Deno.test(`the links of ${page} lead to files`, () => {
    for (const [, target] of read(page).matchAll(/\]\(([^)#:]+)\)/g)) {
      assert.ok(Deno.statSync(join(ROOT, dirname(page), target!)).isFile, target);
    }
  });
}

Deno.test("the pages name flags that there are", () => {
  // Those of Deno and npx, of the Hugging Face command line, and of `deno task fuzz`.
  const others = /^--(yes|no-prompt|allow-\w+|lock|revision|local-dir|seconds|seed)$/;
  const known = new Set(FLAGS.map(({ name }) => `--${name}`));
  for (const page of PAGES) {
    for (const [flag] of read(page).matchAll(/(?<![\w-])--[a-z][a-z-]*/g)) {
      assert.ok(known.has(flag) || others.test(flag), `${page}: ${flag}`);
    }
  }
  for (const command of COMMANDS.slice(1)) {
    assert.ok(read("README.md").includes(`\`isotherm ${command}`), command);
  }
});

Deno.test("SECURITY.md gives the limits of documents, the counts of the corpus, and tests that there are", () => {
  const text = read("SECURITY.md");
  const refused = HOSTILE_HEADERS.length + HOSTILE_DIRECTORIES.length;
  const single = HOSTILE_HEADERS.length + ODD_MODELS.length;
  const words = [
    `${
      refused + ODD_MODELS.length
    } models, of which ${ODD_MODELS.length} are taken and ${refused} refused`,
    `the corpus's ${single} single files`,
    ...[MAX_HEADER_BYTES, MAX_CONFIG_BYTES, MAX_TEXT_BYTES].map((bytes) =>
      `| ${bytes.toLocaleString("en-US")} bytes `
    ),
    `| ${MAX_KEPT / 2 ** 20} MB: `,
    `| ${MAX_TEXT / 2 ** 20} MB `,
    `| ${HEADER_DEPTH} `,
    `| ${DOCUMENT_DEPTH} `,
  ];
  for (const word of words) assert.ok(text.replaceAll(/\s+/g, " ").includes(word), word);
  for (const [, path] of text.matchAll(/`(tests\/[\w/]+\.ts)`/g)) {
    assert.ok(Deno.statSync(join(ROOT, path!)).isFile, path);
  }
});

Deno.test("docs/score.md gives the limits of the grades", () => {
  const text = read("docs/score.md");
  for (const { grade, score: from, violations } of GRADES.slice(0, -2)) {
    const most = violations === 0 ? "0" : `up to ${violations}`;
    const row = new RegExp(`^\\| ${grade} +\\| from ${from.toFixed(2)}.* \\| ${most} +\\|$`, "m");
    assert.match(text, row);
  }
});

Deno.test("docs/score.md gives the limits of quality", () => {
  const text = read("docs/score.md");
  for (const { grade, weights, outputs } of GRADES.slice(0, -1)) {
    const row = new RegExp(
      `^\\| ${grade} +\\| from ${weights} dB +\\| from ${outputs} dB +\\|$`,
      "m",
    );
    assert.match(text, row);
  }
});

Deno.test("docs/structure.md lists the folders of lib/ from the ground up", () => {
  const listed = [...read("docs/structure.md").matchAll(/^\| `([a-z_]+)(\/|\.ts)` +\|/gm)];
  const floors = /const FLOORS = \[([^\]]*)\]/.exec(read("tests/layering_test.ts"))![1]!;
  assert.deepEqual(
    listed.map(([, name, end]) => end === "/" ? name : `${name}.ts`),
    [...floors.matchAll(/"([^"]+)"/g)].map(([, name]) => name),
  );
});

Deno.test("no text names a phase by its number", () => {
  const sources = ["lib", "templates", "action", "examples", "docs"].flatMap(filesOf)
    .filter((path) => /\.(ts|js|eta|md|ya?ml)$/.test(path));
  for (const path of [...sources, "README.md", "cli.ts", "mod.ts"]) {
    assert.doesNotMatch(read(path), /\bphases? [0-9]/i, path);
  }
});
