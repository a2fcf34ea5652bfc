import assert from "node:assert/strict";
import { join } from "node:path";
import { namesIn, smallModel, stateOf, writeLargeModel } from "./directories.ts";
import { withFiles } from "./make_model.ts";
import { cliCommand, outcomeOf, runIn, runMain, spawnCli, type SpawnOptions } from "./run_cli.ts";

/** The directories of a run in which a large model is quantized by a process. */
interface LargeRun {
  root: string;
  model: string;
  output: string;
  /** The flags. */
  argv: string[];
  /** Starts the process. */
  start: (options?: SpawnOptions) => Deno.ChildProcess;
}

/** Makes a model of so many 16 MB layers and hands over how to quantize it. */
function withLargeModel(layers: number, use: (run: LargeRun) => Promise<void>): Promise<void> {
  return withFiles({}, async (root) => {
    const [model, output] = [join(root, "model"), join(root, "out")];
    writeLargeModel(model, layers);
    const argv = ["--model", model, "--output", output, "--report", join(root, "r.json")];
    await use({ root, model, output, argv, start: (options) => spawnCli(argv, options) });
  });
}

/** Waits until a run has begun to write. */
async function untilWriting(root: string): Promise<void> {
  // Far longer than it takes: a machine may be busy.
  const deadline = performance.now() + 120_000;
  while (performance.now() < deadline) {
    const pending = namesIn(root).find((name) => name.startsWith(".out.tmp-"));
    if (pending !== undefined && namesIn(join(root, pending)).includes("model.safetensors")) return;
    await new Promise((resume) => setTimeout(resume, 2));
  }
  assert.fail("the run did not begin to write");
}

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test(`the command line leaves nothing and exits with ${code} when it gets ${signal}`, async () => {
    // 2 GB: much more work than there is time for before the signal.
    await withLargeModel(128, async ({ root, model, start }) => {
      const weights = join(model, "model.safetensors");
      const { mtime } = Deno.statSync(weights);
      const child = start();
      await untilWriting(root);
      child.kill(signal);
      const outcome = await outcomeOf(child);
      assert.deepEqual({ ...outcome, stderr: outcome.stderr.split("\n") }, {
        code,
        stdout: "",
        stderr: [
          "Quantizing model: 128 layers to INT2, 4 time groups, by rows, blocks of 128, " +
          "0 tensors left as they are, for compressed-tensors",
          "error: Interrupted: nothing was written",
          "",
        ],
      });
      assert.deepEqual(namesIn(root), ["model"]);
      assert.deepEqual(namesIn(model), ["model.safetensors"]);
      assert.deepEqual(Deno.statSync(weights).mtime, mtime);
    });
  });
}

Deno.test("the command line works as if nothing had been when a run was killed before", async () => {
  await withLargeModel(16, async ({ root, model, output, start }) => {
    const killed = start();
    await untilWriting(root);
    killed.kill("SIGKILL");
    assert.equal((await killed.output()).code, 137);
    const left = namesIn(root);
    assert.deepEqual(left.map((name) => name.replace(/-[0-9a-f]{8}-[0-9a-f]{8}$/, "")), [
      ...[".out.lock", ".out.tmp", ".r.json.lock", ".r.log.lock", "model"],
    ]);
    const { code, stderr } = await outcomeOf(start());
    assert.equal(code, 0, stderr);
    const removed = `Removed "${join(root, left[1]!)}", left by a run that was stopped`;
    assert.equal(stderr.split("\n")[0], removed);
    assert.deepEqual(namesIn(root), ["model", "out", "r.json", "r.log"]);
    const verified = await runMain("verify", output, "--against", model);
    assert.equal(verified.code, 0, verified.stderr);
  });
});

