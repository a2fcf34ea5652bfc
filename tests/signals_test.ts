/** A signal ends a run at any moment, and nothing is committed after one was heard. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { disk } from "../lib/base/disk.ts";
import { DEFAULT_SETTINGS, quantizeModel } from "../mod.ts";
import { type Files, namesIn, smallModel, withSmallModel } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { cliCommand, outcomeOf, runIn, spawnCli } from "./run_cli.ts";

/** Far more than the two seconds that are promised: a machine may be busy. Without a promise kept it is never. */
const DEADLINE_MS = 20_000;

/** Long enough that a run is at what it will wait at for ever. */
const AT_WORK_MS = 2500;

const PAUSE = fileURLToPath(new URL("./stuck/pause.ts", import.meta.url));

/** Elsewhere a program without a terminal, as all are here, is taken for one that is to survive. */
const HANG_UP = { ignore: Deno.build.os !== "linux" };

const wait = (ms: number) => new Promise((resume) => setTimeout(resume, ms));

/** A model of many small layers, of which there is a lot to say. */
function manyLayers(): Files {
  const tensors = Array.from(
    { length: 400 },
    (_, i) => matrix(`blocks.${i}.${"x".repeat(180)}.weight`, 4, 16, noise(i)),
  );
  return { "model/model.safetensors": encodeFile(tensors) };
}

