/** A run killed before any of its disk-changing calls leaves the old or the new, and the next one clears up. */

import assert from "node:assert/strict";
import { checkKillPoints } from "./kill_points.ts";

Deno.test("a run that is killed before any change leaves no half output, and the next one ends it", async () => {
  const tally = await checkKillPoints(false);
  // Nothing until the output is in place; from then on the next run puts its report there.
  assert.ok(tally.get("output none, report none")! >= 20, `${[...tally]}`);
  assert.ok(tally.get("output new, report none")! >= 1, `${[...tally]}`);
  assert.ok(tally.get("output new, report new")! >= 1, `${[...tally]}`);
  assert.equal(tally.size, 3, `${[...tally]}`);
});

Deno.test("a run that replaces and is killed leaves the old or the new, and the next one ends it", async () => {
  const tally = await checkKillPoints(true);
  assert.ok(tally.get("output old, report old")! >= 20, `${[...tally]}`);
  // Between the two renames, and nowhere else.
  assert.equal(tally.get("output none, report old"), 1, `${[...tally]}`);
  assert.ok(tally.get("output new, report old")! >= 1, `${[...tally]}`);
  assert.ok(tally.get("output new, report new")! >= 1, `${[...tally]}`);
  assert.equal(tally.size, 4, `${[...tally]}`);
});
