/** Compiles the AssemblyScript kernels to `quantize_tile_wasm.ts`: `deno task wasm`. */

import { compileAssembly } from "./compile_assembly.ts";

const SOURCE = new URL("./assembly/", import.meta.url);
const TARGET = new URL("./quantize_tile_wasm.ts", import.meta.url);

/**
 * The module that the source compiles to, as text: a module that is imported as WebAssembly has one
 * memory for a whole thread, and every backend is to have its own.
 */
export async function buildWasm(): Promise<string> {
  const bytes = await compileAssembly(SOURCE, [
    "quantize_tile.ts",
    "load_weights.ts",
    "count_tile.ts",
    "search_tile.ts",
  ]);
  return [
    "/** The kernels of `assembly/` as a WebAssembly module in base64; made by `deno task wasm`, not to be edited. */",
    "// deno-fmt-ignore-file",
    `export const QUANTIZE_TILE = "${bytes.toBase64()}";`,
    "",
  ].join("\n");
}

if (import.meta.main) await Deno.writeTextFile(TARGET, await buildWasm());
