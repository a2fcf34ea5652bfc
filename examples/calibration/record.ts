/** Records what the layers of a model are fed, on workers; gives the bytes of a calibration file. */

import { encodeCalibration, type RecordedLayer } from "../../lib/calibration/encode_calibration.ts";
import type { Weights } from "../forward/load_weights.ts";
import { startWorkers, type Workers } from "../forward/start_workers.ts";
import type { Source } from "./create_subject.ts";
import {
  boundsOf,
  joinDiagonals,
  joinHistograms,
  joinRanges,
  type MeanGram,
  meanGrams,
  type Part,
  planParts,
} from "./join_parts.ts";
import type { Ranges } from "./measure_inputs.ts";
import type { Done, Task } from "./record_worker.ts";

/** What is recorded, and how much of it is kept. */
export interface Recording {
  /** Which model runs, and what on. */
  source: Source;
  /** Of the model, by its own names. */
  weights: Weights;
  /** Name of the model. */
  model: string;
  /** [T], ascending: diffusion timesteps or mask levels. */
  timesteps: readonly number[];
  /** [T] what each of them weighs. Default: all the same. */
  timestepWeights?: readonly number[];
  /** Layers by the one whose input they share. */
  sameInput?: ReadonlyMap<string, string>;
  /** Columns of a sketch, from 1; layers of no more columns than this get all of H. */
  rank: number;
  /** Parts of the time axis with a sketch of their own, from 1 to T. */
  segments: number;
  /** What is recorded of each input. */
  statistics: Statistics;
  /** How many workers; the bytes do not depend on it. Default: one for each processor. */
  workers?: number;
}

/** What is recorded of an input: squares and sketch alone, or its ranges and histograms too. */
export type Statistics = "sketch" | "all";

/** Bins of a histogram. */
const BINS = 256;

/**
 * Records. For histograms the model runs twice: their bins lie between the least and the largest input of
 * all, which the first run finds.
 *
 * @returns The bytes of a file of version 2; `input_square` is the diagonal of H, weighted as H is.
 * @throws {BadInputError} The weights are not the model's.
 */
export async function record(recording: Recording): Promise<Uint8Array<ArrayBuffer>> {
  const { timesteps, timestepWeights, sameInput, model } = recording;
  const url = new URL("./record_worker.ts", import.meta.url);
  const workers = startWorkers<Task, Done>(url, "record the model", recording.workers);
  try {
    return encodeCalibration({
      timesteps,
      ...timestepWeights && { weights: timestepWeights },
      ...sameInput && { sameInput },
      model,
      layers: await recordLayers(recording, workers),
    });
  } finally {
    workers.close();
  }
}

async function recordLayers(
  recording: Recording,
  workers: Workers<Task, Done>,
): Promise<Map<string, RecordedLayer>> {
  const { source, weights, timesteps, timestepWeights, rank, segments, statistics } = recording;
  const parts = planParts(timesteps.length, segments);
  const ranges = statistics === "all" ? await recordRanges(recording, parts, workers) : undefined;
  const settings = {
    ...ranges && {
      bounds: new Map(Array.from(ranges, ([name, range]) => [name, boundsOf(range)])),
    },
    weights: timestepWeights ?? timesteps.map(() => 1),
    bins: BINS,
  };
  const sumParts = deal(
    await workers.run({ kind: "sums", source, weights, parts, settings }),
    (done) => done.kind === "sums" ? done.parts : [],
  );
  const layers = new Map<string, RecordedLayer>();
  const grams: MeanGram[] = [];
  for (const name of sumParts[0]!.keys()) {
    const sums = sumParts.map((part) => part.get(name)!);
    const means = meanGrams(sums, parts);
    grams.push(...means);
    layers.set(name, {
      ...ranges && { ...ranges.get(name), histogram: joinHistograms(sums) },
      square: joinDiagonals(means),
      rank: Math.min(rank, means[0]!.columns),
      ...segments > 1 && { segments },
    });
  }
  const sketches = deal(
    await workers.run({ kind: "sketch", grams, rank }),
    (done) => done.kind === "sketches" ? done.sketches : [],
  );
  for (const [i, layer] of [...layers.values()].entries()) {
    layer.sketch = joinSketches(sketches.slice(i * segments, (i + 1) * segments));
  }
  return layers;
}

/** Least and largest inputs of each layer at all timesteps, by name. */
async function recordRanges(
  { source, weights }: Recording,
  parts: readonly Part[],
  workers: Workers<Task, Done>,
): Promise<Map<string, Ranges>> {
  const found = deal(
    await workers.run({ kind: "ranges", source, weights, parts }),
    (done) => done.kind === "ranges" ? done.parts : [],
  );
  const names = [...found[0]!.keys()];
  return new Map(names.map((name) => [name, joinRanges(found.map((part) => part.get(name)!))]));
}

/** Takes one result of each share in turn: the order before they were shared. */
function deal<T>(shares: readonly Done[], resultsOf: (done: Done) => T[]): T[] {
  const results = shares.map(resultsOf);
  const count = results.reduce((sum, { length }) => sum + length, 0);
  return Array.from(
    { length: count },
    (_, i) => results[i % results.length]![Math.floor(i / results.length)]!,
  );
}

/** [S, C, r] from S of [C, r]. */
function joinSketches(sketches: readonly Float32Array[]): Float32Array {
  const size = sketches[0]!.length;
  const all = new Float32Array(size * sketches.length);
  for (const [segment, sketch] of sketches.entries()) all.set(sketch, segment * size);
  return all;
}
