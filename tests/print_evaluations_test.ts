/** The command of each example that evaluates quantized models, with a judge that has nothing to do. */

import assert from "node:assert/strict";
import {
  formatDecibel,
  type Judge,
  printEvaluations,
} from "../examples/forward/print_evaluations.ts";
import { BadInputError } from "../lib/base/errors.ts";

/** Runs the command; gives its exit code, what it printed, and how often the judge was closed. */
async function run(...args: string[]) {
  let closed = 0;
  const texts = { stdout: "", stderr: "" };
  const stream = (name: keyof typeof texts) => ({
    // A byte at a time, as a pipe may take them.
    writeSync(bytes: Uint8Array): number {
      texts[name] += String.fromCharCode(bytes[0]!);
      return 1;
    },
  });
  const judge: Judge<number> = {
    createEvaluator: (model) => {
      if (model === "none") return Promise.reject(new BadInputError("Model not found"));
      return Promise.resolve({
        original: Infinity,
        evaluate: (directory) => {
          if (directory === "broken") throw new BadInputError("It is broken");
          if (directory === "bug") throw new TypeError("a bug");
          return Promise.resolve(directory.length);
        },
        close: () => closed++,
      });
    },
    columns: { "SQNR, dB": formatDecibel, "n": (value) => String(value).slice(0, 1) },
  };
  const streams = { stdout: stream("stdout"), stderr: stream("stderr") };
  const code = await printEvaluations(judge, args, streams).catch((error) => String(error));
  const stdout = texts.stdout.replace(/ \d\.\d /g, " 0.0 ");
  return { code, ...texts, stdout, closed };
}

Deno.test("printEvaluations() prints a line for each model, under its headings", async () => {
  assert.deepEqual(await run("model", "abc", "abcd"), {
    code: 0,
    stdout: "SQNR, dB  n  seconds  model\n" +
      "       -  I      0.0  model\n" +
      "    3.00  3      0.0  abc\n" +
      "    4.00  4      0.0  abcd\n",
    stderr: "",
    closed: 1,
  });
});

Deno.test("printEvaluations() says in one line what is wrong, after what was right", async () => {
  const usage = "usage: main.ts MODEL [DIRECTORY]...\n";
  assert.deepEqual(await run(), { code: 2, stdout: "", stderr: usage, closed: 0 });
  const none = { code: 2, stdout: "", stderr: "error: Model not found\n", closed: 0 };
  assert.deepEqual(await run("none", "abc"), none);
  const { stdout, ...rest } = await run("model", "abc", "broken", "abcd");
  assert.equal(stdout.split("\n").length, 4);
  assert.deepEqual(rest, { code: 2, stderr: "error: It is broken\n", closed: 1 });
});

Deno.test("printEvaluations() stops its judge and hides no bug", async () => {
  const { code, stderr, closed } = await run("model", "bug");
  assert.deepEqual([code, stderr, closed], ["TypeError: a bug", "", 1]);
});
