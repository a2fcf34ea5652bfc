/** Writes what a checkpoint decodes to in this library's eyes, for the runtimes' eyes to be held against. */

import { decodeLayer } from "../../lib/format/decode_layer.ts";
import { openFiles } from "../../lib/jobs/open_files.ts";
import { planVerification } from "../../lib/run/plan_verification.ts";
import { encodeFloats } from "../../lib/safetensors/dtype.ts";
import { encodeFile } from "../make_model.ts";

/**
 * Writes a safetensors file of F32 weights [rows, columns] under the names they have in the model.
 *
 * @param checkpoint Directory that a run wrote.
 * @param model Directory of the model it was made from.
 * @param path The file to write.
 */
export async function exportDecoded(
  checkpoint: string,
  model: string,
  path: string,
): Promise<void> {
  const files = openFiles(true);
  try {
    const tensors = [];
    for (const { layer, original } of planVerification(checkpoint, model).layers) {
      const { name, shape } = original.tensor;
      const data = encodeFloats(await decodeLayer(layer, files), "F32");
      tensors.push({ name, dtype: "F32", shape, data });
    }
    Deno.writeFileSync(path, encodeFile(tensors));
  } finally {
    files.close();
  }
}
