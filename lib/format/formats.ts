/** The checkpoint formats by name: a new one is added here and in `FormatName`. */

import type { FormatName } from "../types.ts";
import type { CheckpointFormat } from "./checkpoint_format.ts";

/** Each is loaded when a run asks for it: most need one, and the start of a run is time that a user waits. */
const FORMATS: Record<FormatName, () => Promise<CheckpointFormat>> = {
  "compressed-tensors": async () =>
    (await import("./compressed_tensors/format.ts")).COMPRESSED_TENSORS,
  sdnq: async () => (await import("./sdnq/format.ts")).SDNQ,
  gguf: async () => (await import("./gguf/format.ts")).GGUF,
  comfy: async () => (await import("./comfy/format.ts")).COMFY,
};

/** Loads what writes a format. */
export function loadFormat(name: FormatName): Promise<CheckpointFormat> {
  return FORMATS[name]();
}
