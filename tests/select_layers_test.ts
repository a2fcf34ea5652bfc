/** Which tensors are quantized, and each reason to skip one. */

import assert from "node:assert/strict";
import type { TensorInfo } from "../lib/safetensors/header.ts";
import { COMPRESSED_TENSORS } from "../lib/format/compressed_tensors/format.ts";
import { selectLayers } from "../lib/plan/select_layers.ts";
import { DEFAULT_SETTINGS, type QuantizeSettings } from "../lib/settings/settings.ts";
import { moduleName } from "../lib/plan/plan_layer.ts";
import { loadEngineFor } from "../lib/base/match_pattern.ts";
import { assertBadInput } from "./assert_bad_input.ts";

await loadEngineFor(["re:a"]);

Deno.test("moduleName() drops .weight when the name ends in it", () => {
  assert.equal(moduleName("a.weight"), "a");
  assert.equal(moduleName("a.weight.weight"), "a.weight");
  assert.equal(moduleName("a.bias"), "a.bias");
  assert.equal(moduleName("weight"), "weight");
});

const { storage: STORAGE } = COMPRESSED_TENSORS;

function tensor(name: string, shape = [8, 16], dtype = "F32"): TensorInfo {
  return { name, dtype, shape, begin: 0, end: 0 };
}

/** Names of the layers, reasons by name, and unused patterns, of a file with these tensors. */
function select(tensors: TensorInfo[], options: Partial<QuantizeSettings> = {}) {
  const settings = { ...DEFAULT_SETTINGS, ...options };
  const chosen = selectLayers([{ name: "m.safetensors", tensors }], settings, STORAGE);
  return {
    layers: chosen.layers.map(({ name }) => name),
    skipped: Object.fromEntries(chosen.skipped.map(({ name, reason }) => [name, reason])),
    unused: chosen.unusedPatterns,
    tooFewRows: chosen.tooFewRows,
  };
}

// The tensor, options, why it is left alone (undefined: it is quantized).
const REASONS: [TensorInfo, Partial<QuantizeSettings>, string | undefined][] = [
  [tensor("fc.weight"), {}, undefined],
  [tensor("fc.weight", [8, 16], "F16"), {}, undefined],
  [tensor("fc.weight", [8, 16], "BF16"), {}, undefined],
  [tensor("fc.weight", [4, 1]), {}, undefined],
  [tensor("fc.weight", []), {}, "not a matrix (rank 0)"],
  [tensor("fc.weight", [8]), {}, "not a matrix (rank 1)"],
  [tensor("fc.weight", [8, 3, 2]), {}, "convolution (rank 3)"],
  [tensor("fc.weight", [8, 3, 2, 2]), {}, "convolution (rank 4)"],
  [tensor("fc.weight", [8, 3, 1, 2, 2]), {}, "convolution (rank 5)"],
  [tensor("fc.weight", [8, 3, 1, 1, 2, 2]), {}, "not a matrix (rank 6)"],
  [tensor("fc.table", [8, 3, 2, 2]), {}, "not a matrix (rank 4)"],
  [tensor("fc.bias"), {}, "not named *.weight"],
  [tensor("weight"), {}, "not named *.weight"],
  [tensor("fc.weights"), {}, "not named *.weight"],
  [tensor("fc.weight", [8, 16], "F64"), {}, "F64 is not F32, F16 or BF16"],
  [tensor("fc.weight", [8, 16], "F8_E4M3"), {}, "F8_E4M3 is not F32, F16 or BF16"],
  [tensor("fc.weight", [8, 16], "I8"), {}, "I8 is not F32, F16 or BF16"],
  [tensor("fc.weight", [0, 16]), {}, "empty"],
  [tensor("fc.weight", [8, 0]), {}, "empty"],
  [tensor("fc.weight", [3, 16]), {}, "3 rows are fewer than the time groups"],
  [tensor("fc.weight", [3, 16]), { timeGroups: 3 }, undefined],
  [tensor("lm_head.weight"), {}, "sensitive layer: output head"],
  [tensor("lm_head.weight"), { defaultIgnore: false }, undefined],
  [tensor("norm1.linear.weight"), { modulation: "keep" }, "sensitive layer: modulation"],
  [tensor("norm1.linear.weight"), {}, undefined],
  [tensor("norm1.linear.weight"), { modulation: 4 }, undefined],
  [tensor("norm1.linear.weight"), { defaultIgnore: false }, undefined],
  [tensor("norm1.linear.weight"), { ignore: ["norm1.*"] }, 'ignored by "norm1.*"'],
  [tensor("mlp.gate.weight"), {}, "sensitive layer: router"],
  [tensor("mlp.gate.weight", [32, 16]), {}, undefined],
  [tensor("fc.weight"), { ignore: ["fc"] }, 'ignored by "fc"'],
  [tensor("fc.weight"), { ignore: ["fc.weight"] }, 'ignored by "fc.weight"'],
  [tensor("fc.weight"), { ignore: ["f"] }, undefined],
  [tensor("fc.weight"), { ignore: ["re:f"] }, 'ignored by "re:f"'],
  [tensor("fc.weight"), { ignore: ["*", "fc"] }, 'ignored by "*"'],
  [tensor("fc.weight"), { ignore: ["fc"], defaultIgnore: false }, 'ignored by "fc"'],
  [tensor("lm_head.weight"), { ignore: ["lm_head"] }, 'ignored by "lm_head"'],
  [tensor("__proto__.weight"), {}, undefined],
];

