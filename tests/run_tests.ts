/**
 * Runs the tests: installs what some of them need where that can be done, and says at the end how many
 * were skipped for want of it. Arguments go to `deno test`. `deno task test`.
 *
 * @module
 */

import { findChromium } from "./find_chromium.ts";
import { type Machine, prepareMachine } from "./prepare_machine.ts";
import { describeSkips } from "./describe_skips.ts";

/**
 * Files of tests run side by side, one a core. Tests may read and write, start processes, and reach this machine alone; those that need Python's
 * packages have a task of their own.
 */
const TEST = [
  "test",
  "--parallel",
  "--frozen",
  "--lock=tests/deno.lock",
  "--no-prompt",
  "--doc",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-run",
  "--allow-sys=homedir,osRelease",
  "--allow-net=127.0.0.1",
  "--ignore=tests/runtimes",
];

/** Asked in a process of its own, since a process that found no driver will not find a new one. */
const ASK_ADAPTER = "Deno.exit(await navigator.gpu?.requestAdapter() ? 0 : 1)";

/** Runs a program to its end and gives its exit code; 127 where there is none. */
async function runProgram([program, ...args]: readonly string[], quiet = false): Promise<number> {
  const output = quiet ? "null" : "inherit";
  try {
    return (await new Deno.Command(program === "deno" ? Deno.execPath() : program!, {
      args,
      stdin: quiet ? "null" : "inherit",
      stdout: output,
      stderr: output,
    }).spawn().status).code;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 127;
    throw error;
  }
}

async function hasAdapter(): Promise<boolean> {
  return await runProgram(["deno", "eval", "--no-lock", ASK_ADAPTER], true) === 0;
}

function say(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
}

function readRelease(): string {
  try {
    return Deno.readTextFileSync("/etc/os-release");
  } catch {
    return "";
  }
}

const MACHINE: Machine = {
  release: readRelease(),
  uid: Deno.uid(),
  hasChromium: () => findChromium() !== undefined,
  hasAdapter,
  hasGit: async () => await runProgram(["git", "--version"], true) === 0,
  run: async (command) =>
    await runProgram(command, command[0] === "sudo" && command[2] === "true") === 0,
  say,
};

// Mesa says on every start that it is missing; a directory that exists will do.
if (!Deno.env.get("XDG_RUNTIME_DIR")) Deno.env.set("XDG_RUNTIME_DIR", "/tmp");
// Where Deno asks EGL as well, one process of tests in a hundred aborts at its end: EGL's library frees at exit what
// the thread of the last file frees too. Vulkan has every driver of Linux but the oldest.
const BACKEND = "DENO_WEBGPU_BACKEND";
const asksVulkan = Deno.build.os === "linux" && Deno.env.get(BACKEND) === undefined;
if (asksVulkan) Deno.env.set(BACKEND, "vulkan");
const missing = await prepareMachine(MACHINE);
if (asksVulkan && !await hasAdapter()) Deno.env.delete(BACKEND);
const results = Deno.makeTempFileSync({ prefix: "isotherm-tests-", suffix: ".xml" });
try {
  const code = await runProgram(["deno", ...TEST, `--junit-path=${results}`, ...Deno.args]);
  for (const line of describeSkips(Deno.readTextFileSync(results), missing)) say(line);
  Deno.exitCode = code;
} finally {
  Deno.removeSync(results);
}
