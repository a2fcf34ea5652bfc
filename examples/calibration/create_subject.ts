/** The models whose layers' inputs can be recorded. */

import type { Weights } from "../forward/load_weights.ts";
import { createDigitsSubject, type DigitsSource } from "./digits_subject.ts";
import { createSmallDlmSubject, type SmallDlmSource } from "./small_dlm_subject.ts";
import type { Subject } from "./subject.ts";

/** Which model runs, and what on: plain data, so that workers can be told. */
export type Source = DigitsSource | SmallDlmSource;

/**
 * Makes the model ready.
 *
 * @param weights By the model's own names.
 * @throws {BadInputError} The weights are not the model's.
 */
export function createSubject(source: Source, weights: Weights): Subject {
  return source.kind === "digits"
    ? createDigitsSubject(source, weights)
    : createSmallDlmSubject(source, weights);
}
