/** Splits the time axis into contiguous groups. */

import { BadInputError } from "../base/errors.ts";

/**
 * First step of each time group, and the number of steps at the end: group g of G over
 * S steps is [floor(g*S/G), floor((g+1)*S/G)).
 *
 * @param steps Number of steps S, at least `groups`.
 * @param groups Number of groups G, at least 1.
 * @returns G+1 ascending step numbers; no group is empty.
 * @throws {BadInputError} There are fewer steps than groups.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(planTimeGroups(10, 4), [0, 2, 5, 7, 10]);
 * ```
 */
export function planTimeGroups(steps: number, groups: number): number[] {
  if (!Number.isInteger(groups) || groups < 1 || groups > steps) {
    throw new BadInputError(
      `Cannot plan ${groups} time groups over ${steps} steps: from 1 to ${steps} are possible`,
    );
  }
  return Array.from({ length: groups + 1 }, (_, g) => Math.floor((g * steps) / groups));
}

/** Whether boundaries ascend from 0, so that no group between them is empty. */
export function areBoundaries(boundaries: readonly number[]): boolean {
  return boundaries[0] === 0 &&
    boundaries.every((step, i) => i === 0 || step > boundaries[i - 1]!);
}
