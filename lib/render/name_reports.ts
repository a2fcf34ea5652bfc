/** What the reports of a comparison are called. */

import type { Comparison } from "../report/comparison.ts";
import type { ComparisonLabels } from "./render_comparison.ts";

/** Characters of a label that are shown; of a longer one the end, which tells files apart. */
const MOST_SHOWN = 60;

/**
 * Names files by the last parts of their paths, as few as tell each one from the others.
 *
 * @returns A name for each file, in their order; the same one for a path that is given twice.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(nameFiles(["runs/a/r.json", "runs/b/r.json", "c.json"]), ["a/r.json", "b/r.json", "c.json"]);
 * ```
 */
export function nameFiles(files: readonly string[]): string[] {
  const paths = [...new Set(files)];
  return files.map((file) => {
    const parts = file.split("/");
    const others = paths.filter((path) => path !== file);
    const names = parts.map((_, i) => parts.slice(i).join("/")).reverse();
    const isAmbiguous = (name: string) =>
      name === "" || others.some((path) => path === name || path.endsWith(`/${name}`));
    return names.find((name) => !isAmbiguous(name)) ?? file;
  });
}

/**
 * Names the reports of a page: each with its phase where phases differ, and with a number where two would have
 * the same name.
 *
 * @param comparisons Of each report with the baseline.
 * @param labels Default: `Baseline`, `Report 1` and so on.
 * @returns Names, not escaped yet; the reports' in the order of the comparisons.
 */
export function nameReports(
  comparisons: readonly Comparison[],
  labels: ComparisonLabels | undefined,
): ComparisonLabels {
  const phases = [
    ...comparisons.slice(0, 1).map(({ baseline }) => baseline.phase),
    ...comparisons.map(({ current }) => current.phase),
  ];
  const names = labels === undefined
    ? ["Baseline", ...comparisons.map((_, i) => `Report ${i + 1}`)]
    : [`Baseline: ${cutLabel(labels.baseline)}`, ...labels.currents.map(cutLabel)];
  const [baseline = "", ...currents] = names.map((name, i) => {
    const twins = names.filter((other) => other === name).length;
    const number = names.slice(0, i + 1).filter((other) => other === name).length;
    const own = twins === 1 ? name : `${name} (${number})`;
    return new Set(phases).size === 1 ? own : `${own}, phase ${phases[i]}`;
  });
  return { baseline, currents };
}

function cutLabel(label: string): string {
  const characters = [...label];
  return characters.length <= MOST_SHOWN ? label : `…${characters.slice(1 - MOST_SHOWN).join("")}`;
}
