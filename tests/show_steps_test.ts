import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";
import { showSteps } from "../examples/show_steps.ts";
import { withFiles } from "./make_model.ts";

/** Runs two steps, the second of which fails, and gives what was written; a second passes with each look at the clock. */
async function show(isTerminal: boolean): Promise<string> {
  let [text, clock, running] = ["", 0, 0];
  const steps = showSteps({
    write: (more) => text += more,
    isTerminal,
    now: () => 1000 * clock++,
    repeat: (draw) => {
      running++;
      draw();
      return () => running--;
    },
  }, 2);
  assert.equal(await steps.run("Drawing", () => Promise.resolve(7)), 7);
  await assert.rejects(
    steps.run("Quantizing", () => Promise.reject(new Error("no"))),
    /^Error: no/,
  );
  assert.equal(running, 0);
  return text;
}

Deno.test("showSteps() writes a line for each step when there is no terminal", async () => {
  assert.equal(await show(false), "[1/2] Drawing\n[2/2] Quantizing\n");
});

Deno.test("showSteps() overwrites one line and leaves none when there is a terminal", async () => {
  const clear = "\r\x1b[K";
  assert.equal(
    await show(true),
    `${clear}[1/2] Drawing 1.0 s${clear}[1/2] Drawing 2.0 s${clear}` +
      `${clear}[2/2] Quantizing 1.0 s${clear}[2/2] Quantizing 2.0 s${clear}`,
  );
});

Deno.test("the demo says what it does before it has done anything", async () => {
  await withFiles({}, async (directory) => {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--allow-read",
        "--allow-write=out",
        fileURLToPath(new URL("../examples/demo.ts", import.meta.url)),
      ],
      cwd: directory,
      env: { NO_COLOR: "1" },
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const text = new TextDecoder();
    let said = "";
    for await (const bytes of child.stderr) {
      said += text.decode(bytes, { stream: true });
      if (said.includes("[1/20] Drawing with the unquantized model\n")) break;
    }
    // It is still at its first step: nothing is quantized.
    assert.match(said, /^\[1\/20\] Drawing with the unquantized model$/m);
    assert.deepEqual([...Deno.readDirSync(`${directory}/out`)], []);
    child.kill();
    await child.status;
  });
});
