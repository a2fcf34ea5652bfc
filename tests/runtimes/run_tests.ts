/**
 * Runs the tests of this folder: what Isotherm writes, loaded and run by the Python packages it is
 * written for. They need gigabytes of packages, so `deno task test` leaves them out. Arguments go to
 * `deno test`. `deno task test:runtimes`.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { BadInputError } from "../../lib/base/errors.ts";
import { preparePython } from "./prepare_python.ts";

const TEST = [
  "test",
  "--frozen",
  "--lock=tests/deno.lock",
  "--no-prompt",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-run",
  "--allow-sys=homedir,osRelease",
];

try {
  const python = await preparePython();
  Deno.exitCode = (await new Deno.Command(Deno.execPath(), {
    args: [...TEST, ...Deno.args, fileURLToPath(new URL(".", import.meta.url))],
    env: { ISOTHERM_PYTHON: python },
  }).spawn().status).code;
} catch (error) {
  if (!(error instanceof BadInputError)) throw error;
  Deno.stderr.writeSync(new TextEncoder().encode(`error: ${error.message}\n`));
  Deno.exitCode = 2;
}
