/** Mesa's drivers are given a directory for a display, so that they do not ask for one on standard error. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { withFiles } from "./make_model.ts";

const NAME = "XDG_RUNTIME_DIR";

/** Asks for an adapter, and prints what a driver would find meanwhile, and what is there afterwards. */
const SCRIPT = `
  const { probeWebGpu } = await import(Deno.args[0]);
  const see = () => {
    try {
      console.log(Deno.env.get("${NAME}") ?? "none");
    } catch {
      console.log("no permission");
    }
  };
  navigator.gpu.requestAdapter = () => {
    see();
    return Promise.resolve(null);
  };
  console.log(await probeWebGpu());
  see();
`;

for (
  const [what, flags, env, seen] of [
    ["there is none", ["--allow-env"], {}, ["/", "null", "none"]],
    ["the program may set that one", [`--allow-env=${NAME}`], {}, ["/", "null", "none"]],
    ["there is one", ["--allow-env"], { [NAME]: "/run/user/1" }, [
      "/run/user/1",
      "null",
      "/run/user/1",
    ]],
    ["the program may not set it", [], {}, ["no permission", "null", "no permission"]],
  ] as const
) {
  Deno.test(`probeWebGpu() leaves the environment as it was when ${what}`, async () => {
    await withFiles({ "probe.ts": SCRIPT }, async (root) => {
      const module = new URL("../lib/jobs/webgpu.ts", import.meta.url).href;
      const folder = fileURLToPath(new URL("..", import.meta.url));
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-prompt", `--allow-read=${folder}`, ...flags, "probe.ts", module],
        cwd: root,
        clearEnv: true,
        env: { ...home(), ...env },
      }).output();
      const text = new TextDecoder();
      const lines = text.decode(stdout).trimEnd().split("\n");
      assert.deepEqual(lines, seen, text.decode(stderr));
    });
  });
}

/** Where Deno keeps what it has loaded. */
function home(): Record<string, string> {
  return Object.fromEntries(
    ["HOME", "DENO_DIR", "PATH"].flatMap((name) => {
      const value = Deno.env.get(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
