/**
 * What many time groups and narrow blocks cost: peak memory of the process, and processor seconds a million weights,
 * over the number of time groups, the width of blocks, shapes, phases and granularities. Each run is a process of its
 * own. `deno run --allow-all bench/groups_bench.ts [PART OF A NAME]...` prints a table; `WORKERS=8` in the environment
 * starts as many workers as if there were as many cores.
 */

import { join } from "node:path";
import { DEFAULT_SETTINGS, quantizeModel } from "../mod.ts";
import type { Bits, Granularity, Phase } from "../lib/types.ts";
import { makeLayers, type Shape } from "./make_layers.ts";
import { costApart, measureCost } from "./measure_cost.ts";

const SHAPES: Record<string, Shape> = {
  "1000 x 1024": { layers: 1, rows: 1000, columns: 1024, dtype: "BF16" },
  "4000 x 1024": { layers: 1, rows: 4000, columns: 1024, dtype: "BF16" },
  "8192 x 4096": { layers: 1, rows: 8192, columns: 4096, dtype: "BF16" },
  "4096 x 4096, F32": { layers: 1, rows: 4096, columns: 4096, dtype: "F32" },
  "8192 x 28672": { layers: 1, rows: 8192, columns: 28672, dtype: "BF16" },
  "16 x 1048576": { layers: 1, rows: 16, columns: 2 ** 20, dtype: "BF16" },
  "100 x (1000 x 256)": { layers: 100, rows: 1000, columns: 256, dtype: "BF16" },
  "4 x (16384 x 64)": { layers: 4, rows: 16384, columns: 64, dtype: "BF16" },
};

/** A run. */
interface Case {
  shape: string;
  phase: Phase;
  granularity: Granularity;
  bits: Bits;
  timeGroups: number;
  groupSize: number | null;
}

/** Runs a case in this process and prints its cost. */
async function runHere(model: string, output: string, run: Case): Promise<void> {
  const workers = Number(Deno.env.get("WORKERS") ?? 0);
  if (workers > 0) Object.defineProperty(navigator, "hardwareConcurrency", { value: workers });
  const { phase, granularity, bits, timeGroups, groupSize } = run;
  const cost = await measureCost(() =>
    quantizeModel(model, output, {
      ...DEFAULT_SETTINGS,
      ...{ phase, granularity, bits, timeGroups, overwrite: true },
      groupSize: groupSize ?? (granularity === "row" ? "row" : undefined),
    })
  );
  print(JSON.stringify(cost));
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

function nameOf({ phase, granularity, bits, shape, timeGroups, groupSize }: Case): string {
  const blocks = groupSize === null ? "whole" : `of ${groupSize}`;
  return `${phase}, ${granularity}, INT${bits}, ${shape}, G=${timeGroups}, blocks ${blocks}`;
}

/** All that make sense: slices of as many rows as groups at least. */
function* listCases(): Generator<Case> {
  for (const shape of Object.keys(SHAPES)) {
    for (const phase of ["optimize", "smooth", "baseline"] as const) {
      for (const granularity of ["slice", "row"] as const) {
        for (const timeGroups of [2, 4, 16, 100, 1000]) {
          if (timeGroups > SHAPES[shape]!.rows) continue;
          for (const groupSize of [16, 32, 128, null]) {
            for (const bits of [2, 4, 8] as const) {
              yield { shape, phase, granularity, bits, timeGroups, groupSize };
            }
          }
        }
      }
    }
  }
}

const [mode, model, output, run] = Deno.args;
if (mode === "--run") {
  await runHere(model!, output!, JSON.parse(run!) as Case);
} else {
  const cases = [...listCases()].filter((run) =>
    Deno.args.every((part) => `${nameOf(run)},`.includes(part))
  );
  const directory = Deno.makeTempDirSync({ prefix: "isotherm-bench-" });
  try {
    print("| run | MB at most | processor seconds a million weights | seconds |");
    print("| --- | --- | --- | --- |");
    for (const [shape, own] of Map.groupBy(cases, ({ shape }) => shape)) {
      const model = join(directory, "model");
      Deno.mkdirSync(model);
      const weights = await makeLayers(model, SHAPES[shape]!);
      for (const run of own) {
        const { seconds, cpuSeconds, peakMb } = await costApart(
          import.meta.url,
          [model, join(directory, "out"), JSON.stringify(run)],
        );
        const each = (cpuSeconds * 1e6 / weights).toFixed(3);
        print(`| ${nameOf(run)} | ${peakMb.toFixed(0)} | ${each} | ${seconds.toFixed(2)} |`);
      }
      Deno.removeSync(model, { recursive: true });
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}
