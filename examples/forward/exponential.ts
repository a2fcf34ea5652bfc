/** e^x, faster than `Math.exp` and as exact as F32 needs it. */

/** Values are looked up for every 32nd between the limits; what remains is at most 1/64. */
const TABLE = { limit: 88, perUnit: 32 } as const;

const powers = Float64Array.from(
  { length: 2 * TABLE.limit * TABLE.perUnit + 1 },
  (_, i) => Math.exp(i / TABLE.perUnit - TABLE.limit),
);

/**
 * e^x from a table and the first terms of the series: within 1e-11 of it, relatively, and in half
 * the time. Beyond -88 and 88, where F32 ends, it is that of -88 and 88; NaN stays.
 */
export function exponential(x: number): number {
  const { limit, perUnit } = TABLE;
  const inside = x < -limit ? -limit : x > limit ? limit : x;
  const nearest = (inside + limit) * perUnit + 0.5 | 0;
  const rest = inside + limit - nearest / perUnit;
  return powers[nearest]! * (1 + rest * (1 + rest * (1 / 2 + rest * (1 / 6 + rest / 24))));
}