Deno.test("the command line gives one complete result when two runs share an output", async () => {
  await withLargeModel(8, async ({ root, model, output, start }) => {
    const first = start();
    const second = start();
    const outcomes = await Promise.all([outcomeOf(first), outcomeOf(second)]);
    assert.deepEqual(outcomes.map(({ code }) => code).sort(), [0, 2]);
    const loser = outcomes.find(({ code }) => code === 2)!;
    // On a busy machine one may have ended before the other begins.
    const place = `"${output}": `;
    assert.ok(
      [
        `error: Cannot write ${place}another run is writing to it: ` +
        "wait until it has ended, or give another path\n",
        `error: Cannot write the output ${place}it exists and is not empty: ` +
        "give another, or --overwrite to replace it\n",
      ].includes(loser.stderr),
      loser.stderr,
    );
    assert.deepEqual(namesIn(root), ["model", "out", "r.json", "r.log"]);
    const verified = await runMain("verify", output, "--against", model);
    assert.equal(verified.code, 0, verified.stderr);
  });
});

Deno.test("the command line leaves no weights when nobody reads its standard output", async () => {
  await withLargeModel(4, async ({ root, start }) => {
    const child = start();
    await child.stdout.cancel();
    const stderr = await new Response(child.stderr).text();
    assert.equal((await child.status).code, 2);
    assert.match(
      stderr,
      /\nerror: Cannot write to standard output: its reader has closed it\n$/,
    );
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

Deno.test({
  name: "the command line says that the disk is full when its standard output is a full device",
  ignore: Deno.build.os !== "linux", // the others have no such device
  async fn() {
    const full = new Deno.Command("bash", {
      args: ["-c", '"$@" >/dev/full', "bash", ...cliCommand(["--version"])],
      stdout: "piped",
      stderr: "piped",
    });
    const { code, stderr } = await outcomeOf(full.spawn());
    assert.deepEqual({ code, stderr }, {
      code: 2,
      stderr: "error: Cannot write to standard output: the disk is full\n",
    });
  },
});

Deno.test("the command line says that a file is too large when there is a limit on sizes", async () => {
  await withLargeModel(32, async ({ root, argv }) => {
    // 32 layers at 8 bits are 134 MB; what Deno itself writes is smaller.
    const limited = new Deno.Command("bash", {
      args: ["-c", 'ulimit -f 100000; exec "$@"', "bash", ...cliCommand(argv), "--bit-width", "8"],
      stdout: "piped",
      stderr: "piped",
    });
    const { code, stderr } = await outcomeOf(limited.spawn());
    assert.equal(code, 2);
    assert.match(
      stderr,
      /\nerror: Cannot write "model\.safetensors": the file is too large for this file system or limit\n$/,
    );
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

Deno.test("main() stops within a tile when its signal is aborted", async () => {
  await withLargeModel(4, async ({ root, argv }) => {
    const controller = new AbortController();
    const stderr: string[] = [];
    const world = {
      signal: controller.signal,
      stderr: (text: string) => {
        stderr.push(text);
        controller.abort();
      },
    };
    const { code, stdout } = await runIn(world, ...argv);
    assert.deepEqual({ code, stdout }, { code: 130, stdout: "" });
    assert.deepEqual(stderr.slice(1), ["error: Interrupted: nothing was written\n"]);
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

Deno.test("main() stops when its signal is aborted while it verifies", async () => {
  await withFiles(smallModel(), async (root) => {
    const [model, output] = [join(root, "model"), join(root, "out")];
    const report = ["--report", join(root, "r.json")];
    assert.equal((await runMain("--model", model, "--output", output, ...report)).code, 0);
    const aborted = { signal: AbortSignal.abort() };
    const outcome = await runIn(aborted, "verify", output, "--against", model);
    assert.deepEqual(outcome, {
      code: 130,
      stdout: "",
      stderr: "error: Interrupted: nothing was written\n",
    });
  });
});

Deno.test("main() says that a file ended early when it is cut during the run", async () => {
  await withLargeModel(2, async ({ root, model, argv }) => {
    const weights = join(model, "model.safetensors");
    let stderr = "";
    const world = {
      stderr: (text: string) => {
        stderr += text;
        if (text.startsWith("Quantizing")) Deno.truncateSync(weights, 20_000_000);
      },
    };
    const { code } = await runIn(world, ...argv);
    assert.equal(code, 2);
    assert.match(
      stderr.split("\n").at(-2)!,
      /^error: Cannot read "model\.safetensors": .*20000000/,
    );
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

/** Runs a process on the small model with the given permissions; ROOT stands for the directory. */
async function runWith(permissions: string[], root: string, ...flags: string[]) {
  const argv = ["--model", "model", "--output", "q/out", "--report", "r/r.json", ...flags];
  const given = permissions.map((flag) => flag.replaceAll("ROOT", root));
  return await outcomeOf(spawnCli(argv, { cwd: root, permissions: given }));
}

const FORBIDDEN: { permissions: string[]; message: string }[] = [
  {
    permissions: ["--allow-read"],
    message: 'Cannot write "ROOT/q/out": Deno was not given the permission: ' +
      "add --allow-write for this path",
  },
  {
    permissions: ["--allow-read", "--allow-write=ROOT/r"],
    message: 'Cannot write "ROOT/q/out": Deno was not given the permission: ' +
      "add --allow-write for this path",
  },
  {
    permissions: ["--allow-read", "--allow-write=ROOT/q"],
    message: 'Cannot write "r/r.json": Deno was not given the permission: ' +
      "add --allow-write for this path",
  },
  {
    permissions: ["--allow-read=ROOT/model", "--allow-write=ROOT"],
    message: 'Cannot write "q/out": Deno was not given the permission: ' +
      "add --allow-read for this path",
  },
  {
    permissions: ["--allow-read=ROOT/q", "--allow-write=ROOT"],
    message: 'Model not found: "model": Deno was not given the permission: ' +
      "add --allow-read for this path: a model directory holds config.json and model.safetensors, " +
      "or shards with model.safetensors.index.json",
  },
];

for (const { permissions, message } of FORBIDDEN) {
  Deno.test(`the command line names the permission that is missing when given ${permissions.join(" ")}`, async () => {
    await withFiles({ ...smallModel(), "q/.keep": "", "r/.keep": "" }, async (root) => {
      const before = stateOf(root);
      const { code, stdout, stderr } = await runWith(permissions, root);
      assert.deepEqual({ code, stdout }, { code: 2, stdout: "" });
      const line = stderr.split("\n").at(-2);
      assert.equal(line, `error: ${message.replaceAll("ROOT", root)}`);
      assert.deepEqual(stateOf(root), before);
    });
  });
}

Deno.test("the command line works when it may write beside the output and the report only", async () => {
  await withFiles({ ...smallModel(), "q/.keep": "", "r/.keep": "" }, async (root) => {
    const { code, stderr } = await runWith(["--allow-read", "--allow-write=ROOT/q,ROOT/r"], root);
    assert.equal(code, 0, stderr);
    assert.deepEqual(namesIn(join(root, "q")), [".keep", "out"]);
    assert.deepEqual(namesIn(join(root, "r")), [".keep", "r.json", "r.log"]);
  });
});

Deno.test("the command line quantizes a large model when it may read the model but not its own workers", async () => {
  await withLargeModel(5, async ({ root, start }) => {
    const permissions = [`--allow-read=${root}`, `--allow-write=${root}`];
    const { code, stderr } = await outcomeOf(start({ permissions }));
    assert.equal(code, 0, stderr);
    assert.match(
      Deno.readTextFileSync(join(root, "r.log")),
      /Backend: wasm, SIMD WebAssembly on one thread, since without permission .* no worker starts\n/,
    );
  });
});

Deno.test("the command line quantizes a large model in workers when it may read everything", async () => {
  await withLargeModel(5, async ({ root, start }) => {
    const { code, stderr } = await outcomeOf(start());
    assert.equal(code, 0, stderr);
    const workers = Math.min(navigator.hardwareConcurrency, 8);
    const log = Deno.readTextFileSync(join(root, "r.log"));
    assert.match(log, new RegExp(`Backend: wasm, SIMD WebAssembly in ${workers} workers\n`));
  });
});
