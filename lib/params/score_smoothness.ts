/** How smoothly quantization parameters move from one time group to the next. */

import { BadInputError } from "../base/errors.ts";
import { checkCodeWidth, checkThreshold } from "../settings/check_settings.ts";
import { DEFAULT_THRESHOLD } from "../settings/settings.ts";
import { type CodeWidth, qmaxOf, type QuantParams } from "../types.ts";

/** Change of the parameters across one boundary. */
export interface BoundaryJump {
  /** |r.scale - l.scale| / l.scale; 0 or more. */
  scale_jump: number;
  /** |r.zero_point - l.zero_point| / qmax; 0 to 1. */
  zero_point_jump: number;
}

/** How grave a violation is: high above 0.5, medium above 0.3, else low. */
export type Severity = "high" | "medium" | "low";

/** A boundary whose scale jump passes the threshold. */
export interface Violation extends BoundaryJump {
  /** Boundary b lies between time groups b and b+1. */
  boundary_idx: number;
  /** By the scale jump alone, whatever the threshold. */
  severity: Severity;
}

/** The score of a run of time groups. */
export interface Smoothness {
  /** 0 (rough) to 1 (no change at all); 1 for one group. */
  smoothness_score: number;
  /** Boundaries whose scale jump passes the threshold. */
  violation_count: number;
  /** In the order of the boundaries. */
  violations: Violation[];
  /** [G-1], 0 to 1 each. */
  boundary_scores: number[];
}

/**
 * The jump at each boundary between time groups.
 *
 * @param groups Parameters of the groups in time order; scales above 0.
 * @returns [G-1] jumps.
 * @throws {BadInputError} A scale is not above 0, or the width is none.
 */
export function measureJumps(groups: readonly QuantParams[], bits: CodeWidth): BoundaryJump[] {
  checkCodeWidth(bits);
  const qmax = qmaxOf(bits);
  for (const [index, { scale }] of groups.entries()) {
    if (scale > 0 && Number.isFinite(scale)) continue;
    throw new BadInputError(`Cannot score time group ${index}: scale is ${scale}, must be above 0`);
  }
  return groups.slice(1).map((right, b) => {
    const left = groups[b]!;
    return {
      scale_jump: Math.abs(right.scale - left.scale) / left.scale,
      zero_point_jump: Math.abs(right.zero_point - left.zero_point) / qmax,
    };
  });
}

/**
 * The jumps of a model: those of its layers, weighted by element count.
 *
 * @param layers Jumps of each layer, all of the same number of boundaries, and its elements.
 */
export function weightJumps(
  layers: readonly { jumps: readonly BoundaryJump[]; elements: number }[],
): BoundaryJump[] {
  const total = layers.reduce((sum, { elements }) => sum + elements, 0);
  const boundaries = layers[0]?.jumps.length ?? 0;
  return Array.from({ length: boundaries }, (_, b) => {
    const mean = { scale_jump: 0, zero_point_jump: 0 };
    for (const { jumps, elements } of layers) {
      mean.scale_jump += (jumps[b]!.scale_jump * elements) / total;
      mean.zero_point_jump += (jumps[b]!.zero_point_jump * elements) / total;
    }
    return mean;
  });
}

/**
 * Scores jumps: boundary_score = 1 - min(1, (scale_jump + zero_point_jump) / 2),
 * smoothness_score = 1 - min(1, sum of (scale_jump + zero_point_jump) / (2 (G-1))).
 *
 * @param threshold Scale jump above which a boundary is a violation, above 0 and at most 10.
 * @throws {BadInputError} The threshold is none.
 */
export function scoreJumps(
  jumps: readonly BoundaryJump[],
  threshold: number = DEFAULT_THRESHOLD,
): Smoothness {
  checkThreshold(threshold);
  const costs = jumps.map(({ scale_jump, zero_point_jump }) => (scale_jump + zero_point_jump) / 2);
  const sum = costs.reduce((total, cost) => total + cost, 0);
  const rough = [...jumps.keys()].filter((b) => jumps[b]!.scale_jump > threshold);
  // A list that grows takes more room than it needs, and there may be a hundred thousand.
  const violations = rough.map((boundary_idx) => {
    const { scale_jump, zero_point_jump } = jumps[boundary_idx]!;
    return { boundary_idx, scale_jump, zero_point_jump, severity: severityOf(scale_jump) };
  });
  return {
    smoothness_score: costs.length === 0 ? 1 : 1 - Math.min(1, sum / costs.length),
    violation_count: violations.length,
    violations,
    boundary_scores: costs.map((cost) => 1 - Math.min(1, cost)),
  };
}

/**
 * Scores the parameters of consecutive time groups.
 *
 * @param groups In time order; one group scores 1.
 * @param bits Width of a code, which fixes the range of the zero points.
 * @throws {BadInputError} A scale is not above 0, or the width or the threshold is none.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const groups = [{ scale: 0.1, zero_point: 1 }, { scale: 0.15, zero_point: 1 }];
 * const { smoothness_score, violations } = scoreSmoothness(groups, 2);
 * assert.ok(Math.abs(smoothness_score - 0.75) < 1e-9);
 * assert.equal(violations[0]?.severity, "medium");
 * ```
 */
export function scoreSmoothness(
  groups: readonly QuantParams[],
  bits: CodeWidth,
  threshold: number = DEFAULT_THRESHOLD,
): Smoothness {
  return scoreJumps(measureJumps(groups, bits), threshold);
}

function severityOf(scaleJump: number): Severity {
  return scaleJump > 0.5 ? "high" : scaleJump > 0.3 ? "medium" : "low";
}
