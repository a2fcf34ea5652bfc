/**
 * The command line: `main` takes arguments and the world, and gives back an exit code.
 *
 * @module
 */

import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import config from "./deno.json" with { type: "json" };
import type { Io } from "./lib/cli/commands/io.ts";
import { describeIoError } from "./lib/base/describe_io_error.ts";
import { BadInputError, BaselineError, InterruptedError } from "./lib/base/errors.ts";
export type { Io } from "./lib/cli/commands/io.ts";
import type { Invocation } from "./lib/cli/parse_args.ts";
import { writeAll } from "./lib/base/write_all.ts";

/** Exit codes; 1 is a bug, and Deno's own for an uncaught error. */
const EXIT = { done: 0, bug: 1, badInput: 2, regression: 3, baseline: 4 } as const;

/**
 * Runs the command line.
 *
 * @param argv Arguments, without the program.
 * @returns The exit code; for an interrupted run 130, and the caller knows which signal it was.
 */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  try {
    if (argv[0] === "--version") {
      io.stdout(`isotherm ${config.version}\n`);
      return EXIT.done;
    }
    const { parseArgs } = await import("./lib/cli/parse_args.ts");
    return await run(await parseArgs(argv), io);
  } catch (error) {
    if (error instanceof InterruptedError) {
      io.stderr(`error: ${error.message}\n`);
      return 130;
    }
    if (error instanceof BadInputError || error instanceof BaselineError) {
      io.stderr(`error: ${error.message}\n`);
      return error instanceof BaselineError ? EXIT.baseline : EXIT.badInput;
    }
    const trace = error instanceof Error && argv.includes("--verbose") ? error.stack : undefined;
    io.stderr(`error: This is a bug in Isotherm ${config.version}: ${trace ?? String(error)}\n`);
    return EXIT.bug;
  }
}

async function run(invocation: Invocation, io: Io): Promise<number> {
  if (invocation.help) {
    const { renderHelp } = await import("./lib/cli/render_help.ts");
    io.stdout(renderHelp(invocation.command));
    return EXIT.done;
  }
  switch (invocation.command) {
    case "quantize":
      await (await import("./lib/cli/commands/quantize.ts")).quantize(invocation, io);
      return EXIT.done;
    case "inspect":
      await (await import("./lib/cli/commands/inspect.ts")).inspect(invocation, io);
      return EXIT.done;
    case "verify":
      await (await import("./lib/cli/commands/verify.ts")).verify(invocation, io);
      return EXIT.done;
    case "compare":
      await (await import("./lib/cli/commands/compare.ts")).compare(invocation, io);
      return EXIT.done;
    case "gate": {
      const passed = await (await import("./lib/cli/commands/gate.ts")).gate(invocation, io);
      return passed ? EXIT.done : EXIT.regression;
    }
    case "baseline":
      await (await import("./lib/cli/commands/baseline.ts")).updateBaseline(invocation, io);
      return EXIT.done;
    case "backends":
      await (await import("./lib/cli/commands/backends.ts")).backends(invocation, io);
      return EXIT.done;
    case "history":
      await (await import("./lib/cli/commands/history.ts")).history(invocation, io);
      return EXIT.done;
  }
}

/** This program's path from the working directory, where that may be known, or its address. */
function findEntry(url: string): string {
  if (!url.startsWith("file:")) return url;
  const path = fileURLToPath(url);
  try {
    const short = relative(Deno.cwd(), path);
    return short.startsWith("..") ? path : short;
  } catch {
    return path;
  }
}

/** Milliseconds that a run is given to clean up after a signal: its disk or a worker may hang. */
const CLEAN_UP_MS = 1500;

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/** Listens to the signals that end a run; before, they end the process, and nothing has been written then. */
function listenToSignals(): { signal: AbortSignal; exitCode: () => number } {
  const controller = new AbortController();
  let exitCode: number = SIGNALS.SIGINT;
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => {
      if (controller.signal.aborted) return;
      exitCode = SIGNALS[name];
      setTimeout(() => Deno.exit(exitCode), CLEAN_UP_MS);
      controller.abort();
    });
  }
  return { signal: controller.signal, exitCode: () => exitCode };
}

if (import.meta.main) {
  let listening: ReturnType<typeof listenToSignals> | undefined;
  // Heard, so that a limit on file sizes is an error like any other and not the end of the process.
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGXFSZ", () => {});
  const code = await main(Deno.args, {
    stdout: (text) => {
      try {
        writeAll(Deno.stdout, text);
      } catch (error) {
        throw new BadInputError(`Cannot write to standard output: ${describeIoError(error)}`);
      }
    },
    stderr: (text) => {
      try {
        writeAll(Deno.stderr, text);
      } catch {
        // Nowhere left to say so.
      }
    },
    // A terminal that does not know its width says 0.
    columns: Deno.stderr.isTerminal() ? Deno.consoleSize().columns || 80 : undefined,
    entry: findEntry(import.meta.url),
    now: () => performance.now(),
    get signal() {
      listening ??= listenToSignals();
      return listening.signal;
    },
  });
  Deno.exit(code === SIGNALS.SIGINT && listening ? listening.exitCode() : code);
}
