/** How long phase optimize by slices takes, and how many workers have room meanwhile. */

import assert from "node:assert/strict";
import { COMPRESSED_TENSORS } from "../lib/format/compressed_tensors/format.ts";
import { selectLayers } from "../lib/plan/select_layers.ts";
import { type PartPlan, ratingCost } from "../lib/run/plan_run.ts";
import { DEFAULT_SETTINGS, type QuantizeSettings } from "../lib/settings/settings.ts";

const SLICES: QuantizeSettings = {
  ...DEFAULT_SETTINGS,
  phase: "optimize",
  granularity: "slice",
  timeGroups: 1000,
  groupSize: 16,
};

/** The cost of a model of layers of some shapes. */
function costOf(shapes: [rows: number, columns: number][], settings: QuantizeSettings = SLICES) {
  const tensors = shapes.map((shape, i) => ({
    name: `blocks.${i}.weight`,
    dtype: "BF16",
    shape,
    begin: 0,
    end: 0,
  }));
  const shards = [{ name: "model.safetensors", tensors }];
  const selection = selectLayers(shards, settings, COMPRESSED_TENSORS.storage);
  return ratingCost({ parts: [{ selection } as PartPlan] }, settings);
}

Deno.test("ratingCost() is that of all blocks in time, and of the largest layer's in memory", () => {
  const blocks = (columns: number) => 1000 * columns / 16;
  assert.deepEqual(costOf([[1000, 256], [2000, 512]]), {
    bytes: (blocks(256) + blocks(512)) * 2 ** 14,
    workers: 7,
  });
  // 400 MB less 190 and 34 for a million blocks, 28 for each worker.
  assert.equal(costOf([[8192, 4096]]).workers, 7);
  assert.equal(costOf([[8192, 28672], [1000, 256], [8192, 28672]]).workers, 5);
  assert.equal(costOf([[1000, 57344]]).workers, 3);
  assert.equal(costOf([[1000, 2 ** 20]]).workers, 1);
});

Deno.test("ratingCost() is nothing where no parameters are chosen by slices", () => {
  const none = { bytes: 0, workers: Infinity };
  assert.deepEqual(costOf([[1000, 256]], { ...SLICES, phase: "smooth" }), none);
  assert.deepEqual(costOf([[1000, 256]], { ...SLICES, granularity: "row" }), none);
});
