import assert from "node:assert/strict";
import { join } from "node:path";
import { appendEntry } from "../lib/format/append_entry.ts";
import { smallModel } from "./directories.ts";
import { withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

const ESCAPED = String.raw`"quantization\u005fconfig"`;

/** A config.json with an entry that is null, and what is left of it without: up to its last brace, trimmed. */
const LAYOUTS: { what: string; config: string; rest: string }[] = [
  {
    what: "is the only one",
    config: '{"quantization_config": null}',
    rest: "{",
  },
  {
    what: "is the first one",
    config: '{\n  "quantization_config": null,\n  "a": 1.0\n}\n',
    rest: '{\n  "a": 1.0',
  },
  {
    what: "is the last one",
    config: '{\n  "a": 1e400,\n  "quantization_config": null\n}\n',
    rest: '{\n  "a": 1e400',
  },
  {
    what: "is in the middle",
    config: '{\n\t"a": -0,\n\t"quantization_config"\n : null\n,\n\t"b": [1, 2]\n}',
    rest: '{\n\t"a": -0,\n\t"b": [1, 2]',
  },
  {
    what: "is on one line with others",
    config: '{"a":NaN,"quantization_config":null,"b":{"c":"}"}}',
    rest: '{"a":NaN,"b":{"c":"}"}',
  },
  {
    what: "has a key written with escapes",
    config: `{"a": 1, ${ESCAPED}: null, "b": 2}`,
    rest: '{"a": 1, "b": 2',
  },
  {
    what: "follows one of that name nested deeper",
    config: '{"text_config": {"quantization_config": null, "x": [{"quantization_config": null}]},' +
      '\n "quantization_config": null}',
    rest: '{"text_config": {"quantization_config": null, "x": [{"quantization_config": null}]}',
  },
  {
    what: "follows strings that look like it",
    config: String.raw`{"a": "\", \"quantization_config\": null, ", "b": "\\",` +
      '"quantization_config": null, "c": "quantization_config", "d": ["quantization_config", null]}',
    rest: String.raw`{"a": "\", \"quantization_config\": null, ", "b": "\\",` +
      ' "c": "quantization_config", "d": ["quantization_config", null]',
  },
];

for (const { what, config, rest } of LAYOUTS) {
  Deno.test(`main() quantizes a model when the quantization_config that is null ${what}`, async () => {
    const files = { ...smallModel(), "model/config.json": config };
    await withFiles(files, async (root) => {
      const [model, output] = [join(root, "model"), join(root, "out")];
      const report = ["--report", join(root, "r.json")];
      const { code, stderr } = await runMain("--model", model, "--output", output, ...report);
      assert.equal(code, 0, stderr);
      const written = Deno.readTextFileSync(join(output, "config.json"));
      assert.ok(written.startsWith(rest), written);
      const added = written.slice(rest.length);
      assert.match(added, rest === "{" ? /^\n\s+"quantization_config": \{/ : /^,\n\s+"quantiz/);
      // What is added is one entry, and the whole is JSON once what Python alone writes is taken out.
      const plain = (text: string) => JSON.parse(text.replaceAll(/NaN|1e400/g, "null"));
      const { quantization_config, ...others } = plain(written);
      assert.equal(quantization_config.format, "pack-quantized");
      const { quantization_config: old, ...before } = plain(config);
      assert.equal(old, null);
      assert.deepEqual(others, before);
      assert.equal((await runMain("verify", output, "--against", model)).code, 0);
    });
  });
}

Deno.test("appendEntry() leaves the text alone when only a nested entry has that key", () => {
  const text = '{"a": {"k": null}, "b": ["k", null], "c": "k"}';
  assert.equal(appendEntry(text, "k", 1), `${text.slice(0, -1)},\n  "k": 1\n}\n`);
});

Deno.test("main() finds no quantization to verify when the config says null", async () => {
  const files = { ...smallModel(), "model/config.json": '{"quantization_config": null}' };
  await withFiles(files, async (root) => {
    const model = join(root, "model");
    assert.deepEqual(await runMain("verify", model, "--against", model), {
      code: 2,
      stdout: "",
      stderr: 'error: Cannot verify "model": its config.json has no quantization_config\n',
    });
  });
});
