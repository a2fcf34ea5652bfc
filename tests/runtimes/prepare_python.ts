/** Finds or makes a Python with the packages of requirements.txt: gigabytes, so it is made once and kept. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BadInputError } from "../../lib/base/errors.ts";
import { quote } from "../../lib/base/text.ts";

/** Where the environment is kept; git, and Deno's own tools, pass it by. */
export const CACHE = fileURLToPath(new URL("../../.runtimes", import.meta.url));

const REQUIREMENTS = fileURLToPath(new URL("requirements.txt", import.meta.url));

/** Written last, with the requirements: an environment without it, or with others, is not whole. */
const STAMP = join(CACHE, "requirements.txt");

/** Prints which packages are missing, without importing any. */
const PROBE = `
import importlib.util as u
names = "accelerate comfy_kitchen compressed_tensors diffusers gguf safetensors sdnq tokenizers torch transformers"
print(*[name for name in names.split() if u.find_spec(name) is None])
`;

/**
 * The path of a Python that has the packages: the one that ISOTHERM_PYTHON names, or that of an
 * environment of its own, which is made where it is missing or its requirements have changed.
 *
 * @throws {BadInputError} There is no Python, or a package cannot be installed.
 */
export async function preparePython(): Promise<string> {
  const named = Deno.env.get("ISOTHERM_PYTHON");
  if (named) {
    const missing = await readOutput(named, ["-c", PROBE]);
    if (missing === undefined) {
      throw new BadInputError(`Cannot run ISOTHERM_PYTHON: ${quote(named)} starts no Python`);
    }
    if (missing === "") return named;
    throw new BadInputError(
      `Cannot use ISOTHERM_PYTHON: ${
        quote(named)
      } lacks ${missing}: install tests/runtimes/requirements.txt`,
    );
  }
  const python = join(CACHE, "venv", Deno.build.os === "windows" ? "Scripts" : "bin", "python");
  const wanted = Deno.readTextFileSync(REQUIREMENTS);
  if (readText(STAMP) !== wanted) {
    await makeEnvironment(python);
    Deno.writeTextFileSync(STAMP, wanted);
  }
  return python;
}

async function makeEnvironment(python: string): Promise<void> {
  const base = await findPython();
  // An installation that was cut off is not repaired but made anew.
  Deno.mkdirSync(CACHE, { recursive: true });
  const venv = join(CACHE, "venv");
  const steps = [
    [base, "-m", "venv", "--clear", venv],
    [python, "-m", "pip", "install", "--quiet", "--no-input", "-r", REQUIREMENTS],
  ];
  for (const [program, ...args] of steps) {
    const { success } = await new Deno.Command(program!, { args, stdin: "null" }).spawn().status;
    if (success) continue;
    throw new BadInputError(
      `Cannot prepare the runtimes: ${quote([program, ...args].join(" "))} failed: ` +
        "see above, or name a Python that has the packages in ISOTHERM_PYTHON",
    );
  }
}

/** A Python recent enough for the packages. */
async function findPython(): Promise<string> {
  for (const name of ["python3", "python"]) {
    const version = await readOutput(name, [
      "-c",
      "import sys; print(sys.version_info >= (3, 11))",
    ]);
    if (version === "True") return name;
  }
  throw new BadInputError(
    "Cannot prepare the runtimes: there is no Python 3.11 or later on the PATH: " +
      "install it, or name one in ISOTHERM_PYTHON",
  );
}

/** What a program prints, or `undefined` where it cannot be started or fails. */
async function readOutput(program: string, args: string[]): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command(program, { args, stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function readText(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
