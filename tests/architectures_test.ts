/** Which layers of real models are quantized: names and shapes as data, what is expected beside them. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import type { TensorInfo } from "../lib/safetensors/header.ts";
import { COMPRESSED_TENSORS } from "../lib/format/compressed_tensors/format.ts";
import { selectLayers } from "../lib/plan/select_layers.ts";
import { DEFAULT_SETTINGS, type QuantizeSettings } from "../lib/settings/settings.ts";

const ROOT = fileURLToPath(new URL("architectures", import.meta.url));

/** A model as `tests/architectures/list_tensors.py` lists it, and by hand what becomes of it. */
interface Architecture {
  dtype: string;
  /** Shares of the model's elements, to three digits; "left alone" is what no other word says. */
  shares: { modulation: number; convolution: number; "left alone": number };
  /** Names of matrices and convolutions by what becomes of them; "layer" is quantized. */
  expected: Record<string, string[]>;
  /** Shapes by name; `{0..3}` in a name stands for each of these numbers. */
  tensors: Record<string, number[]>;
}

const SETTINGS: QuantizeSettings = {
  ...DEFAULT_SETTINGS,
  bits: 4,
  timeGroups: 1,
  modulation: "keep",
};

/** The names that one with ranges stands for. */
function expandName(name: string): string[] {
  const range = /\{(\d+)\.\.(\d+)\}/.exec(name);
  if (range === null) return [name];
  const [text, first, last] = range;
  const numbers = Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => i);
  return numbers.flatMap((i) => expandName(name.replace(text, String(Number(first) + i))));
}

/** What becomes of each tensor, by its name: a reason to skip it, or "layer". */
function selectTensors(tensors: readonly TensorInfo[]): Map<string, string> {
  const { layers, skipped } = selectLayers(
    [{ name: "m.safetensors", tensors }],
    SETTINGS,
    COMPRESSED_TENSORS.storage,
  );
  return new Map([
    ...layers.map(({ tensor }) => [tensor.name, "layer"] as const),
    ...skipped.map(({ name, reason }) => [name, reason] as const),
  ]);
}

/** Whether a reason is what the shape and the name's ending say, whatever the layer is for. */
function isPlain(reason: string): boolean {
  return reason.startsWith("not a matrix") || reason === "not named *.weight";
}

const names = [...Deno.readDirSync(ROOT)].map(({ name }) => name)
  .filter((name) => name.endsWith(".json")).sort();

Deno.test("the architectures are all there", () => assert.equal(names.length, 31));

for (const name of names) {
  const { dtype, shares, expected, tensors }: Architecture = JSON.parse(
    Deno.readTextFileSync(join(ROOT, name)),
  );

  Deno.test(`selectLayers() tells the layers of ${name.replace(".json", "")} apart`, () => {
    const expanded = Object.entries(tensors).flatMap(([name, shape]) =>
      expandName(name).map((name) => ({ name, dtype, shape, begin: 0, end: 0 }))
    );
    const outcomes = selectTensors(expanded);
    assert.equal(outcomes.size, expanded.length);

    const found: Record<string, string[]> = {};
    const elements: Record<string, number> = {};
    let total = 0;
    for (const [name, shape] of Object.entries(tensors)) {
      const copies = expandName(name);
      const reasons = new Set(copies.map((copy) => outcomes.get(copy)!));
      assert.equal(reasons.size, 1, `${name}: ${[...reasons].join(", ")}`);
      const [reason = ""] = reasons;
      const kind = reason.replace("sensitive layer: ", "").replace(/ \(rank [345]\)$/, "");
      if (!isPlain(reason)) (found[kind] ??= []).push(name);
      const count = copies.length * shape.reduce((product, size) => product * size, 1);
      elements[kind] = (elements[kind] ?? 0) + count;
      total += count;
    }
    assert.deepEqual(found, expected);

    const { layer = 0, modulation = 0, convolution = 0 } = elements;
    const rest = total - layer - modulation - convolution;
    const share = (count: number) => Number((count / total).toPrecision(3));
    assert.deepEqual({
      modulation: share(modulation),
      convolution: share(convolution),
      "left alone": share(rest),
    }, shares);
  });
}
