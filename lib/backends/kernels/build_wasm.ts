/**
 * Compiles the AssemblyScript kernels to `quantize_tile.wasm`: `deno task wasm`. The compiler is needed
 * only here and by the test that the committed file is fresh.
 */

import asc from "npm:assemblyscript@0.28.20/asc";

const SOURCE = new URL("./assembly/", import.meta.url);
const TARGET = new URL("./quantize_tile.wasm", import.meta.url);

/** Files of the source, the entry first. */
const FILES = ["quantize_tile.ts", "count_tile.ts"];

/** The bytes of the module that the source compiles to. */
export async function buildWasm(): Promise<Uint8Array> {
  let module: Uint8Array | undefined;
  const options = ["-O3", "--converge", "--noAssert", "--runtime", "stub", "--use", "abort="];
  const { error, stderr } = await asc.main(
    [FILES[0]!, "--outFile", "quantize_tile.wasm", "--enable", "simd", ...options],
    {
      readFile: (name) =>
        FILES.includes(name) ? Deno.readTextFileSync(new URL(name, SOURCE)) : null,
      writeFile: (_name, data) => {
        if (data instanceof Uint8Array) module = data;
      },
      listFiles: () => [],
    },
  );
  if (error !== null || module === undefined) {
    throw new Error(`Cannot compile ${SOURCE.pathname}: ${stderr.toString()}`);
  }
  return module;
}

if (import.meta.main) await Deno.writeFile(TARGET, await buildWasm());
