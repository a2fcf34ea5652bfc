/** Compiles the AssemblyScript kernels to `quantize_tile.wasm`: `deno task wasm`. */

import { compileAssembly } from "./compile_assembly.ts";

const SOURCE = new URL("./assembly/", import.meta.url);
const TARGET = new URL("./quantize_tile.wasm", import.meta.url);

/** The bytes of the module that the source compiles to. */
export function buildWasm(): Promise<Uint8Array> {
  return compileAssembly(SOURCE, ["quantize_tile.ts", "count_tile.ts"]);
}

if (import.meta.main) await Deno.writeFile(TARGET, await buildWasm());
