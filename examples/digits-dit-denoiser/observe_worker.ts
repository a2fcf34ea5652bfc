/** A worker that observes shares of denoisers' inputs. */

import { BadInputError } from "../../lib/base/errors.ts";
import { createDenoiser } from "./denoiser.ts";
import type { Weights } from "./load_weights.ts";
import { type Inputs, type Observation, observe } from "./observe.ts";

/** What the worker is sent, any number of times. */
export interface Task {
  /** Of the model. */
  weights: Weights;
  /** All of them. */
  inputs: Inputs;
  /** Which share of them is asked for, from 0. */
  share: number;
  /** How many shares there are. */
  shares: number;
}

/** What it answers: its share, or why there is none; `badInput`: because of the weights. */
export type Answer = Observation | { error: string; badInput: boolean };

const worker = globalThis as unknown as {
  onmessage: (event: MessageEvent<Task>) => void;
  postMessage: (message: Answer) => void;
};

worker.onmessage = ({ data }) => worker.postMessage(answer(data));

function answer({ weights, inputs, share, shares }: Task): Answer {
  try {
    return observe(createDenoiser(weights), inputs, share, shares);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { error: text, badInput: error instanceof BadInputError };
  }
}
