/** Compiles AssemblyScript to a SIMD WebAssembly module. The compiler is needed only to build and to test that a build is fresh. */

import asc from "npm:assemblyscript@0.28.20/asc";

/**
 * Compiles a module.
 *
 * @param directory Where the sources lie.
 * @param files Their names, the entry first.
 * @param more Options of the compiler beyond those that all modules share.
 */
export async function compileAssembly(
  directory: URL,
  files: readonly string[],
  more: readonly string[] = [],
): Promise<Uint8Array> {
  let module: Uint8Array | undefined;
  const options = ["-O3", "--converge", "--noAssert", "--runtime", "stub", "--use", "abort="];
  const { error, stderr } = await asc.main(
    [files[0]!, "--outFile", "module.wasm", "--enable", "simd", ...options, ...more],
    {
      readFile: (name) =>
        files.includes(name) ? Deno.readTextFileSync(new URL(name, directory)) : null,
      writeFile: (_name, data) => {
        if (data instanceof Uint8Array) module = data;
      },
      listFiles: () => [],
    },
  );
  if (error !== null || module === undefined) {
    throw new Error(`Cannot compile ${files[0]} in ${directory.href}: ${stderr.toString()}`);
  }
  return module;
}
