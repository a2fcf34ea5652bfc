/** `deno task test:runtimes` says in one line what it lacks; its tests are not among these. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

Deno.test("test:runtimes names in one line the Python that it cannot use", async () => {
  for (
    const [python, message] of [
      ["/nowhere/python", 'Cannot run ISOTHERM_PYTHON: "/nowhere/python" starts no Python'],
      [Deno.execPath(), `Cannot run ISOTHERM_PYTHON: "${Deno.execPath()}" starts no Python`],
    ] as const
  ) {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--allow-all", "tests/runtimes/run_tests.ts"],
      cwd: ROOT,
      env: { ISOTHERM_PYTHON: python },
    }).output();
    const text = new TextDecoder();
    assert.deepEqual(
      { code, stdout: text.decode(stdout), stderr: text.decode(stderr) },
      { code: 2, stdout: "", stderr: `error: ${message}\n` },
    );
  }
});

Deno.test("every package of the runtimes is pinned", () => {
  const lines = Deno.readTextFileSync(`${ROOT}tests/runtimes/requirements.txt`).trim().split("\n");
  const packages = lines.filter((line) => !line.startsWith("#"));
  assert.ok(packages.length >= 8);
  for (const line of packages) assert.match(line, /^[a-z-]+==\d+(\.\d+)+$/);
});
