/**
 * Damages headers, indexes, configs, calibrations, reports, rules, baselines, histories and checkpoints, and
 * checks that every command either succeeds, and then `verify` agrees, or ends with one clean error: never with
 * exit code 1, a hang, or more than 500 MB. A finding is put into `corpus/`, which a test reads.
 * `deno task fuzz [--seconds N] [--seed S]`.
 *
 * @module
 */

import { createHash } from "node:crypto";
import process from "node:process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { countNouns } from "../../lib/base/text.ts";
import { checkCase, type FuzzCase } from "./check_case.ts";
import { readPeak, runMeasured } from "./run_measured.ts";
import { makeTargets } from "./targets.ts";
import type { FuzzNews, FuzzOrder } from "./worker.ts";

/** Where findings are kept. */
const CORPUS = fileURLToPath(new URL("./corpus", import.meta.url));

/** Processor seconds, of this whole process, after which a case hangs: a busy machine is none. */
const HANG_SECONDS = 5;

/** Most memory of a command, in MB. */
const MAX_MEGABYTES = 500;

/** Cases after which one is run again as a process of its own, to see its memory. */
const SAMPLED = 200;

function say(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** A whole number after a flag. */
function readFlag(name: string, fallback: number): number {
  const at = Deno.args.indexOf(name);
  if (at === -1) return fallback;
  const value = Number(Deno.args[at + 1]);
  if (Number.isInteger(value) && value >= 0) return value;
  say(`error: ${name} must be a whole number, 0 or more`);
  Deno.exit(2);
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

const seconds = readFlag("--seconds", 60);
const seed = readFlag("--seed", 1);
const findings = new Map<string, string>();

/** Keeps a case and says what is wrong with it; one of each kind and problem. */
function keep({ kind, bytes }: FuzzCase, problem: string): void {
  const sort = `${kind}: ${problem.replaceAll(/"(\\.|[^"\\])*"|\d+/g, "…")}`;
  if (findings.has(sort)) return;
  const name = `${kind}.${createHash("sha256").update(bytes).digest("hex").slice(0, 12)}`;
  findings.set(sort, name);
  Deno.writeFileSync(join(CORPUS, name), bytes);
  say(`Finding: ${kind}: ${problem}: tests/fuzz/corpus/${name}`);
}

const start = performance.now();
const totals = { cases: 0, executions: 0, succeeded: 0, sampled: 0, peak: 0 };
const outcomes = new Map<string, number>();

/** Lets a worker draw cases until time is up, or until one hangs. */
async function draw(order: FuzzOrder): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  let current: { fuzzCase: FuzzCase; begun: number } | undefined;
  worker.onmessage = ({ data }: MessageEvent<FuzzNews>) => {
    const { fuzzCase } = data;
    if (data.news === "begun") {
      current = { fuzzCase, begun: cpuSeconds() };
      return;
    }
    current = undefined;
    const { verdict: { problem, executions, succeeded } } = data;
    totals.cases++;
    totals.executions += executions;
    totals.succeeded += succeeded;
    outcomes.set(fuzzCase.kind, (outcomes.get(fuzzCase.kind) ?? 0) + 1);
    if (problem !== undefined) keep(fuzzCase, problem);
    if (totals.cases % SAMPLED === 0) samples.push(fuzzCase);
    if ((performance.now() - start) / 1000 > seconds) resolve();
  };
  worker.onerror = (event) => {
    event.preventDefault();
    if (current !== undefined) keep(current.fuzzCase, `it ended the thread: ${event.message}`);
    else say(`error: ${event.message}`);
    failed = true;
    resolve();
  };
  const watch = setInterval(() => {
    if (current === undefined || cpuSeconds() - current.begun < HANG_SECONDS) return;
    keep(current.fuzzCase, `it takes more than ${HANG_SECONDS} s`);
    resolve();
  }, 100);
  worker.postMessage(order);
  await promise;
  clearInterval(watch);
  worker.terminate();
}

let failed = false;
const samples: FuzzCase[] = [];
const root = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "isotherm-fuzz-" }));
try {
  for (let part = 0; !failed && (performance.now() - start) / 1000 < seconds; part++) {
    const own = join(root, `${part}`);
    Deno.mkdirSync(own);
    await draw({ seed: seed + 1000 * part, root: own });
  }
  const targets = await makeTargets();
  const own = join(root, "sampled");
  Deno.mkdirSync(own);
  for (const { kind, bytes } of samples.slice(-20)) {
    const { problem, executions } = await checkCase(own, targets.get(kind)!, bytes, runMeasured);
    totals.sampled += executions;
    if (problem !== undefined) keep({ kind, bytes }, `as a process: ${problem}`);
    const peak = readPeak();
    if (peak > MAX_MEGABYTES) keep({ kind, bytes }, `it takes more than ${MAX_MEGABYTES} MB`);
    totals.peak = Math.max(totals.peak, peak);
  }
} finally {
  Deno.removeSync(root, { recursive: true });
}
const elapsed = (performance.now() - start) / 1000;
const kinds = [...outcomes].sort().map(([kind, count]) => `${kind} ${count}`).join(", ");
say(
  `${countNouns(totals.executions, "execution")} on ${countNouns(totals.cases, "case")} in ` +
    `${
      elapsed.toFixed(0)
    } s, ${totals.succeeded} succeeded (seed ${seed}): ${kinds}. As processes: ` +
    `${totals.sampled}, at most ${totals.peak.toFixed(0)} MB. ${
      countNouns(findings.size, "finding")
    }.`,
);
Deno.exit(failed || findings.size > 0 ? 1 : 0);
