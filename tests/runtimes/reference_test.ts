/**
 * Every file of the corpus also through the Python package `safetensors`: the same verdict, the same tensors, or
 * a reason. `ISOTHERM_PYTHON=PYTHON deno test -A tests/runtimes/reference_test.ts` needs no other package.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { BadInputError } from "../../lib/base/errors.ts";
import type { Header } from "../../lib/safetensors/header.ts";
import { openSource, readHeader } from "../../lib/safetensors/read.ts";
import { createRandom, mutate, pick } from "../fuzz/mutate.ts";
import { HOSTILE_HEADERS } from "../hostile_headers.ts";
import { withFiles } from "../make_model.ts";
import { ODD_MODELS } from "../odd_models.ts";
import { runPython } from "./run_check.ts";

/** What the package reads and Isotherm refuses, and why; there is nothing that only Isotherm reads. */
const REFUSED_HERE = new Map([
  [
    "nesting of 5",
    "memory: no header needs more than 3, and a deep one can be of any size in memory",
  ],
  ["a metadata key twice", "the package takes the last one, others the first"],
  ["an entry as a list", "what serde makes of a struct is not in the format"],
  ["a name twice", "the format forbids it; the package takes the last one, others the first"],
  ["a name twice, once escaped", "as above"],
  ["a dtype as an object", "what serde makes of an enum is not in the format"],
  ["the dimension 2^64-1 beside 0", "no number of JavaScript is as large"],
]);

/** What the package found in a file. */
type Found =
  | { error: string }
  | { tensors: [name: string, dtype: string, shape: number[]][]; metadata: unknown };

type Named = readonly [string, ...unknown[]];
const byName = ([a]: Named, [b]: Named) => a < b ? -1 : 1;

/** The header of a file, or why it is refused. */
function readHere(path: string): Header | string {
  const source = openSource(path, "file");
  try {
    return readHeader(source, "file");
  } catch (error) {
    assert.ok(error instanceof BadInputError, String(error));
    return error.message;
  } finally {
    source.close();
  }
}

async function readThere(root: string, paths: readonly string[]): Promise<Found[]> {
  const [list, out] = [join(root, "list.json"), join(root, "found.json")];
  Deno.writeTextFileSync(list, JSON.stringify(paths));
  await runPython("check_safetensors.py", list, out);
  const found = JSON.parse(Deno.readTextFileSync(out)) as Found[];
  assert.equal(found.length, paths.length);
  return found;
}

Deno.test("readHeader() and the Python package agree on every file of the corpus, but for reasons", async () => {
  const cases = [...HOSTILE_HEADERS.map(([what, file]) => [what, file] as const), ...ODD_MODELS];
  const files = Object.fromEntries(cases.map(([, file], i) => [`${i}.safetensors`, file]));
  await withFiles(files, async (root) => {
    const paths = cases.map((_, i) => join(root, `${i}.safetensors`));
    const found = await readThere(root, paths);
    const differing = new Set<string>();
    for (const [i, [what]] of cases.entries()) {
      const [here, there] = [readHere(paths[i]!), found[i]!];
      if (typeof here === "string" || "error" in there) {
        assert.ok(typeof here === "string", `${what}: only Isotherm reads it`);
        if (!("error" in there)) differing.add(what);
        continue;
      }
      const tensors = here.tensors.map(({ name, dtype, shape }) => [name, dtype, shape] as const);
      assert.deepEqual([...tensors].sort(byName), there.tensors.toSorted(byName), what);
      const metadata = here.metadata && Object.fromEntries(here.metadata);
      assert.deepEqual(metadata ?? {}, there.metadata ?? {}, what);
    }
    assert.deepEqual([...differing].sort(), [...REFUSED_HERE.keys()].sort());
  });
});

Deno.test("readHeader() and the Python package agree on damaged files, but for nesting and equal keys", async () => {
  const random = createRandom(1);
  const seeds = ODD_MODELS.map(([, file]) => file).filter(({ length }) => length < 10_000);
  const damaged = Array.from(
    { length: 3000 },
    () => mutate(random, pick(random, seeds), "safetensors"),
  );
  const files = Object.fromEntries(damaged.map((file, i) => [`${i}.safetensors`, file]));
  await withFiles(files, async (root) => {
    const paths = damaged.map((_, i) => join(root, `${i}.safetensors`));
    let read = 0;
    for (const [i, there] of (await readThere(root, paths)).entries()) {
      const here = readHere(paths[i]!);
      if (typeof here !== "string") read++;
      if ((typeof here === "string") === ("error" in there)) continue;
      assert.match(
        String(here),
        /Nesting deeper than 4|Duplicate key|is above 2\^53-1/,
        damaged[i] && new TextDecoder().decode(damaged[i]),
      );
    }
    assert.ok(read > 200, `${read} of ${damaged.length}`);
  });
});
