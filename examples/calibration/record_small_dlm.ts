/** Records what the small language model is fed. */

import { fileURLToPath } from "node:url";
import { BadInputError } from "../../lib/base/errors.ts";
import { loadWeights } from "../forward/load_weights.ts";
import { DLM } from "../small-dlm-denoiser/dimensions.ts";
import { record } from "./record.ts";
import { checkSettings, type RecordSettings, spreadTimesteps } from "./record_settings.ts";
import { listSameInput, readCalibrationText } from "./small_dlm_subject.ts";

const MODEL = fileURLToPath(new URL("../small-dlm", import.meta.url));

/** How much of the language model is recorded. */
export interface SmallDlmSettings extends RecordSettings {
  /** Text: [count, 128] tokens. Default: 400 sequences that the model was trained on. */
  ids?: Int32Array;
  /** Shares of masked tokens, in the middle of as many equal parts of `from` to `to`. Default: 20. */
  levels?: number;
  /** Sequences masked at each of them. Default: 16. */
  sequences?: number;
}

/**
 * Records the small language model: the attention and MLP layers, which masked sequences go through whole.
 *
 * @returns The bytes of a calibration file of version 2: the same for the same settings, on every machine.
 * @throws {BadInputError} A count is no whole number from 1, there are more segments than levels, the levels
 *   are not all different, or the text is no number of whole sequences of known tokens.
 */
export async function recordSmallDlm(
  settings: SmallDlmSettings = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { ids = readCalibrationText(), levels: count = 20, sequences = 16, ...kept } = settings;
  const checked = checkSettings(kept, count, { sequences, levels: count });
  if (ids.length === 0 || ids.length % DLM.tokens !== 0) {
    throw new BadInputError(
      `Cannot record ${ids.length} tokens: sequences have ${DLM.tokens}: give some that are whole`,
    );
  }
  const strange = ids.find((id) => id < 0 || id >= DLM.vocabulary);
  if (strange !== undefined) {
    throw new BadInputError(
      `Cannot record token ${strange}: tokens are 0 to ${DLM.vocabulary - 1}`,
    );
  }
  const levels = spreadTimesteps(kept, count, 1);
  return await record({
    source: { kind: "small-dlm", ids, sequences, levels },
    weights: await loadWeights(MODEL),
    model: "small-dlm",
    timesteps: levels,
    sameInput: listSameInput(),
    ...checked,
  });
}
