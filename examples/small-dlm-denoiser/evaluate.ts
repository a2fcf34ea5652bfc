/** Judges quantized models by what they do: the tokens they predict and the text they write. */

import { join } from "node:path";
import { type JudgedPart, loadCandidate, type RunModel } from "../forward/load_candidate.ts";
import { loadWeights, type Weights } from "../forward/load_weights.ts";
import { startWorkers, type Workers } from "../forward/start_workers.ts";
import type { Comparison } from "./compare_logits.ts";
import { decodeTokens, readVocabulary } from "./decode_tokens.ts";
import type { Done, Task } from "./judge_worker.ts";
import { readText, type Sequence } from "./read_text.ts";
import { type Evaluation, summarize } from "./summarize.ts";

/** A model: its directory, or weights in memory by name, which stand for those of the original. */
export type Candidate = string | Weights;

/** Compares quantized models with one original, on workers that stay. */
export interface Evaluator {
  /** What the original itself does. */
  original: Evaluation;
  /**
   * Evaluates what a run wrote, or weights in memory; tensors that these lack are the original's.
   *
   * @param part What of a run's. Default: `both`, all that it stores: where it quantizes no activations, its weights.
   * @throws {BadInputError} It is no small language model, its packed layers or schedules are malformed, or its
   *   activations are asked for alone where it quantizes none.
   */
  evaluate(candidate: Candidate, part?: JudgedPart): Promise<Evaluation>;
  /**
   * Lets models write, side by side, each with all that is quantized of it.
   *
   * @param seed The same seed and weights give the same text.
   * @returns The text of each, 128 tokens.
   * @throws {BadInputError} As evaluate, or the original has no tokenizer.
   */
  write(candidates: readonly Candidate[], seed?: number): Promise<string[]>;
  /** Stops the workers; until then they keep the process alive. */
  close(): void;
}

/**
 * Runs the original once, so that any number of quantized models can be compared with it.
 *
 * @param modelDirectory The small language model.
 * @param count Workers; figures do not depend on it. Default: one for each processor.
 * @param sequences What they are judged on. Default: the held-out text.
 * @throws {BadInputError} The directory is no small language model.
 */
export async function createEvaluator(
  modelDirectory: string,
  count?: number,
  sequences: readonly Sequence[] = readText(),
): Promise<Evaluator> {
  const original = await loadWeights(modelDirectory);
  const load = async (candidate: Candidate, part: JudgedPart = "both"): Promise<RunModel> =>
    typeof candidate === "string"
      ? await loadCandidate(candidate, modelDirectory, original, part)
      : { weights: new Map([...original, ...candidate]) };
  const url = new URL("./judge_worker.ts", import.meta.url);
  const workers = startWorkers<Task, Done>(url, "judge the language model", count);
  const judge = async (model: RunModel, isOriginal: boolean): Promise<Evaluation> =>
    summarize(sequences, await compare(workers, model, sequences, isOriginal));
  try {
    return {
      original: await judge({ weights: original }, true),
      evaluate: async (candidate, part) => await judge(await load(candidate, part), false),
      write: async (candidates, seed = 1) => {
        const vocabulary = readVocabulary(join(modelDirectory, "tokenizer.json"));
        const models = await Promise.all(candidates.map((candidate) => load(candidate)));
        const texts = await write(workers, models, seed);
        return texts.map((ids) => decodeTokens(vocabulary, ids));
      },
      close: workers.close,
    };
  } catch (error) {
    workers.close();
    throw error;
  }
}

/**
 * Compares one quantized model with its original.
 *
 * @param modelDirectory The small language model.
 * @param candidate What a run wrote, or weights in memory; tensors that these lack are the original's.
 * @throws {BadInputError} One of them is no small language model, or its packed layers are malformed.
 */
export async function evaluate(modelDirectory: string, candidate: Candidate): Promise<Evaluation> {
  const evaluator = await createEvaluator(modelDirectory);
  try {
    return await evaluator.evaluate(candidate);
  } finally {
    evaluator.close();
  }
}

async function compare(
  workers: Workers<Task, Done>,
  model: RunModel,
  sequences: readonly Sequence[],
  isOriginal: boolean,
): Promise<Comparison[]> {
  const shares = await workers.run({ kind: "compare", model, sequences, isOriginal });
  return deal(shares.map((done) => done.kind === "compare" ? done.comparisons : []));
}

async function write(
  workers: Workers<Task, Done>,
  models: RunModel[],
  seed: number,
): Promise<Int32Array[]> {
  const shares = await workers.run({ kind: "write", models, seed });
  return deal(shares.map((done) => done.kind === "write" ? done.texts : []));
}

/** Takes one of each share in turn: the order before they were shared. */
function deal<T>(shares: readonly T[][]): T[] {
  const longest = Math.max(...shares.map(({ length }) => length));
  return Array.from(
    { length: longest },
    (_, round) => shares.flatMap((own) => own.slice(round, round + 1)),
  )
    .flat();
}
