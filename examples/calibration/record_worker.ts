/** A worker that measures shares of the timesteps, and makes sketches of their sums. */

import { answerTasks } from "../forward/answer_tasks.ts";
import type { Weights } from "../forward/load_weights.ts";
import { createSubject, type Source } from "./create_subject.ts";
import type { MeanGram } from "./join_parts.ts";
import {
  measureRanges,
  measureSums,
  type Ranges,
  type Steps,
  type Sums,
  type SumSettings,
} from "./measure_inputs.ts";
import { sketchGram } from "./sketch_gram.ts";

/** What is to be done. */
export type Task =
  /** Find the ranges of inputs over runs of timesteps. */
  | { kind: "ranges"; source: Source; weights: Weights; parts: readonly Steps[] }
  /** Add inputs up over runs of timesteps. */
  | {
    kind: "sums";
    source: Source;
    weights: Weights;
    parts: readonly Steps[];
    settings: SumSettings;
  }
  /** Make sketches of so many columns, or of all that a matrix has. */
  | { kind: "sketch"; grams: readonly MeanGram[]; rank: number };

/** A share: every nth run or matrix. */
export type Done =
  | { kind: "ranges"; parts: Map<string, Ranges>[] }
  | { kind: "sums"; parts: Map<string, Sums>[] }
  | { kind: "sketches"; sketches: Float32Array[] };

answerTasks<Task, Done>((task, share, shares) => {
  const own = <T>(all: readonly T[]): T[] => all.filter((_, index) => index % shares === share);
  if (task.kind === "sketch") {
    const sketches = own(task.grams).map(({ values, columns }) =>
      sketchGram(values, columns, Math.min(task.rank, columns))
    );
    return { kind: "sketches", sketches };
  }
  const subject = createSubject(task.source, task.weights);
  const parts = own(task.parts);
  return task.kind === "ranges"
    ? { kind: "ranges", parts: parts.map((steps) => measureRanges(subject, steps)) }
    : { kind: "sums", parts: parts.map((steps) => measureSums(subject, steps, task.settings)) };
});
