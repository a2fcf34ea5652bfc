/** plan_layer.ts, plan_time_groups.ts, plan_tiles.ts and plan_shards.ts: plans are plain data, asserted as literals. */

import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { BadInputError } from "../lib/base/errors.ts";
import { COMPRESSED_TENSORS } from "../lib/format/compressed_tensors/format.ts";
import { packedTensors } from "../lib/format/compressed_tensors/layer_tensors.ts";
import { planShard } from "../lib/format/plan_shards.ts";
import { planTiles } from "../lib/compute/plan_tiles.ts";
import { type LayerOptions, type LayerPlan, planLayer } from "../lib/plan/plan_layer.ts";
import { planTimeGroups } from "../lib/plan/plan_time_groups.ts";
import { selectLayers } from "../lib/plan/select_layers.ts";
import type { NewTensor } from "../lib/safetensors/encode_header.ts";
import type { TensorInfo } from "../lib/safetensors/header.ts";
import { DEFAULT_SETTINGS } from "../lib/settings/settings.ts";

Deno.test("planTimeGroups() splits into contiguous groups", () => {
  assert.deepEqual(planTimeGroups(8, 4), [0, 2, 4, 6, 8]);
  assert.deepEqual(planTimeGroups(7, 3), [0, 2, 4, 7]);
  assert.deepEqual(planTimeGroups(5, 1), [0, 5]);
  assert.deepEqual(planTimeGroups(3, 3), [0, 1, 2, 3]);
});

Deno.test("planTimeGroups() refuses more groups than steps, and less than one", () => {
  for (const [steps, groups] of [[3, 4], [3, 0], [3, 1.5], [0, 1]] as const) {
    assert.throws(() => planTimeGroups(steps, groups), BadInputError);
  }
});

/** A matrix in BF16. */
const matrixOf = (rows: number, columns: number): TensorInfo => ({
  name: "a.weight",
  dtype: "BF16",
  shape: [rows, columns],
  begin: 0,
  end: rows * columns * 2,
});

/** What compressed-tensors can store: anything. */
const { storage: STORAGE } = COMPRESSED_TENSORS;

/** A plan of a matrix that compressed-tensors stores. */
function planMatrix(tensor: TensorInfo, options: LayerOptions): LayerPlan {
  const plan = planLayer(tensor, "m.safetensors", options, STORAGE);
  assert.ok(plan !== undefined);
  return plan;
}

Deno.test("planLayer() gives each row blocks of its own by rows, and the rows of a time group common ones by slices", () => {
  const tensor = matrixOf(10, 192);
  const options = { bits: 4, timeGroups: 2, symmetric: false } as const;
  const common = {
    name: "a",
    tensor,
    shard: "m.safetensors",
    dtype: "BF16",
    scaleDtype: "BF16",
    symmetric: false,
    rows: 10,
    columns: 192,
    bits: 4,
    axis: { source: "positional", boundaries: [0, 5, 10] },
  };
  assert.deepEqual(planMatrix(tensor, { ...options, granularity: "row", groupSize: 128 }), {
    ...common,
    grid: { bands: null, blockColumns: 96, groupSize: 96, fallback: true },
  });
  assert.deepEqual(planMatrix(tensor, { ...options, granularity: "slice", groupSize: null }), {
    ...common,
    grid: { bands: [0, 5, 10], blockColumns: 192, groupSize: null, fallback: false },
  });
});

Deno.test("selectLayers() gives layers of as many rows one axis, and others their own", () => {
  const tensors = [16, 8, 16, 9].map((rows, i) => ({
    name: `${i}.weight`,
    dtype: "BF16",
    shape: [rows, 16],
    begin: 0,
    end: 0,
  }));
  const settings = { ...DEFAULT_SETTINGS, timeGroups: 2 };
  const { layers } = selectLayers([{ name: "m", tensors }], settings, STORAGE);
  const axes = layers.map(({ axis }) => axis);
  assert.deepEqual(axes.map(({ boundaries }) => boundaries), [
    [0, 8, 16],
    [0, 4, 8],
    [0, 8, 16],
    [0, 4, 9],
  ]);
  assert.equal(axes[0], axes[2]);
});

Deno.test("planLayer() refuses a matrix with fewer rows than time groups, and what is no matrix of floats", () => {
  for (const granularity of ["row", "slice"] as const) {
    const options: LayerOptions = {
      bits: 2,
      timeGroups: 4,
      granularity,
      groupSize: null,
      symmetric: false,
    };
    assert.throws(() => planMatrix(matrixOf(3, 16), options), BadInputError);
    assert.throws(() => planMatrix({ ...matrixOf(8, 16), dtype: "I8" }, options), {
      name: "BadInputError",
      message: 'Cannot quantize "a.weight"',
    });
  }
});

