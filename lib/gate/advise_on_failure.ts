/** What to do after a failed gate: about what failed, not about the run. */

import { countNouns, quote } from "../base/text.ts";
import type { Comparison, LayerChange, MetricChange } from "../report/comparison.ts";
import { LAYER_COUNTS } from "../report/metrics.ts";
import type { Finding } from "./apply_rules.ts";

/** Figures that say how good a model or a layer is. */
const QUALITY = [
  "sqnr_db",
  "output_sqnr_db",
  "cosine_similarity",
  "quality_grade",
  "activation_sqnr_db",
];

/** Figures that say how smooth it is. */
const SMOOTHNESS = [
  "activation_smoothness_score",
  "smoothness_score",
  "violation_count",
  "min_boundary_score",
  "max_boundary_score",
  "mean_boundary_score",
  "std_boundary_score",
];

/** Figures that say how large it is. */
const SIZE = ["model_size_mb", "bits_per_weight", "compression_ratio", "output_bytes"];

/**
 * Advises on broken rules of level `fail`: the gravest kind first, in a sentence without a full stop.
 *
 * @returns `undefined` where none is broken.
 */
export function adviseOnFailure(
  findings: readonly Finding[],
  comparison: Comparison,
): string | undefined {
  const broken = findings.filter(({ passed, level }) => !passed && level === "fail");
  const kinds: [(metric: string) => boolean, (found: Finding[]) => string][] = [
    [(metric) => QUALITY.includes(metric), (found) => adviseOnQuality(found, comparison)],
    [(metric) => LAYER_COUNTS.some((one) => one === metric), adviseOnLayers],
    [(metric) => SMOOTHNESS.includes(metric), () => adviseOnSmoothness(comparison)],
    [(metric) => SIZE.includes(metric), () => ADVICE_ON_SIZE],
    [() => true, ([first]) => `Look at what moved ${first!.metric}`],
  ];
  for (const [isOf, advise] of kinds) {
    const found = broken.filter(({ metric }) => isOf(metric));
    if (found.length > 0) return advise(found);
  }
  return undefined;
}

const ADVICE_ON_SIZE =
  "The checkpoint grew: look at which layers are not quantized any more, or in smaller blocks";

function adviseOnQuality(found: readonly Finding[], comparison: Comparison): string {
  const named = new Set(found.flatMap(({ layer }) => layer === null ? [] : [layer]));
  const worst = mostLost(comparison.layers.filter(({ name }) => named.has(name))) ??
    mostLost(comparison.layers);
  if (worst === undefined) {
    return "The model lost quality in no layer that both reports have: look at the new ones";
  }
  const { layer, change } = worst;
  const which = named.size > 0
    ? `${countNouns(named.size, "layer")} lost quality, most of all `
    : "The model lost quality, most of it in ";
  return `${which}${quote(layer.name)} (${showDecibel(change.baseline)} -> ` +
    `${showDecibel(change.current)} dB): look at what changed its weights or its settings, ` +
    `or leave it alone with --ignore`;
}

function adviseOnLayers([first]: readonly Finding[]): string {
  const { metric, layer } = first!;
  const name = layer === null ? "some" : quote(layer);
  return metric === "vanished_layers"
    ? `Look at why ${name} is not quantized any more: "skipped" in the report has the reason`
    : `Look at where the layer ${name} comes from`;
}

function adviseOnSmoothness({ boundaries }: Comparison): string {
  const places = boundaries.filter(({ direction }) => direction === "worse")
    .map(({ boundary_idx }) => boundary_idx);
  const where = places.length === 0 ? "" : ` at boundaries [${places.slice(0, 10).join(", ")}]`;
  return `Parameters jump more than in the baseline${where}: look at which layers do, ` +
    "the quality is as it was";
}

/** The layer that lost most of its SQNR: of its output where both reports know it. */
function mostLost(
  layers: readonly LayerChange[],
): { layer: LayerChange; change: MetricChange } | undefined {
  const lost = layers.flatMap((layer) => {
    const measured = (["output_sqnr_db", "sqnr_db"] as const).flatMap((name) =>
      layer.metrics.filter(({ metric, baseline, current }) =>
        metric === name && Number.isFinite(baseline) && Number.isFinite(current)
      )
    )[0];
    const isLoss = measured?.direction === "worse";
    return isLoss ? [{ layer, change: measured }] : [];
  });
  return lost.toSorted((a, b) => a.change.difference! - b.change.difference!)[0];
}

function showDecibel(value: number | null): string {
  return value === null ? "no noise" : value.toFixed(2);
}
