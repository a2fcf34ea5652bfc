import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { writeLargeModel } from "./directories.ts";
import { withFiles } from "./make_model.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What a URL would take for something else, and a letter outside ASCII. */
const NAME = "a b#c%20é?d";

/** Copies these parts of the project into a folder of that name and hands over its path. */
function withCopy(parts: string[], use: (copy: string, root: string) => Promise<void>) {
  return withFiles({}, async (root) => {
    const copy = join(root, NAME);
    for (const part of parts) cpSync(join(ROOT, part), join(copy, part), { recursive: true });
    await use(copy, root);
  });
}

/** Runs a program of the copy and gives back what it printed. */
async function run(program: string, ...args: string[]): Promise<string> {
  const permissions = ["--no-prompt", "--allow-read", "--allow-write"];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...permissions, program, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  assert.equal(code, 0, text.decode(stderr));
  return text.decode(stdout);
}

Deno.test("the command line quantizes in workers and verifies when its own folder has a strange name", async () => {
  const parts = ["cli.ts", "deno.json", "deno.lock", "lib", "templates"];
  await withCopy(parts, async (copy, root) => {
    const [model, output] = [join(root, "a model#1"), join(copy, "out 100%")];
    writeLargeModel(model, 5);
    const [report, page] = [join(copy, "r #1.json"), join(copy, "page%20.html")];
    const cli = join(copy, "cli.ts");
    await run(
      ...[cli, "--model", model, "--output", output, "--phase", "optimize"] as const,
      ...["--backend", "wasm", "--report", report, "--html-report", page],
    );
    const log = Deno.readTextFileSync(join(copy, "r #1.log"));
    assert.match(log, /Backend: wasm, SIMD WebAssembly in \d+ workers/);
    assert.match(Deno.readTextFileSync(page), /^<!doctype html>/i);
    const { sqnr_db } = JSON.parse(await run(cli, "verify", output, "--against", model, "--json"));
    const { sqnr_db: reported } = JSON.parse(Deno.readTextFileSync(report));
    assert.equal(sqnr_db.toFixed(6), reported.toFixed(6));
  });
});

Deno.test("the demo's parts find their files when the project's folder has a strange name", async () => {
  await withCopy(["deno.json", "deno.lock", "lib", "examples"], async (copy) => {
    const folder = join(copy, "examples/digits-dit-denoiser");
    const program = join(copy, "check.ts");
    const from = (name: string) => JSON.stringify(pathToFileURL(join(folder, name)).href);
    Deno.writeTextFileSync(
      program,
      `
      import { readDigits } from ${from("read_digits.ts")};
      import { startObservers } from ${from("start_observers.ts")};
      import { loadWeights } from ${from("../forward/load_weights.ts")};
      import { createEvaluator } from ${from("../small-dlm-denoiser/evaluate.ts")};
      import { readText } from ${from("../small-dlm-denoiser/read_text.ts")};
      const observers = startObservers(1);
      // The worker loads the multiplier, and says in words that this is no model.
      const refused = await observers.observe({ weights: new Map() }).then(() => "", (error) => error.name);
      observers.close();
      const { labels } = readDigits();
      const evaluator = await createEvaluator(Deno.args[1]!, 1, readText().slice(0, 1));
      evaluator.close();
      console.log(labels.length, (await loadWeights(Deno.args[0]!)).size > 0, refused);
      console.log(evaluator.original.agreement);
      `,
    );
    const models = ["digits-dit", "small-dlm"].map((name) => join(copy, "examples", name));
    const printed = await run(program, ...models);
    assert.equal(printed, "1797 true BadInputError\n1\n");
  });
});
