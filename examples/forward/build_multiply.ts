/** Compiles the matrix product to `multiply.wasm`, part of `deno task wasm`. */

import { compileAssembly } from "../../lib/compute/kernels/compile_assembly.ts";

const SOURCE = new URL("./assembly/", import.meta.url);
const TARGET = new URL("./multiply.wasm", import.meta.url);

/** The bytes of the module that the source compiles to. */
export function buildMultiply(): Promise<Uint8Array> {
  return compileAssembly(SOURCE, ["multiply.ts"], ["--importMemory"]);
}

if (import.meta.main) await Deno.writeFile(TARGET, await buildMultiply());
