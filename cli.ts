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
import { writeAll, writeAllLater } from "./lib/base/write_all.ts";

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

const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** What signals do, once they are listened to. */
interface Listening {
  signal: AbortSignal;
  /** That of the signal heard first. */
  exitCode: () => number;
}

/**
 * Listens to the signals that end a run; before, they end the process, and nothing has been written then.
 *
 * @param survivesHangUp Whether SIGHUP is none of them.
 */
function listenToSignals(survivesHangUp: boolean): Listening {
  const controller = new AbortController();
  let exitCode: number = SIGNALS.SIGINT;
  for (const name of ["SIGHUP", "SIGINT", "SIGTERM"] as const) {
    if (name === "SIGHUP" && survivesHangUp) continue;
    Deno.addSignalListener(name, () => {
      if (controller.signal.aborted) return;
      exitCode = SIGNALS[name];
      setTimeout(() => Deno.exit(exitCode), CLEAN_UP_MS);
      controller.abort();
    });
  }
  return { signal: controller.signal, exitCode: () => exitCode };
}

/**
 * Whether this process was started to survive the end of its terminal, as `nohup` does it; to be asked before
 * anything is listened to, since Deno forgets it then. Linux tells it in a file that Deno 2.9.6 lets a program
 * import though not open. Elsewhere, or where that may not be read, one without any terminal is taken for such.
 */
async function ignoresHangUp(): Promise<boolean> {
  // In a variable, so that it is no part of the program that Deno loads beforehand.
  const path = "file:///proc/self/status";
  try {
    const status: { default: string } = await import(path, { with: { type: "text" } });
    const ignored = /^SigIgn:\s*([\da-f]+)$/m.exec(status.default)![1]!;
    return (parseInt(ignored.slice(-1), 16) & 1) === 1;
  } catch {
    return ![Deno.stdin, Deno.stdout, Deno.stderr].some((stream) => stream.isTerminal());
  }
}

/** Standard output and error. While signals are listened to they do not keep this thread, and keep their order. */
function openStreams(isListening: () => boolean): Pick<Io, "stdout" | "stderr"> & {
  flushed: () => Promise<void>;
} {
  let last: Promise<void> = Promise.resolve();
  const fail = (error: unknown): never => {
    throw new BadInputError(`Cannot write to standard output: ${describeIoError(error)}`);
  };
  return {
    stdout(text) {
      if (isListening()) {
        return last.then(() => writeAllLater(Deno.stdout, text)).catch(fail);
      }
      try {
        return writeAll(Deno.stdout, text);
      } catch (error) {
        return fail(error);
      }
    },
    stderr(text) {
      // Where nothing can be written there is nowhere left to say so.
      if (isListening()) {
        last = last.then(() => writeAllLater(Deno.stderr, text)).catch(() => {});
        return;
      }
      try {
        writeAll(Deno.stderr, text);
      } catch { /* as above */ }
    },
    flushed: () => last,
  };
}

if (import.meta.main) {
  let listening: Listening | undefined;
  const survivesHangUp = await ignoresHangUp();
  if (survivesHangUp) Deno.addSignalListener("SIGHUP", () => {});
  // Heard, so that a limit on file sizes is an error like any other and not the end of the process.
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGXFSZ", () => {});
  const { stdout, stderr, flushed } = openStreams(() => listening !== undefined);
  const code = await main(Deno.args, {
    stdout,
    stderr,
    // A terminal that does not know its width says 0.
    columns: Deno.stderr.isTerminal() ? Deno.consoleSize().columns || 80 : undefined,
    entry: findEntry(import.meta.url),
    now: () => performance.now(),
    get signal() {
      listening ??= listenToSignals(survivesHangUp);
      return listening.signal;
    },
  });
  await flushed();
  Deno.exit(code === SIGNALS.SIGINT && listening ? listening.exitCode() : code);
}
