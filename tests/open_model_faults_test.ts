/** Model directories that are refused, and what the message says. */

import { join } from "node:path";
import { openModel } from "../lib/model/open_model.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import { withFiles } from "./make_model.ts";
import { HOSTILE_DIRECTORIES } from "./hostile_directories.ts";
import { weights } from "./tiny_models.ts";

for (const [what, files, message] of HOSTILE_DIRECTORIES) {
  Deno.test(`openModel() refuses the directory when it has ${what}`, () =>
    withFiles({ "secret.safetensors": weights("SECRET"), "model/.keep": "" }, (directory) => {
      for (const [name, content] of Object.entries(files)) {
        const path = join(directory, "model", name);
        Deno.mkdirSync(join(path, ".."), { recursive: true });
        const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
        Deno.writeFileSync(path, bytes);
      }
      assertBadInput(() => openModel(join(directory, "model")), message);
    }));
}

Deno.test("openModel() refuses the config when it is larger than 16 MB", () =>
  withFiles({ "config.json": "{}", "model.safetensors": weights("a") }, (directory) => {
    Deno.truncateSync(join(directory, "config.json"), 16_000_001);
    assertBadInput(
      () => openModel(directory),
      'Cannot read "config.json": 16000001 bytes, at most 16000000 are allowed',
    );
  }));

Deno.test("openModel() refuses the path when it is no directory", () =>
  withFiles({ "model.safetensors": weights("a") }, (directory) => {
    assertBadInput(
      () => openModel(join(directory, "none")),
      'none": a model directory holds config.json and model',
    );
    assertBadInput(
      () => openModel(join(directory, "\x1b[31m")),
      '\\u{1b}[31m": a model directory holds config.json',
    );
    assertBadInput(
      () => openModel(join(directory, "model.safetensors")),
      'Model is not a directory: "',
    );
    assertBadInput(() => openModel(join(directory, "model.safetensors/x")), "Model not found: ");
    assertBadInput(() => openModel(""), 'Model not found: ""');
    assertBadInput(() => openModel("a\0b"), 'Model not found: "a\\u{0}b"');
  }));
