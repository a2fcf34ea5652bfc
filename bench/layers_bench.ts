/**
 * What very many layers take, and how soon such a run ends: `deno run --allow-all bench/layers_bench.ts` prints peak
 * memory and time of planning, copying, quantizing and verifying 100,000 layers of 4 x 4, then the longest time from
 * SIGINT to the end of the process, over signals spread evenly over a run. `LAYERS=10000`, `SHAPE=32x64` and
 * `SIGNALS=40` in the environment change that. Each run is a process of its own.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { outcomeOf, runMain, spawnCli } from "../tests/run_cli.ts";
import { makeLayers } from "./make_layers.ts";
import { costApart, measureCost } from "./measure_cost.ts";

const LAYERS = Number(Deno.env.get("LAYERS") ?? 100_000);
const [ROWS = 4, COLUMNS = 4] = (Deno.env.get("SHAPE") ?? "4x4").split("x").map(Number);
const SIGNALS = Number(Deno.env.get("SIGNALS") ?? 30);

const QUANTIZE = ["--model", "model", "--output", "out", "--report", "report.json"];
const RUNS: Record<string, string[]> = {
  "inspect": ["inspect", "model"],
  "quantize one layer, copy the others": [...QUANTIZE, "--ignore", "layers.[!0]*"],
  "quantize": QUANTIZE,
  "verify": ["verify", "out", "--against", "model"],
};

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** Runs the command line in a process of its own and measures it there. */
const costOf = (argv: readonly string[], cwd: string) => costApart(import.meta.url, argv, { cwd });

function removeOutputs(directory: string): void {
  for (const name of ["out", "report.json", "report.log"]) {
    Deno.removeSync(join(directory, name), { recursive: true });
  }
}

/** Interrupts a run after so many seconds; gives the seconds until it has ended, none where it was done before. */
async function stopAfter(seconds: number, cwd: string): Promise<number[]> {
  const child = spawnCli(QUANTIZE, { cwd });
  let isOver = false;
  const outcome = outcomeOf(child).finally(() => isOver = true);
  await new Promise((resume) => setTimeout(resume, seconds * 1000));
  const start = performance.now();
  if (!isOver) child.kill("SIGINT");
  const { code, stderr } = await outcome;
  const taken = (performance.now() - start) / 1000;
  if (code === 0) {
    removeOutputs(cwd);
    return [];
  }
  assert.equal(code, 130, stderr);
  assert.deepEqual([...Deno.readDirSync(cwd)].map(({ name }) => name), ["model"]);
  return [taken];
}

async function printCosts(directory: string): Promise<void> {
  print("| run | MB at most | processor seconds | seconds |");
  print("| --- | --- | --- | --- |");
  for (const [name, argv] of Object.entries(RUNS)) {
    if (argv === QUANTIZE) removeOutputs(directory);
    const { seconds, cpuSeconds, peakMb } = await costOf(argv, directory);
    print(`| ${name} | ${peakMb.toFixed(0)} | ${cpuSeconds.toFixed(1)} | ${seconds.toFixed(1)} |`);
  }
}

async function printStops(directory: string): Promise<void> {
  removeOutputs(directory);
  const { seconds } = await costOf(QUANTIZE, directory);
  removeOutputs(directory);
  const stops: { after: number; taken: number }[] = [];
  for (let i = 0; i < SIGNALS; i++) {
    // Before that nobody listens yet.
    const after = 0.5 + (seconds - 0.5) * i / SIGNALS;
    for (const taken of await stopAfter(after, directory)) stops.push({ after, taken });
  }
  const sorted = stops.toSorted((a, b) => a.taken - b.taken);
  const [median, longest] = [sorted[sorted.length >> 1], sorted.at(-1)];
  if (median === undefined || longest === undefined) {
    print(`none of ${SIGNALS} signals came before its end, after ${seconds.toFixed(1)} s`);
    return;
  }
  print(
    `${stops.length} of ${SIGNALS} signals over ${seconds.toFixed(1)} s stopped it, in ` +
      `${median.taken.toFixed(2)} s by the median, and in ${longest.taken.toFixed(2)} s at most, ` +
      `${longest.after.toFixed(1)} s after the start`,
  );
}

if (Deno.args[0] === "--run") {
  const cost = await measureCost(async () => {
    const { code, stderr } = await runMain(...Deno.args.slice(1));
    assert.equal(code, 0, stderr);
  });
  print(JSON.stringify(cost));
} else {
  const directory = Deno.makeTempDirSync({ prefix: "isotherm-bench-" });
  try {
    const model = join(directory, "model");
    Deno.mkdirSync(model);
    await makeLayers(model, { layers: LAYERS, rows: ROWS, columns: COLUMNS, dtype: "F32" });
    print(`${LAYERS} layers of ${ROWS} x ${COLUMNS}, F32`);
    await printCosts(directory);
    if (SIGNALS > 0) await printStops(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}