Deno.test("planLayer() gives rows the largest block up to the one wanted, for random columns", () => {
  const cases = fc.record({
    columns: fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.constantFrom(65536, 65552, 131072)),
    sixteenths: fc.integer({ min: 1, max: 64 }),
  });
  fc.assert(
    fc.property(cases, ({ columns, sixteenths }) => {
      const wanted = 16 * sixteenths;
      const { grid } = planMatrix(matrixOf(2, columns), {
        bits: 2,
        timeGroups: 1,
        granularity: "row",
        groupSize: wanted,
        symmetric: false,
      });
      const sizes = Array.from({ length: wanted / 16 }, (_, i) => 16 * (i + 1));
      const best = sizes.findLast((size) => columns % size === 0) ?? columns;
      assert.equal(grid.blockColumns, best);
      assert.equal(grid.fallback, best !== wanted);
      // A block that is a row is called one only where that was not the size wanted.
      assert.equal(grid.groupSize, best === columns && best !== wanted ? null : best);
    }),
    { seed: 8 },
  );
});

Deno.test("planTiles() keeps rows whole when one fits and cuts at blocks when none does", () => {
  assert.deepEqual(planTiles({ rows: 5, columns: 10, blockRows: 5, blockColumns: 10 }, 25), [
    { row: 0, rows: 2, column: 0, columns: 10 },
    { row: 2, rows: 2, column: 0, columns: 10 },
    { row: 4, rows: 1, column: 0, columns: 10 },
  ]);
  assert.deepEqual(planTiles({ rows: 1, columns: 96, blockRows: 1, blockColumns: 32 }, 70), [
    { row: 0, rows: 1, column: 0, columns: 64 },
    { row: 0, rows: 1, column: 64, columns: 32 },
  ]);
  assert.deepEqual(planTiles({ rows: 1, columns: 50, blockRows: 1, blockColumns: 50 }, 40), [
    { row: 0, rows: 1, column: 0, columns: 32 },
    { row: 0, rows: 1, column: 32, columns: 18 },
  ]);
});

Deno.test("planTiles() cuts at the ends of blocks that are larger than a tile, rows and columns alike", () => {
  assert.deepEqual(planTiles({ rows: 1, columns: 160, blockRows: 1, blockColumns: 80 }, 40), [
    { row: 0, rows: 1, column: 0, columns: 32 },
    { row: 0, rows: 1, column: 32, columns: 32 },
    { row: 0, rows: 1, column: 64, columns: 16 },
    { row: 0, rows: 1, column: 80, columns: 32 },
    { row: 0, rows: 1, column: 112, columns: 32 },
    { row: 0, rows: 1, column: 144, columns: 16 },
  ]);
  assert.deepEqual(planTiles({ rows: 7, columns: 16, blockRows: 3, blockColumns: 16 }, 32), [
    { row: 0, rows: 2, column: 0, columns: 16 },
    { row: 2, rows: 1, column: 0, columns: 16 },
    { row: 3, rows: 2, column: 0, columns: 16 },
    { row: 5, rows: 1, column: 0, columns: 16 },
    { row: 6, rows: 1, column: 0, columns: 16 },
  ]);
});

Deno.test("planTiles() covers every element once, never passes the limit and mixes no blocks with parts", () => {
  const cases = fc.record({
    rows: fc.integer({ min: 1, max: 9 }),
    blockRows: fc.integer({ min: 1, max: 9 }),
    blocks: fc.integer({ min: 1, max: 7 }),
    blockColumns: fc.constantFrom(16, 32, 64, 320),
    limit: fc.integer({ min: 16, max: 700 }),
  });
  fc.assert(
    fc.property(cases, ({ rows, blockRows, blocks, blockColumns, limit }) => {
      const columns = blocks * blockColumns;
      let covered = 0;
      for (const tile of planTiles({ rows, columns, blockRows, blockColumns }, limit)) {
        assert.ok(tile.rows * tile.columns <= limit);
        assert.equal(tile.column % 16, 0);
        assert.equal(tile.row * columns + tile.column, covered);
        covered += tile.rows * tile.columns;
        const runs = [[tile.row, tile.rows, blockRows], [tile.column, tile.columns, blockColumns]];
        for (const [first = 0, count = 0, block = 1] of runs) {
          const isWhole = first % block === 0;
          const isPart = Math.floor(first / block) === Math.floor((first + count - 1) / block);
          assert.ok(isWhole || isPart, `${first}, ${count} of ${block}`);
        }
      }
      assert.equal(covered, rows * columns);
    }),
    { seed: 3 },
  );
});