for (const [{ name, dtype, shape }, options, reason] of REASONS) {
  const given = `${name} is ${dtype} [${shape}] and options are ${JSON.stringify(options)}`;
  Deno.test(`selectLayers() ${reason === undefined ? "takes" : "skips"} a tensor when ${given}`, () => {
    const { layers, skipped } = select([tensor(name, shape, dtype)], options);
    assert.deepEqual(layers, reason === undefined ? [moduleName(name)] : []);
    assert.deepEqual(skipped, reason === undefined ? {} : { [name]: reason });
  });
}

Deno.test("selectLayers() lists each pattern as unused when it matches no tensor at all", () => {
  const tensors = [tensor("a.weight"), tensor("b.bias", [8])];
  const { unused } = select(tensors, { ignore: ["a", "re:a", "b.bias", "c", "re:x", "a.*"] });
  assert.deepEqual(unused, ["c", "re:x"]);
});

Deno.test("selectLayers() refuses the options when a pattern is malformed", () => {
  assertBadInput(
    () => select([], { ignore: ["a", "re:("] }),
    'the pattern "re:(": missing closing )',
  );
});

Deno.test("selectLayers() keeps the order of files and tensors when there are several", () => {
  const { layers, skipped } = selectLayers(
    [
      { name: "1.safetensors", tensors: [tensor("b.weight"), tensor("b.bias", [8])] },
      { name: "2.safetensors", tensors: [tensor("a.weight")] },
    ],
    DEFAULT_SETTINGS,
    STORAGE,
  );
  assert.deepEqual(layers.map(({ name, shard }) => [name, shard]), [
    ["b", "1.safetensors"],
    ["a", "2.safetensors"],
  ]);
  assert.deepEqual(skipped.map(({ name }) => name), ["b.bias"]);
});

Deno.test("selectLayers() lists the layers whose rows alone are too few, and no others", () => {
  const { layers, skipped, tooFewRows } = select([
    tensor("a.weight", [3, 16]),
    tensor("b.weight", [4, 16]),
    tensor("lm_head.weight", [3, 16]),
    tensor("c.weight", [2, 16]),
    tensor("d.weight", [1, 16]),
    tensor("e.weight", [0, 16]),
  ], { ignore: ["d"] });
  assert.deepEqual(layers, ["b"]);
  assert.deepEqual(tooFewRows, [{ name: "a", rows: 3 }, { name: "c", rows: 2 }]);
  assert.deepEqual(skipped, {
    "a.weight": "3 rows are fewer than the time groups",
    "lm_head.weight": "sensitive layer: output head",
    "c.weight": "2 rows are fewer than the time groups",
    "d.weight": 'ignored by "d"',
    "e.weight": "empty",
  });
});

Deno.test("selectLayers() leaves rows alone that are one block of more than 4194304 columns", () => {
  const [widest, wider] = [2 ** 22 - 1, 2 ** 22 + 1];
  const rows = select([tensor("a.weight", [4, wider]), tensor("b.weight", [4, widest])]);
  assert.deepEqual(rows.layers, ["b"]);
  assert.deepEqual(rows.skipped, { "a.weight": "rows of 4194305 columns are too wide" });
  assert.deepEqual(rows.tooFewRows, []);
  // Wide rows of several blocks are none too wide, nor are slices.
  assert.deepEqual(select([tensor("a.weight", [4, 2 ** 23])]).layers, ["a"]);
  const slices = select([tensor("a.weight", [4, wider])], { granularity: "slice" });
  assert.deepEqual(slices.layers, ["a"]);
});

