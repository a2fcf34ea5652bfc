/** What each checkpoint format can hold; decided before any work, and always with what would do instead. */

import { BadInputError } from "../base/errors.ts";
import { GGUF_SIZES, groupSizeOf, type QuantizeSettings } from "./settings.ts";

/** What of the settings a format has to be able to hold. */
type Held = Pick<
  QuantizeSettings,
  "format" | "bits" | "symmetric" | "groupSize" | "granularity"
>;

/**
 * Checks that the checkpoint format can hold what the other settings ask for.
 *
 * @throws {BadInputError} It cannot; the message says why, and what would do.
 */
export function checkFormat(settings: Held): void {
  const { format, bits, symmetric } = settings;
  if (format === "comfy" && bits === 2) {
    refuse(settings, "ComfyUI has no kernel for 2 bits", "give --bit-width 4 or 8");
  }
  if (format !== "compressed-tensors" && bits === 8 && !symmetric) {
    refuse(settings, `${EIGHT_BITS[format]} have no zero points`, "add --symmetric");
  }
  checkGroupSize(settings);
}

/** What the 8-bit codes of a format are called. */
const EIGHT_BITS = { sdnq: "its int8 codes", gguf: "its Q8_0 blocks", comfy: "its int8 codes" };

/** The size that was given; the default ones suit. */
function checkGroupSize(settings: Held): void {
  const { format, bits } = settings;
  const size = groupSizeOf(settings);
  if (format === "comfy" && bits === 8 && size !== null) {
    refuse(settings, "its int8_tensorwise has one scale a row", "give --group-size row");
  }
  if (format !== "gguf") return;
  const { small, large } = GGUF_SIZES;
  const isLarge = size === null || size % large === 0;
  if (bits === 2 && !isLarge) {
    refuse(settings, `Q2_K has blocks of ${large}`, `give a multiple of ${large}, or row`);
  }
  if (bits === 4 && size !== small && !isLarge) {
    const what = `Q4_1 has blocks of ${small}, Q4_K of ${large}`;
    refuse(settings, what, `give ${small}, a multiple of ${large}, or row`);
  }
  if (bits === 8 && size !== small) {
    refuse(settings, `Q8_0 has blocks of ${small}`, `give ${small}, or leave --group-size out`);
  }
}

function refuse({ format, bits, groupSize }: Held, why: string, advice: string): never {
  const size = groupSize === undefined ? "" : ` --group-size ${groupSize}`;
  throw new BadInputError(
    `Cannot use --format ${format} with --bit-width ${bits}${size}: ${why}: ${advice}`,
  );
}
