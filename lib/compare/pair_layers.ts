/** Finds out which layer of one report is which of another. */

import { sixDigits } from "../report/metrics.ts";
import type { LayerFigures } from "../report/report_figures.ts";

/** Layers of two reports side by side. */
export interface LayerPairs {
  /** Layers in both, in the order of the current report; a renamed one has two names. */
  pairs: { baseline: LayerFigures; current: LayerFigures }[];
  /** Layers only in the baseline, in its order. */
  vanished: LayerFigures[];
  /** Layers only in the current report, in its order. */
  added: LayerFigures[];
}

/**
 * How far the figures of a renamed layer may move: less than any built-in rule allows, so that a
 * rename never hides a regression.
 */
const NEARLY = { smoothness_score: 1e-3, cosine_similarity: 1e-3, sqnr_db: 0.02 } as const;

/**
 * Pairs the layers of two reports: by name, and where one vanished and another one is new, by shape,
 * dtype and figures that are equal or nearly so.
 */
export function pairLayers(
  baseline: readonly LayerFigures[],
  current: readonly LayerFigures[],
): LayerPairs {
  const before = new Map(baseline.map((layer) => [layer.name, layer]));
  const names = new Set(current.map(({ name }) => name));
  const vanished = baseline.filter(({ name }) => !names.has(name));
  const added = current.filter(({ name }) => !before.has(name));
  const renamed = pairRenamed(vanished, added);
  const pairs = current.flatMap((layer) => {
    const twin = before.get(layer.name) ?? renamed.get(layer);
    return twin === undefined ? [] : [{ baseline: twin, current: layer }];
  });
  const found = new Set(renamed.values());
  return {
    pairs,
    vanished: vanished.filter((layer) => !found.has(layer)),
    added: added.filter((layer) => !renamed.has(layer)),
  };
}

/** The vanished layer that each new one was, if any. */
function pairRenamed(
  vanished: readonly LayerFigures[],
  added: readonly LayerFigures[],
): Map<LayerFigures, LayerFigures> {
  const result = new Map<LayerFigures, LayerFigures>();
  const take = (
    candidates: readonly LayerFigures[],
    key: (layer: LayerFigures) => string,
    isTwin: (a: LayerFigures, b: LayerFigures) => boolean,
  ) => {
    const byKey = new Map<string, LayerFigures[]>();
    for (const layer of candidates) {
      const same = byKey.get(key(layer));
      if (same === undefined) byKey.set(key(layer), [layer]);
      else same.push(layer);
    }
    for (const layer of added) {
      if (result.has(layer)) continue;
      const same = byKey.get(key(layer)) ?? [];
      const at = same.findIndex((one) => isTwin(one, layer));
      if (at >= 0) result.set(layer, same.splice(at, 1)[0]!);
    }
  };
  // Equal ones first, found by their key, so that ten thousand renamed at once take no time.
  take(vanished, (layer) => `${formOf(layer)} ${figuresOf(layer)}`, () => true);
  const found = new Set(result.values());
  take(vanished.filter((layer) => !found.has(layer)), formOf, isNearly);
  return result;
}

function formOf({ rows, columns, dtype, bits, group_size, output_bytes }: LayerFigures): string {
  return [rows, columns, dtype, bits, group_size, output_bytes].join(" ");
}

function figuresOf(layer: LayerFigures): string {
  const { smoothness_score, violation_count, cosine_similarity, sqnr_db } = layer;
  return [
    sixDigits(smoothness_score),
    violation_count,
    sixDigits(cosine_similarity),
    sqnr_db === null ? "none" : sixDigits(sqnr_db),
  ].join(" ");
}

function isNearly(a: LayerFigures, b: LayerFigures): boolean {
  if (a.violation_count !== b.violation_count) return false;
  return (["smoothness_score", "cosine_similarity", "sqnr_db"] as const).every((metric) => {
    const [one, other] = [a[metric], b[metric]];
    if (one === null || other === null) return one === other;
    return Math.abs(one - other) <= NEARLY[metric];
  });
}
