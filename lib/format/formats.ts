/** The checkpoint formats by name: a new one is added here and in `FormatName`. */

import type { FormatName } from "../types.ts";
import type { CheckpointFormat } from "./checkpoint_format.ts";
import { COMFY } from "./comfy/format.ts";
import { COMPRESSED_TENSORS } from "./compressed_tensors/format.ts";
import { GGUF } from "./gguf/format.ts";
import { SDNQ } from "./sdnq/format.ts";

/** What writes each format. */
export const CHECKPOINT_FORMATS: Record<FormatName, CheckpointFormat> = {
  "compressed-tensors": COMPRESSED_TENSORS,
  sdnq: SDNQ,
  gguf: GGUF,
  comfy: COMFY,
};
