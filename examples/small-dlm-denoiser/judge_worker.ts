/** A worker that judges shares of the text, or writes some. */

import { answerTasks } from "../forward/answer_tasks.ts";
import type { RunModel } from "../forward/load_candidate.ts";
import { compareLogits, type Comparison } from "./compare_logits.ts";
import { createLanguageModel, type LanguageModel } from "./language_model.ts";
import { predictTokens } from "./predict_tokens.ts";
import { quantizeActivations } from "./quantize_activations.ts";
import type { Sequence } from "./read_text.ts";
import { unmask } from "./unmask.ts";

/** What is to be done. */
export type Task =
  /** Compare a model with the one that was last compared with itself: the original, which comes first. */
  | { kind: "compare"; model: RunModel; sequences: readonly Sequence[]; isOriginal: boolean }
  /** Write a text with each model, all of them from the same seed. */
  | { kind: "write"; models: RunModel[]; seed: number };

/** A share: every nth sequence or model, so that each worker has some of every noise level. */
export type Done =
  | { kind: "compare"; comparisons: Comparison[] }
  | { kind: "write"; texts: Int32Array[] };

/** Logits of the original at each sequence of this worker's share: too many to be sent, 63 MB in all. */
let kept: Float32Array[] = [];

function create({ weights, activations }: RunModel): LanguageModel {
  const model = createLanguageModel(weights);
  if (activations !== undefined) quantizeActivations(model, activations);
  return model;
}

answerTasks<Task, Done>((task, share, shares) => {
  const own = <T>(all: readonly T[]): T[] => all.filter((_, index) => index % shares === share);
  if (task.kind === "write") {
    const texts = own(task.models).map((model) => unmask(create(model), task.seed));
    return { kind: "write", texts };
  }
  const model = create(task.model);
  const sequences = own(task.sequences);
  if (task.isOriginal) {
    kept = sequences.map(({ ids, positions }) => predictTokens(model, ids, positions));
  }
  const comparisons = sequences.map(({ ids, positions, truth }, index) => {
    const original = kept[index]!;
    const found = task.isOriginal ? original : predictTokens(model, ids, positions);
    return compareLogits(original, found, truth);
  });
  return { kind: "compare", comparisons };
});
