/** A model whose layers' inputs can be recorded. */

import type { Linear } from "../forward/linear.ts";

/** A model and what it is run on, timestep by timestep. */
export interface Subject {
  /** Layers by name, each with an input of its own. */
  layers: ReadonlyMap<string, Linear>;
  /** Most rows that one of them is applied to at a time. */
  maxRows: number;
  /** Runs the model on all there is at one timestep: always the same for the same one, whatever ran before. */
  run: (step: number) => void;
}
