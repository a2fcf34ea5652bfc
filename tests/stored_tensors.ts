/** Tensors of safetensors files with their bytes, to look at what was written and to write it otherwise. */

import { decodeFloats, type FloatDtype } from "../lib/safetensors/dtype.ts";
import { encodeFile, type TestTensor } from "./make_model.ts";

/** The tensors of a file by name, read by the format's own words: a length, JSON, data. */
export function readTensors(path: string): Map<string, TestTensor> {
  const file = Deno.readFileSync(path);
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  const header: Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  > = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  return new Map(
    Object.entries(header).filter(([name]) => name !== "__metadata__").map(([name, tensor]) => {
      const { dtype, shape, data_offsets: [begin, end] } = tensor;
      const data = file.slice(8 + length + begin, 8 + length + end);
      return [name, { name, dtype, shape, data }];
    }),
  );
}

/** Writes a file again after a change of its tensors. */
export function changeTensors(
  path: string,
  change: (tensors: Map<string, TestTensor>) => void,
): void {
  const tensors = readTensors(path);
  change(tensors);
  Deno.writeFileSync(path, encodeFile([...tensors.values()]));
}

/** The values of a tensor of floats. */
export function floatsOf(
  { dtype, data }: Pick<TestTensor, "dtype" | "data">,
): Float32Array<ArrayBuffer> {
  const width = dtype === "F32" ? 4 : 2;
  const values = new Float32Array(data.length / width);
  decodeFloats(data, dtype as FloatDtype, values);
  return values;
}
