/** A worker that observes shares of denoisers' inputs. */

import { answerTasks } from "../forward/answer_tasks.ts";
import type { RunModel } from "../forward/load_candidate.ts";
import { createDenoiser } from "./denoiser.ts";
import { type Inputs, type Observation, observe } from "./observe.ts";
import { quantizeActivations } from "./quantize_activations.ts";

/** What is to be observed. */
export interface Task {
  /** What is observed. */
  model: RunModel;
  /** All of them. */
  inputs: Inputs;
}

answerTasks<Task, Observation>(({ model, inputs }, share, shares) => {
  const denoiser = createDenoiser(model.weights);
  if (model.activations !== undefined) quantizeActivations(denoiser, model.activations);
  return observe(denoiser, inputs, share, shares);
});