Deno.test("main() commits nothing when the signal is heard as the last thing is printed", async () => {
  await withSmallModel(async ({ root, run }) => {
    const controller = new AbortController();
    const { signal } = controller;
    const outcome = await runIn({ signal, stdout: () => controller.abort() }, ...run);
    assert.equal(outcome.code, 130);
    assert.equal(outcome.stderr.split("\n").at(-2), "error: Interrupted: nothing was written");
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

Deno.test("main() keeps an earlier output when the signal is heard as the last thing is printed", async () => {
  await withSmallModel(async ({ root, output, run }) => {
    assert.equal((await runIn({}, ...run)).code, 0);
    const before = Deno.readTextFileSync(join(root, "r.log".replace("r.", "report.")));
    const controller = new AbortController();
    const { signal } = controller;
    const world = { signal, stdout: () => controller.abort() };
    const outcome = await runIn(world, ...run, "--overwrite", "--bit-width", "8");
    assert.equal(outcome.code, 130);
    assert.deepEqual(namesIn(root), ["model", "out", "report.json", "report.log"]);
    assert.equal(Deno.readTextFileSync(join(root, "report.log")), before);
    assert.ok(Deno.readTextFileSync(join(output, "config.json")).includes('"num_bits": 2'));
  });
});

/** Runs something with a signal of this process, which `send` sends; it is heard when the thread is free again. */
async function withSignal(
  use: (signal: AbortSignal, send: () => void) => Promise<void>,
): Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  const onSignal = () => controller.abort();
  Deno.addSignalListener("SIGUSR2", onSignal);
  try {
    await use(signal, () => {
      Deno.kill(Deno.pid, "SIGUSR2");
      const start = Date.now();
      while (Date.now() - start < 100);
      assert.equal(signal.aborted, false, "this thread was not busy");
    });
  } finally {
    Deno.removeSignalListener("SIGUSR2", onSignal);
  }
}

Deno.test("main() hears a signal that comes while its thread is busy, before it commits", async () => {
  await withSmallModel(async ({ root, run }) => {
    await withSignal(async (signal, send) => {
      // The last that is done before.
      const { code } = await runIn({ signal, stdout: send }, ...run);
      assert.equal(code, 130);
      assert.deepEqual(namesIn(root), ["model"]);
    });
  });
});

Deno.test("quantizeModel() hears a signal that comes while its thread is busy, before it commits", async () => {
  await withSmallModel(async ({ root, model, output }) => {
    await withSignal(async (signal, send) => {
      const { now } = performance;
      let isDone = false;
      // The report is what is made last, and it has the time.
      performance.now = () => {
        if (isDone) send();
        isDone = false;
        return now.call(performance);
      };
      const onLog = (line: string) => void (isDone ||= line.startsWith("Backend: "));
      try {
        await assert.rejects(quantizeModel(model, output, DEFAULT_SETTINGS, { signal, onLog }), {
          name: "InterruptedError",
        });
      } finally {
        performance.now = now;
      }
      assert.deepEqual(namesIn(root), ["model"]);
    });
  });
});

Deno.test("main() removes nothing of a report before its writing has ended", async () => {
  await withSmallModel(async ({ root, run }) => {
    const { open } = disk;
    const controller = new AbortController();
    // The report is only there some time after the signal was heard.
    disk.open = async (path, how, mode) => {
      if (how === "create" && path.includes("report.json")) {
        controller.abort();
        await wait(100);
      }
      return await open(path, how, mode);
    };
    try {
      const { signal } = controller;
      assert.equal((await runIn({ signal }, ...run)).code, 130);
    } finally {
      disk.open = open;
    }
    await wait(200);
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

Deno.test("main() makes no file after it has removed the others, however long one of them took", async () => {
  await withSmallModel(async ({ root, run }) => {
    const { open } = disk;
    const controller = new AbortController();
    // Longer than what was begun is waited for.
    disk.open = async (path, how, mode) => {
      const file = await open(path, how, mode);
      if (how !== "create" || !path.includes("report.json")) return file;
      const sync = async () => {
        controller.abort();
        await wait(1000);
      };
      return { ...file, sync };
    };
    try {
      const { signal } = controller;
      const { code } = await runIn({ signal }, ...run, "--html-report", join(root, "page.html"));
      assert.equal(code, 130);
      await wait(1000);
    } finally {
      disk.open = open;
    }
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

Deno.test("quantizeModel() commits nothing when the signal is heard after the last tensor", async () => {
  const model = smallModel()["model/model.safetensors"]!;
  await withFiles({ "model/model.safetensors": model }, async (root) => {
    const controller = new AbortController();
    const { signal } = controller;
    const lines: string[] = [];
    const onLog = (line: string) => {
      lines.push(line);
      if (line.startsWith("Backend:")) controller.abort();
    };
    await assert.rejects(
      quantizeModel(join(root, "model"), join(root, "out"), DEFAULT_SETTINGS, { signal, onLog }),
      { name: "InterruptedError", message: "Interrupted: nothing was written" },
    );
    assert.match(lines.at(-1)!, /^Backend: /);
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

/** Waits for the end of a process whose output nobody reads. */
async function endOf(child: Deno.ChildProcess): Promise<number | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), DEADLINE_MS);
  const ended = await Promise.race([child.status, late]);
  clearTimeout(timer);
  if (ended === undefined) child.kill("SIGKILL");
  await child.status;
  await child.stdout.cancel();
  await child.stderr.cancel();
  return ended?.code;
}

for (
  const [signal, code, flag] of [
    ["SIGINT", 130, "--json"],
    ["SIGTERM", 143, "--json"],
    ["SIGHUP", 129, "--json"],
    ["SIGTERM", 143, "--verbose"],
  ] as const
) {
  const { ignore } = signal === "SIGHUP" ? HANG_UP : { ignore: false };
  Deno.test(
    `the command line ends with ${code} on ${signal} when nobody reads what ${flag} prints`,
    { ignore },
    async () => {
      await withFiles(manyLayers(), async (root) => {
        const child = spawnCli(
          ["--model", "model", "--output", "out", "--report", "r.json", flag],
          { cwd: root },
        );
        // Until it has said all that fits in a pipe.
        await wait(AT_WORK_MS);
        child.kill(signal);
        assert.equal(await endOf(child), code);
        assert.deepEqual(namesIn(root), ["model"]);
      });
    },
  );
}

Deno.test("the command line ends with 129 on SIGHUP", HANG_UP, async () => {
  await withFiles(smallModel(), async (root) => {
    const child = spawnCli(["--model", "model", "--output", "out", "--report", "r.json"], {
      permissions: ["--preload", PAUSE, "--allow-read", "--allow-write"],
      cwd: root,
    });
    const outcome = outcomeOf(child);
    await wait(1500);
    child.kill("SIGHUP");
    const { code, stderr } = await outcome;
    assert.equal(code, 129, stderr);
    assert.equal(stderr.split("\n").at(-2), "error: Interrupted: nothing was written");
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

for (const read of ["--allow-read", "--allow-read=."]) {
  Deno.test(
    `the command line survives SIGHUP when it was told to, as by nohup, and is run with ${read}`,
    HANG_UP,
    async () => {
      await withFiles(smallModel(), async (root) => {
        const argv = ["--model", "model", "--output", "out", "--report", "r.json"];
        const [program, ...args] = cliCommand(argv, ["--preload", PAUSE, read, "--allow-write"]);
        const child = new Deno.Command("sh", {
          args: ["-c", 'trap "" HUP; exec "$@"', "sh", program, ...args],
          cwd: root,
          stdin: "null",
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        const outcome = outcomeOf(child);
        await wait(1500);
        child.kill("SIGHUP");
        const { code, stderr } = await outcome;
        assert.equal(code, 0, stderr);
        assert.deepEqual(namesIn(root), ["model", "out", "r.json", "r.log"]);
      });
    },
  );
}
