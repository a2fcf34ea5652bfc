/** The axis of a layer's damage, and of other figures that span many powers of ten. */
import { formatShort } from "./format.js";
import { roundUp } from "./plot.js";

/** Most powers of ten that a logarithmic axis spans; what is less lies on its edge. */
const MOST_POWERS = 6;

/** @typedef {{ from: number, to: number, ticks: number[], isLog: boolean }} AxisPlan */

/**
 * A logarithmic axis for values above 0, from one of 1, 2 and 5 times a power of ten to another.
 * @param {number[]} values
 * @returns {AxisPlan}
 */
export function planLogAxis(values) {
  const positive = values.filter((value) => value > 0);
  const least = positive.reduce((a, b) => Math.min(a, b), Infinity);
  const most = positive.reduce((a, b) => Math.max(a, b), 0);
  if (most === 0) return { from: 0.1, to: 1, ticks: [0.1, 1], isLog: true };
  const power = Math.ceil(Math.log10(most));
  const steps = Array.from({ length: MOST_POWERS + 1 }, (_, i) => power - MOST_POWERS + i)
    .flatMap((one) => [1, 2, 5].map((step) => Number(`${step}e${one}`)));
  const last = steps.findIndex((step) => step >= most);
  const first = Math.max(0, steps.findLastIndex((step) => step <= least));
  const used = steps.slice(Math.min(first, last - 1), last + 1);
  // Where the axis is long, powers of ten are enough.
  const ticks = used.length <= 7 ? used : used.filter((step) => Number.isInteger(Math.log10(step)));
  return { from: used[0], to: used[used.length - 1], ticks, isLog: true };
}

/**
 * An axis from 0, or from a number below it, to the largest value.
 * @param {number[]} values
 * @returns {AxisPlan}
 */
export function planAxis(values) {
  const to = roundUp(values.reduce((a, b) => Math.max(a, b), 0));
  const least = values.reduce((a, b) => Math.min(a, b), 0);
  const from = least < 0 ? -roundUp(-least) : 0;
  return { from, to, ticks: [...from < 0 ? [from] : [], 0, to / 2, to], isLog: false };
}

/**
 * Where a value lies along an axis, 0 to 1; what is beyond an edge lies on it.
 * @param {AxisPlan} axis
 * @param {number} value
 * @returns {number}
 */
export function placeOn({ from, to, isLog }, value) {
  const held = Math.min(to, Math.max(from, value));
  return isLog
    ? (Math.log10(held) - Math.log10(from)) / (Math.log10(to) - Math.log10(from))
    : (held - from) / (to - from);
}

/**
 * How the numbers of an axis are shown.
 * @param {boolean} isShare
 * @returns {(value: number) => string}
 */
export function formatTick(isShare) {
  return isShare ? (value) => `${formatShort(100 * value)}%` : formatShort;
}
