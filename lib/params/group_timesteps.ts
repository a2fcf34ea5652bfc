/** Where time groups begin so that their errors add up to the least. */

/** Costs of all runs of points [from, to): {@linkcode costAt} finds one. */
export interface RunCosts {
  /** Points. */
  points: number;
  /** [points (points + 1) / 2], by `to`, then by `from`. */
  values: Float64Array;
}

/** Room for the costs of all runs of so many points. */
export function createCosts(points: number): RunCosts {
  return { points, values: new Float64Array(points * (points + 1) / 2) };
}

/** Where the cost of the run [from, to) lies. */
export function costAt(from: number, to: number): number {
  return to * (to - 1) / 2 + from;
}

/**
 * Cuts points into runs whose costs add up to the least, exactly, by dynamic programming; among equal ones the
 * first boundaries are the earliest.
 *
 * @param groups At most as many as points.
 * @returns First point of each run, and the number of points at the end: [groups + 1]; and the sum.
 */
export function groupPoints(
  { points, values }: RunCosts,
  groups: number,
): { boundaries: number[]; cost: number } {
  // best[to]: the least cost of the points before `to` in so many runs.
  let best = Float64Array.from(
    { length: points + 1 },
    (_, to) => to === 0 ? Infinity : values[costAt(0, to)]!,
  );
  const cuts: Int32Array[] = [];
  for (let group = 1; group < groups; group++) {
    const next = new Float64Array(points + 1).fill(Infinity);
    const cut = new Int32Array(points + 1);
    for (let to = group + 1; to <= points; to++) {
      for (let from = group; from < to; from++) {
        const cost = best[from]! + values[costAt(from, to)]!;
        if (cost < next[to]!) {
          next[to] = cost;
          cut[to] = from;
        }
      }
    }
    cuts.push(cut);
    best = next;
  }
  const boundaries = [points];
  for (const cut of cuts.reverse()) boundaries.unshift(cut[boundaries[0]!]!);
  boundaries.unshift(0);
  return { boundaries, cost: best[points]! };
}
