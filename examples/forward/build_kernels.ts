/** Compiles what models spend their time in to `kernels.wasm`, part of `deno task wasm`. */

import { compileAssembly } from "../../lib/compute/kernels/compile_assembly.ts";

const SOURCE = new URL("./assembly/", import.meta.url);
const TARGET = new URL("./kernels.wasm", import.meta.url);

/** The bytes of the module that the source compiles to. */
export function buildKernels(): Promise<Uint8Array> {
  const files = ["kernels.ts", "multiply.ts", "activate.ts"];
  return compileAssembly(SOURCE, files, ["--importMemory"]);
}

if (import.meta.main) await Deno.writeFile(TARGET, await buildKernels());
