/** What config.json says of the layers of an SDNQ checkpoint: SDNQ decodes by it, not by the shapes of tensors. */

import { escapeText } from "../../base/text.ts";
import type { Model } from "../../model/open_model.ts";
import type { TensorInfo } from "../../safetensors/header.ts";
import { describeJson, JsonNumber, type JsonValue } from "../../safetensors/scan_json.ts";
import type { Bits } from "../../types.ts";
import { failVerify } from "../read_tensors.ts";
import { WEIGHTS_DTYPES } from "./describe_quantization.ts";

/** Holds tensors against the configuration. */
export interface Quantization {
  /**
   * Checks a layer.
   *
   * @throws {BadInputError} SDNQ would take it for one of another width or block size, or for no layer.
   */
  checkLayer(original: TensorInfo, bits: Bits, blocks: number): void;
  /**
   * Checks a tensor that was not quantized.
   *
   * @throws {BadInputError} It is a matrix that SDNQ would take for quantized.
   */
  checkCopy(original: TensorInfo): void;
}

/** Reads the `quantization_config` of a checkpoint. */
export function readQuantization({ config }: Model): Quantization {
  const all = config?.entries.get("quantization_config");
  const entry = (value: JsonValue | undefined, key: string) =>
    value instanceof Map ? value.get(key) : undefined;
  const listOf = (value: JsonValue | undefined): readonly JsonValue[] =>
    Array.isArray(value) ? value : [];
  const sizeIn = (value: JsonValue | undefined) => {
    const size = entry(value, "group_size");
    return size instanceof JsonNumber ? Number(size.text) : undefined;
  };
  const kept = new Set(listOf(entry(all, "modules_to_not_convert")));
  const dtypes = new Map<JsonValue, string>();
  const byDtype = entry(all, "modules_dtype_dict");
  for (const [dtype, names] of byDtype instanceof Map ? byDtype : []) {
    for (const name of listOf(names)) dtypes.set(name, dtype);
  }
  return {
    checkLayer(original, bits, blocks) {
      const { name, shape: [, columns = 0] } = original;
      if (kept.has(name)) failVerify(original, "config.json says that it is not quantized");
      const dtype = dtypes.get(name) ?? entry(all, "weights_dtype");
      const size = sizeIn(entry(entry(all, "modules_quant_config"), name)) ?? sizeIn(all);
      const expected = size === -1 ? 1 : columns / (size ?? NaN);
      if (dtype === WEIGHTS_DTYPES[bits] && expected === blocks) return;
      failVerify(
        original,
        `config.json says ${
          escapeText(describeJson(dtype))
        } in blocks of ${size}, its tensors are ` +
          `${WEIGHTS_DTYPES[bits]} in blocks of ${columns / blocks}`,
      );
    },
    checkCopy(original) {
      const { name, shape } = original;
      if (shape.length !== 2 || !name.endsWith(".weight") || kept.has(name)) return;
      failVerify(
        original,
        "it is not quantized, and config.json does not list it under modules_to_not_convert",
      );
    },
  };
}
