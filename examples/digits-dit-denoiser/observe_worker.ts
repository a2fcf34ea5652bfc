/** A worker that observes shares of denoisers' inputs. */

import { answerTasks } from "../forward/answer_tasks.ts";
import type { Weights } from "../forward/load_weights.ts";
import { createDenoiser } from "./denoiser.ts";
import { type Inputs, type Observation, observe } from "./observe.ts";

/** What is to be observed. */
export interface Task {
  /** Of the model. */
  weights: Weights;
  /** All of them. */
  inputs: Inputs;
}

answerTasks<Task, Observation>(({ weights, inputs }, share, shares) =>
  observe(createDenoiser(weights), inputs, share, shares)
);
