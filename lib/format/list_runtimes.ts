/** Which runtimes load a checkpoint, as measured on the versions that docs/checkpoint.md names. */

import type { QuantizeSettings } from "../settings/settings.ts";

/** What of the settings decides who loads a checkpoint. */
type Stored = Pick<QuantizeSettings, "format" | "bits" | "symmetric" | "granularity">;

/** The runtimes that load a checkpoint of these settings, one a line, with what has to be minded. */
export function listRuntimes({ format, bits, symmetric }: Stored): string[] {
  switch (format) {
    case "compressed-tensors":
      return [
        "transformers, language models: turns the codes into plain weights as it loads them",
        symmetric
          ? "vLLM, language models: with kernels for 4 and 8 bits"
          : bits === 4
          ? "vLLM, language models: its kernels for zero points take 4 bits"
          : `vLLM, language models: of few devices only, at ${bits} bits with zero points (try --symmetric)`,
      ];
    case "sdnq":
      return ["diffusers, without an import", "transformers, after import sdnq"];
    case "gguf":
      return [
        "diffusers, where the model class has from_single_file",
        "ComfyUI, with the node ComfyUI-GGUF",
        "llama.cpp, of language models Dream and LLaDA",
      ];
    case "comfy":
      return ["ComfyUI, for checkpoints with the original names of their tensors"];
  }
}