const shard = {
  name: "model.safetensors",
  metadata: undefined,
  tensors: [
    { name: "a.weight", dtype: "BF16", shape: [6, 40], begin: 100, end: 580 },
    { name: "a.bias", dtype: "BF16", shape: [6], begin: 580, end: 592 },
  ],
};

/** All tensors that stand for a layer, that of its codes first. */
function tensorsOf(layer: LayerPlan): NewTensor[] {
  const { codes, others } = packedTensors(layer);
  return [codes, ...others];
}

Deno.test("planShard() lays out the packed tensors of a layer and the copies", () => {
  const settings = { ...DEFAULT_SETTINGS, timeGroups: 2, granularity: "slice" } as const;
  const { layers: [layer] } = selectLayers([shard], settings, STORAGE);
  assert.deepEqual(tensorsOf(layer!), [
    { name: "a.weight_packed", dtype: "I32", shape: [6, 3], byteLength: 72 },
    { name: "a.weight_scale", dtype: "BF16", shape: [6, 1], byteLength: 12 },
    { name: "a.weight_shape", dtype: "I64", shape: [2], byteLength: 16 },
    { name: "a.weight_zero_point", dtype: "I32", shape: [1, 1], byteLength: 4 },
  ]);
  const plan = planShard(shard.name, [shard], new Map([["a.weight", layer!]]), packedTensors);
  const start = plan.head.length;
  assert.equal(start % 8, 0);
  // Codes, scale, shape, zero point.
  assert.deepEqual(plan.layers.map(({ begins }) => begins), [
    [start + 16, start + 104, start, start + 88],
  ]);
  assert.deepEqual(plan.copies.map(({ tensor, begin }) => [tensor.name, begin]), [
    ["a.bias", start + 92],
  ]);
  assert.equal(plan.byteLength, start + 116);
  assert.equal(plan.tensorNames, undefined);
});

// Columns, block size asked for, blocks side by side in a row; words of its packed zero points.
const ROWS: [number, number | "row" | undefined, number, number][] = [
  [96, 32, 3, 1],
  [96, undefined, 1, 1],
  [256, undefined, 2, 1],
  [192, undefined, 2, 1],
  [100, undefined, 1, 1],
  [256, "row", 1, 1],
];

for (const [columns, groupSize, blocks, words] of ROWS) {
  Deno.test(`packedTensors() has ${blocks} scales a row when ${groupSize} of ${columns} columns are asked for by rows`, () => {
    const tensor = { name: "a.weight", dtype: "F16", shape: [6, columns], begin: 0, end: 0 };
    const { layers: [layer] } = selectLayers(
      [{ name: "model.safetensors", tensors: [tensor] }],
      { ...DEFAULT_SETTINGS, timeGroups: 2, groupSize },
      STORAGE,
    );
    const packed = Math.ceil(columns / 16);
    assert.deepEqual(tensorsOf(layer!), [
      { name: "a.weight_packed", dtype: "I32", shape: [6, packed], byteLength: 24 * packed },
      { name: "a.weight_scale", dtype: "F16", shape: [6, blocks], byteLength: 12 * blocks },
      { name: "a.weight_shape", dtype: "I64", shape: [2], byteLength: 16 },
      {
        name: "a.weight_zero_point",
        dtype: "I32",
        shape: [words, blocks],
        byteLength: 4 * words * blocks,
      },
    ]);
  });
}

Deno.test("planShard() refuses a model whose own tensor has the name of a packed one", () => {
  const taken = {
    ...shard,
    tensors: [...shard.tensors, {
      name: "a.weight_scale",
      dtype: "BF16",
      shape: [1],
      begin: 592,
      end: 594,
    }],
  };
  const settings = { ...DEFAULT_SETTINGS, timeGroups: 1, granularity: "slice" } as const;
  const { layers: [layer] } = selectLayers([shard], settings, STORAGE);
  const byTensor = new Map([["a.weight", layer!]]);
  assert.throws(
    () => planShard(taken.name, [taken], byTensor, packedTensors),
    {
      name: "BadInputError",
      message: 'Cannot write tensor "a.weight_scale": "a.weight" of "model.safetensors" and ' +
        '"a.weight_scale" of "model.safetensors" would both take the name: leave the layer out with ' +
        "--ignore, or rename the other tensor",
    },
  );
});
