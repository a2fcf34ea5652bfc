/**
 * The whole command against `cp` of the same file, in turn, and what one and two workers do: medians
 * and ratios, which hold on a noisy machine where single times do not. `deno task bench`.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createPool } from "../lib/jobs/worker_pool.ts";
import type { Slice } from "../lib/jobs/slice.ts";
import type { Bits } from "../lib/types.ts";
import { makeBenchModel } from "./make_bench_model.ts";

const ROUNDS = Number(Deno.args[0] ?? 7);
const CLI = fileURLToPath(new URL("../cli.ts", import.meta.url));

const directory = Deno.makeTempDirSync({ prefix: "isotherm-bench-" });
const model = join(directory, "model");
const source = join(model, "model.safetensors");
const copy = join(directory, "copy");
const output = join(directory, "out");

/** Seconds a command takes. */
async function time(command: string, ...args: string[]): Promise<number> {
  const start = performance.now();
  const child = new Deno.Command(command, { args, stdout: "null", stderr: "piped" });
  const { success, stderr } = await child.output();
  const seconds = (performance.now() - start) / 1000;
  assert.ok(success, new TextDecoder().decode(stderr));
  return seconds;
}

function remove(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/**
 * The same ground for each run: memory that has just been used and freed, since pages the machine has
 * not touched yet cost ten times as much, and nothing left to be written by the run before.
 */
async function level(): Promise<void> {
  remove(copy);
  remove(output);
  await time("cp", source, copy);
  remove(copy);
  await time("sync");
}

const quantize = (bits: number, phase: string, granularity: string, ...flags: string[]) => () =>
  time(
    Deno.execPath(),
    "run",
    "--no-prompt",
    "--allow-read",
    "--allow-write",
    CLI,
    ...["--model", model, "--output", output, "--bit-width", String(bits)],
    ...["--phase", phase, "--granularity", granularity, ...flags],
    ...["--report", join(directory, "report.json"), "--overwrite"],
  );

/** How the codes of a job are stored, at whatever width. */
const SCHEME = { scaleDtype: "BF16", symmetric: false, packing: "words", row: 0 } as const;

const CONTENDERS: Record<string, () => Promise<number>> = {
  "cp": () => time("cp", source, copy),
  "cp and sync": () => time("sh", "-c", `cp "${source}" "${copy}" && sync "${copy}"`),
  "rows INT2": quantize(2, "baseline", "row"),
  "rows INT4": quantize(4, "baseline", "row"),
  "rows INT8": quantize(8, "baseline", "row"),
  "rows INT4, sdnq": quantize(4, "baseline", "row", "--format", "sdnq"),
  "rows INT4, comfy": quantize(4, "baseline", "row", "--format", "comfy"),
  "rows INT4 of 32": quantize(4, "baseline", "row", "--group-size", "32"),
  "rows INT4 of 32, gguf": quantize(4, "baseline", "row", "--format", "gguf"),
  "rows INT4 of 256, gguf": quantize(
    4,
    "baseline",
    "row",
    "--format",
    "gguf",
    "--group-size",
    "256",
  ),
  "rows INT8, symmetric": quantize(8, "baseline", "row", "--symmetric"),
  "rows INT8, gguf": quantize(8, "baseline", "row", "--symmetric", "--format", "gguf"),
  "rows INT2, optimize": quantize(2, "optimize", "row"),
  "rows INT4, optimize": quantize(4, "optimize", "row"),
  "rows INT4, smooth": quantize(4, "smooth", "row"),
  "slices INT2": quantize(2, "baseline", "slice"),
  "slices INT4": quantize(4, "baseline", "slice"),
  "slices INT8": quantize(8, "baseline", "slice"),
  "slices INT2, optimize": quantize(2, "optimize", "slice"),
  "isotherm --version": () => time(Deno.execPath(), "run", CLI, "--version"),
  "deno eval 0": () => time(Deno.execPath(), "eval", "0"),
};

try {
  Deno.mkdirSync(model);
  const bytes = await makeBenchModel(model);
  print(`${(bytes / 1e6).toFixed(0)} MB of BF16, ${ROUNDS} rounds in turn, medians`);
  const times = new Map<string, number[]>(Object.keys(CONTENDERS).map((name) => [name, []]));
  for (let round = -1; round < ROUNDS; round++) {
    for (const [name, run] of Object.entries(CONTENDERS)) {
      await level();
      const seconds = await run();
      if (round >= 0) times.get(name)!.push(seconds);
    }
  }
  const ratio = (name: string, to: string) =>
    median(times.get(name)!.map((seconds, round) => seconds / times.get(to)![round]!)).toFixed(2);
  for (const [name, seconds] of times) {
    const against = /^(rows|slices) /.test(name)
      ? `  ${ratio(name, "cp")} x cp, ${ratio(name, "cp and sync")} x cp and sync, ` +
        `${ratio(name, "rows INT4")} x rows INT4`
      : name === "isotherm --version"
      ? `  ${ratio(name, "deno eval 0")} x deno eval 0`
      : "";
    print(`${name.padEnd(22)} ${median(seconds).toFixed(3)} s${against}`);
  }
  print(await workerScaling());
  for (const line of await rowSpeed()) print(line);
} finally {
  remove(directory);
}

/** How much faster two workers measure and encode than one, from the page cache. */
async function workerScaling(): Promise<string> {
  const slices = Array.from({ length: 96 }, (_, i): Slice => ({
    source: { path: source, label: "model", begin: 2 ** 20 + i * 2 ** 22 },
    dtype: "BF16",
    rows: 1024,
    columns: 2048,
    blockRows: 1024,
    blockColumns: 2048,
  }));
  remove(copy);
  Deno.writeFileSync(copy, new Uint8Array(0));
  const target = (i: number) => ({ path: copy, label: "copy", begin: i * 2 ** 20 });
  const seconds: number[][] = [[], []];
  for (let round = 0; round <= ROUNDS; round++) {
    for (const workers of [1, 2]) {
      const pool = createPool(workers, () => {});
      await Promise.all(slices.slice(0, 4).map((slice) => pool.run({ verb: "measure", slice })));
      const start = performance.now();
      await Promise.all(
        slices.map((slice, i) =>
          pool.run({
            verb: "quantize",
            slice,
            bands: [0, slice.rows],
            ...SCHEME,
            bits: 4,
            target: target(i),
          })
        ),
      );
      if (round > 0) seconds[workers - 1]!.push((performance.now() - start) / 1000);
      pool.close();
    }
  }
  const gain = median(seconds[0]!.map((one, round) => one / seconds[1]![round]!));
  return `two workers           ${gain.toFixed(2)} x one`;
}

/** What rows take on one thread, from the page cache: nanoseconds a weight, reading and writing included. */
async function rowSpeed(): Promise<string[]> {
  Deno.writeFileSync(copy, new Uint8Array(0));
  const jobs = (bits: Bits, isSearched: boolean) =>
    Array.from({ length: 24 }, (_, i) => ({
      verb: "quantizeRows" as const,
      slice: {
        source: { path: source, label: "model", begin: 2 ** 20 + i * 2 ** 23 },
        dtype: "BF16" as const,
        rows: 2048,
        columns: 2048,
        blockRows: 1,
        blockColumns: 128,
      },
      bits,
      isSearched,
      ...SCHEME,
      target: { path: copy, label: "copy", begin: i * 2 ** 22 },
    }));
  const cases: [string, Bits, boolean][] = [["INT4", 4, false], ["INT2, optimize", 2, true]];
  const lines: string[] = [];
  for (const [name, bits, isSearched] of cases) {
    const nanoseconds: number[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      const pool = createPool(1, () => {});
      const all = jobs(bits, isSearched);
      await pool.run(all[0]!);
      const start = performance.now();
      await Promise.all(all.slice(1).map((job) => pool.run(job)));
      const weights = (all.length - 1) * 2048 ** 2;
      if (round > 0) nanoseconds.push((performance.now() - start) * 1e6 / weights);
      pool.close();
    }
    lines.push(`one worker, rows of 128, ${name}: ${median(nanoseconds).toFixed(2)} ns a weight`);
  }
  return lines;
}