// What is asked for, and the width, bands and block size of a modulation layer of 256 columns.
const MODULATIONS: [
  Partial<QuantizeSettings>,
  [bits: number, isRow: boolean, size: number | null],
][] = [
  [{}, [8, true, null]],
  [{ bits: 8 }, [8, true, null]],
  [{ groupSize: 32 }, [8, true, null]],
  [{ granularity: "slice" }, [8, true, null]],
  [{ modulation: 4 }, [4, true, 128]],
  [{ modulation: 4, groupSize: 32 }, [4, true, 32]],
  [{ modulation: 4, granularity: "slice" }, [4, false, null]],
  [{ defaultIgnore: false, groupSize: 64 }, [2, true, 64]],
];

for (const [settings, expected] of MODULATIONS) {
  Deno.test(`selectLayers() plans modulation layers of ${expected} when given ${JSON.stringify(settings)}`, () => {
    const tensors = [tensor("blocks.0.adaLN_modulation.1.weight", [12, 256]), tensor("fc.weight")];
    const all = { ...DEFAULT_SETTINGS, ...settings };
    const { layers } = selectLayers([{ name: "m.safetensors", tensors }], all, STORAGE);
    assert.equal(layers.length, 2);
    const { bits, grid } = layers[0]!;
    assert.deepEqual([bits, grid.bands === null, grid.groupSize], expected);
    assert.equal(grid.fallback, false);
    assert.equal(layers[1]!.bits, all.bits);
  });
}

/** What shares parameters, columns, block size asked for, the plan's three fields about blocks. */
type BlockRow = [
  granularity: QuantizeSettings["granularity"],
  columns: number,
  asked: QuantizeSettings["groupSize"],
  groupSize: number | null,
  blockColumns: number,
  fallback: boolean,
];

const BLOCKS: BlockRow[] = [
  ["slice", 16, undefined, null, 16, false],
  ["slice", 16, 8, 8, 8, false],
  ["slice", 16, 16, 16, 16, false],
  ["slice", 16, 32, null, 16, true],
  ["slice", 20, 8, null, 20, true],
  ["slice", 192, 128, null, 192, true],
  ["slice", 131072, undefined, null, 131072, false],
  ["row", 128, undefined, 128, 128, false],
  ["row", 256, undefined, 128, 128, false],
  // The largest multiple of 16 up to 128 that divides them.
  ["row", 192, undefined, 96, 96, true],
  ["row", 144, undefined, 48, 48, true],
  ["row", 1152, 512, 384, 384, true],
  // 16 * 257 columns, a prime.
  ["row", 4112, undefined, 16, 16, true],
  // Nothing divides them, so that a row is a block.
  ["row", 100, undefined, null, 100, true],
  ["row", 100, 16, null, 100, true],
  ["row", 1, undefined, null, 1, true],
  // Rows that are narrower than the block wanted, and divide it, are a block each.
  ["row", 48, 128, null, 48, true],
  ["row", 48, undefined, null, 48, true],
  ["row", 48, 48, 48, 48, false],
  ["row", 48, 32, 16, 16, true],
  ["row", 100, "row", null, 100, false],
  ["row", 128, "row", null, 128, false],
  ["row", 65536, "row", null, 65536, false],
  // Wider than a block may be.
  ["row", 131072, "row", 65536, 65536, true],
  ["row", 65552, "row", 3856, 3856, true],
  ["row", 65537, "row", null, 65537, true],
];

for (const [granularity, columns, asked, groupSize, blockColumns, fallback] of BLOCKS) {
  Deno.test(`selectLayers() plans blocks of ${blockColumns} when ${asked} of ${columns} columns are asked for by ${granularity}s`, () => {
    const source = tensor("fc.weight", [10, columns], "BF16");
    const settings = { ...DEFAULT_SETTINGS, granularity, groupSize: asked };
    const { layers } = selectLayers(
      [{ name: "m.safetensors", tensors: [source] }],
      settings,
      STORAGE,
    );
    assert.deepEqual(layers, [{
      name: "fc",
      tensor: source,
      shard: "m.safetensors",
      dtype: "BF16",
      scaleDtype: "BF16",
      symmetric: false,
      rows: 10,
      columns,
      bits: 2,
      grid: {
        bands: granularity === "slice" ? [0, 2, 5, 7, 10] : null,
        blockColumns,
        groupSize,
        fallback,
      },
      axis: { source: "positional", boundaries: [0, 2, 5, 7, 10] },
    }]);
  });
}
