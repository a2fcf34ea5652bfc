/** Compiles the AssemblyScript kernels to modules of text: `deno task wasm`. */

import { compileAssembly } from "./compile_assembly.ts";

const SOURCE = new URL("./assembly/", import.meta.url);

/** A module that is made of some sources, the entry first. */
interface WasmModule {
  /** File that holds it, beside this one. */
  file: string;
  /** The constant it is exported as. */
  name: string;
  /** Files of `assembly/`. */
  sources: readonly string[];
}

/** The modules; most runs need only the first. */
export const MODULES: readonly WasmModule[] = [
  {
    file: "quantize_tile_wasm.ts",
    name: "QUANTIZE_TILE",
    sources: ["quantize_tile.ts", "load_weights.ts", "count_tile.ts", "search_tile.ts"],
  },
  {
    file: "compensate_rows_wasm.ts",
    name: "COMPENSATE_ROWS",
    sources: ["compensate_rows.ts", "load_weights.ts"],
  },
];

/**
 * A module that its source compiles to, as text: a module that is imported as WebAssembly has one
 * memory for a whole thread, and every backend is to have its own.
 */
export async function buildWasm({ name, sources }: WasmModule): Promise<string> {
  const bytes = await compileAssembly(SOURCE, sources);
  return [
    "/** Kernels of `assembly/` as a WebAssembly module in base64; made by `deno task wasm`, not to be edited. */",
    "// deno-fmt-ignore-file",
    `export const ${name} = "${bytes.toBase64()}";`,
    "",
  ].join("\n");
}

if (import.meta.main) {
  for (const module of MODULES) {
    await Deno.writeTextFile(new URL(module.file, import.meta.url), await buildWasm(module));
  }
}
