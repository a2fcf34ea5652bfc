/** Which runtimes load a checkpoint: as measured, or as they say of themselves; docs/checkpoint.md says which. */

import type { QuantizeSettings } from "../settings/settings.ts";

/** What of the settings decides who loads a checkpoint. */
type Stored = Pick<QuantizeSettings, "format" | "bits" | "symmetric" | "granularity">;

/**
 * The runtimes that load a checkpoint of these settings, one a line, with what has to be minded.
 *
 * @param isMixed Whether its layers have several widths or block sizes.
 */
export function listRuntimes({ format, bits, symmetric }: Stored, isMixed: boolean): string[] {
  switch (format) {
    case "compressed-tensors":
      return [
        isMixed && !symmetric
          ? "not transformers, which takes one width and block size for all layers where there are zero " +
            "points: add --symmetric, or give a --group-size that suits all layers and --modulation keep"
          : "transformers, language models: turns the codes into plain weights",
        symmetric
          ? "vLLM, language models: with kernels for 4 and 8 bits"
          : bits === 4
          ? "vLLM, language models: its kernels for zero points take 4 bits"
          : `vLLM, language models: of few devices only, at ${bits} bits with zero points (try --symmetric)`,
        "not diffusers or ComfyUI: for models of images or videos give --format sdnq, gguf or comfy",
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
