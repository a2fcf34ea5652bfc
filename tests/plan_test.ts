/** plan_time_groups.ts, plan_tiles.ts and plan_checkpoint.ts: plans are plain data, asserted as literals. */

import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { BadInputError } from "../lib/base/errors.ts";
import { packedTensors, planShard } from "../lib/format/compressed_tensors/plan_checkpoint.ts";
import { planTiles } from "../lib/compute/plan_tiles.ts";
import { planTimeGroups } from "../lib/plan/plan_time_groups.ts";
import { selectLayers } from "../lib/plan/select_layers.ts";

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

Deno.test("planShard() lays out the packed tensors of a layer and the copies", () => {
  const { layers } = selectLayers([shard], {
    bits: 2,
    timeGroups: 2,
    granularity: "slice",
    groupSize: undefined,
    ignore: [],
    defaultIgnore: true,
  });
  const [layer] = layers;
  assert.deepEqual(packedTensors(layer!), [
    { name: "a.weight_packed", dtype: "I32", shape: [6, 3], byteLength: 72 },
    { name: "a.weight_scale", dtype: "BF16", shape: [6, 1], byteLength: 12 },
    { name: "a.weight_zero_point", dtype: "I32", shape: [1, 1], byteLength: 4 },
    { name: "a.weight_shape", dtype: "I64", shape: [2], byteLength: 16 },
  ]);
  const plan = planShard(shard, new Map([["a.weight", layer!]]));
  const start = plan.header.bytes.length;
  assert.equal(start % 8, 0);
  assert.deepEqual([...plan.header.begins], [
    ["a.weight_shape", start],
    ["a.weight_packed", start + 16],
    ["a.weight_zero_point", start + 88],
    ["a.bias", start + 92],
    ["a.weight_scale", start + 104],
  ]);
  assert.equal(plan.tensorBytes, 116);
});

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
  const { layers } = selectLayers([shard], {
    bits: 4,
    timeGroups: 1,
    granularity: "slice",
    groupSize: undefined,
    ignore: [],
    defaultIgnore: true,
  });
  assert.throws(
    () => planShard(taken, new Map([["a.weight", layers[0]!]])),
    /tensor "a\.weight_scale": the name is already taken/,
  );
});
