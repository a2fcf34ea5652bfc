/** Every hostile or odd model through the command line: refused with one line and nothing left, or whole. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { namesIn, stateOf } from "./directories.ts";
import { HOSTILE_DIRECTORIES } from "./hostile_directories.ts";
import { HOSTILE_HEADERS } from "./hostile_headers.ts";
import { withFiles } from "./make_model.ts";
import { ODD_MODELS } from "./odd_models.ts";
import { runMain } from "./run_cli.ts";
import type { Files } from "./tiny_models.ts";

/** What is refused: its files, and a part of the message. */
const REFUSED: [what: string, files: Files, message: string][] = [
  ...HOSTILE_HEADERS.map(([what, file, message]): [string, Files, string] => [
    what,
    { "model.safetensors": file },
    message,
  ]),
  ...HOSTILE_DIRECTORIES,
];

const inFolder = (files: Files): Files => ({
  "model/.keep": "",
  ...Object.fromEntries(Object.entries(files).map(([name, file]) => [`model/${name}`, file])),
});

Deno.test("the corpus has 160 models at least, of which a quarter is taken", () => {
  const all = [...REFUSED, ...ODD_MODELS];
  assert.ok(all.length >= 160, `${all.length}`);
  assert.ok(ODD_MODELS.length >= all.length / 4, `${ODD_MODELS.length} of ${all.length}`);
  assert.equal(new Set(all.map(([what]) => what)).size, all.length, "a name is there twice");
});

for (const [what, files, message] of REFUSED) {
  Deno.test(`main() ends with 2 and leaves nothing when a model has ${what}`, () =>
    withFiles(inFolder(files), async (root) => {
      const before = stateOf(root);
      const run = ["--output", join(root, "out"), "--report", join(root, "r.json")];
      const { code, stdout, stderr } = await runMain("--model", join(root, "model"), ...run);
      assert.deepEqual([code, stdout], [2, ""], stderr);
      // deno-lint-ignore no-control-regex -- none of them may reach a terminal
      assert.match(stderr, /^error: [^\x00-\x1f\x7f-\x9f\u2028\u2029\u202e]{1,990}\n$/);
      assert.ok(stderr.includes(message), stderr);
      assert.deepEqual(stateOf(root), before);
    }));
}

for (const [what, file] of ODD_MODELS) {
  Deno.test(`main() quantizes a model, and verify agrees, when it has ${what}`, () =>
    withFiles({ "model/model.safetensors": file }, async (root) => {
      const [model, output] = [join(root, "model"), join(root, "out")];
      const before = stateOf(model);
      const report = join(root, "r.json");
      const run = ["--model", model, "--output", output, "--report", report];
      const { code, stderr } = await runMain(...run);
      assert.equal(code, 0, stderr);
      const verified = await runMain("verify", output, "--against", model);
      assert.equal(verified.code, 0, verified.stderr);
      const { layers } = JSON.parse(Deno.readTextFileSync(report));
      assert.ok(layers.some(({ name }: { name: string }) => name === "layer"));
      assert.deepEqual(stateOf(model), before);
      assert.deepEqual(namesIn(root), ["model", "out", "r.json", "r.log"]);
    }));
}
