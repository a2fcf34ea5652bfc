/**
 * Compiles the AssemblyScript kernels to `quantize_tile.wasm`: `deno task wasm`. The compiler is needed
 * only here and by the test that the committed file is fresh.
 */

import asc from "npm:assemblyscript@0.28.20/asc";

const SOURCE = new URL("./assembly/quantize_tile.ts", import.meta.url);
const TARGET = new URL("./quantize_tile.wasm", import.meta.url);

/** The bytes of the module that the source compiles to. */
export async function buildWasm(): Promise<Uint8Array> {
  const text = await Deno.readTextFile(SOURCE);
  let module: Uint8Array | undefined;
  const options = ["-O3", "--converge", "--noAssert", "--runtime", "stub", "--use", "abort="];
  const { error, stderr } = await asc.main(
    ["quantize_tile.ts", "--outFile", "quantize_tile.wasm", "--enable", "simd", ...options],
    {
      readFile: (name) => name === "quantize_tile.ts" ? text : null,
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
