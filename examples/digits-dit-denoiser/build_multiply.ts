/**
 * Compiles the matrix product to `multiply.wasm`, part of `deno task wasm`. The compiler is needed only
 * here and by the test that the committed file is fresh.
 */

import asc from "npm:assemblyscript@0.28.20/asc";

const SOURCE = new URL("./assembly/multiply.ts", import.meta.url);
const TARGET = new URL("./multiply.wasm", import.meta.url);

/** The bytes of the module that the source compiles to. */
export async function buildMultiply(): Promise<Uint8Array> {
  const text = await Deno.readTextFile(SOURCE);
  let module: Uint8Array | undefined;
  const options = ["-O3", "--converge", "--noAssert", "--runtime", "stub", "--use", "abort="];
  const { error, stderr } = await asc.main(
    ["multiply.ts", "--outFile", "multiply.wasm", "--enable", "simd", "--importMemory", ...options],
    {
      readFile: (name) => name === "multiply.ts" ? text : null,
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

if (import.meta.main) await Deno.writeFile(TARGET, await buildMultiply());
