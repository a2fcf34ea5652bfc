/** Checkpoints that other tools wrote: what the checks are themselves held against. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeFloats } from "../../lib/safetensors/dtype.ts";
import { openSource, readHeader } from "../../lib/safetensors/read.ts";
import { encodeFile, type TestTensor } from "../make_model.ts";
import type { Check, Job, Result } from "./run_check.ts";

const FILES = fileURLToPath(new URL("../golden/formats/", import.meta.url));

/** A checkpoint, and what is to be found in it beyond what every result has to say. */
export interface Conformance {
  /** What to call it. */
  title: string;
  /** How it is loaded. */
  check: Check;
  /** What is loaded. */
  job: Job;
  /** How many weights it holds and, for a GGUF file, in which blocks. */
  holds: Pick<Result, "weights" | "types">;
  /** Most that a weight may differ. */
  weightError?: number;
}

/** Layers of flux-comfy.safetensors that are INT8; the others are INT4. */
const COMFY_INT8 =
  /^single_transformer_blocks\.0\.(attn\.to_q|proj_mlp)\.|^transformer_blocks\.0\.(attn\.(add_[kv]_proj|to_[kq])|ff(_context)?\.net\.0\.proj)\./;

/**
 * The checkpoints under tests/golden/formats.
 *
 * @param directory Where to write what they should decode to.
 */
export function listConformance(directory: string): Conformance[] {
  const plain = readPlain(join(FILES, "flux-plain.safetensors"));
  const blocks = readPlain(join(FILES, "kquants-plain.safetensors"));
  const flux = join(FILES, "flux-src");
  const write = (name: string, tensors: TestTensor[]) => {
    const path = join(directory, `${name}.safetensors`);
    Deno.writeFileSync(path, encodeFile(tensors));
    return path;
  };
  const ofWidth = (width: string) =>
    [...plain].filter(([name]) => name.startsWith(`${width}.`)).map(([name, tensor]) => ({
      ...tensor,
      name: name.slice(width.length + 1),
    }));
  const sdnq = (name: string, width: string): Conformance => ({
    title: name,
    check: "sdnq_diffusers",
    job: { model: flux, checkpoint: join(FILES, name), decoded: write(name, ofWidth(width)) },
    holds: { weights: 17 },
  });
  const gguf = (
    name: string,
    decoded: string,
    holds: Conformance["holds"],
    model: Pick<Job, "model"> = {},
  ): Conformance => ({
    title: name,
    check: "gguf",
    job: { ...model, checkpoint: join(FILES, name), decoded },
    holds,
  });
  const expected = (name: string) => join(FILES, `${name}-expected.safetensors`);
  const comfy = [
    ...ofWidth("u4").filter(({ name }) => !COMFY_INT8.test(name)),
    ...ofWidth("i8").filter(({ name }) => COMFY_INT8.test(name)),
  ];
  return [
    sdnq("flux-sdnq-uint4-g32", "u4"),
    sdnq("flux-sdnq-uint2-g32", "u2"),
    sdnq("flux-sdnq-int8-row", "i8"),
    gguf(
      "flux-q4_1-q8_0.gguf",
      expected("flux-gguf"),
      { weights: 17, types: ["Q4_1", "Q8_0"] },
      { model: flux },
    ),
    gguf("dream-q4_1.gguf", expected("dream-q4_1"), { weights: 7, types: ["Q4_1"] }),
    gguf("dream-q2_k.gguf", expected("dream-q2_k"), { weights: 1, types: ["Q2_K"] }),
    gguf("kquants.gguf", write("kquants", [...blocks.values()]), {
      weights: 2,
      types: ["Q2_K", "Q4_K"],
    }),
    {
      title: "flux-comfy.safetensors",
      check: "comfy",
      job: {
        model: flux,
        checkpoint: join(FILES, "flux-comfy.safetensors"),
        decoded: write("flux-comfy", comfy),
      },
      holds: { weights: 17 },
      // The offset is a BF16 number of up to eight steps.
      weightError: 2 ** -9,
    },
  ];
}

/** Reads codes, scales and zero points and decodes them: by prefix, [rows, columns] in F32. */
function readPlain(path: string): Map<string, TestTensor> {
  const source = openSource(path, path);
  const tensors = new Map(readHeader(source, path).tensors.map((tensor) => [tensor.name, tensor]));
  const file = new Uint8Array(source.byteLength);
  source.readInto(0, file);
  source.close();
  const read = (name: string) => {
    const tensor = tensors.get(name);
    if (tensor === undefined) return undefined;
    const bytes = file.slice(tensor.begin, tensor.end);
    if (tensor.dtype === "F32") return new Float32Array(bytes.buffer);
    return tensor.dtype === "I8" ? new Int8Array(bytes.buffer) : bytes;
  };
  const decoded = new Map<string, TestTensor>();
  for (const [name, { shape }] of tensors) {
    if (!name.endsWith(".codes")) continue;
    const layer = name.slice(0, -".codes".length);
    const [codes, scales, zeros] = ["codes", "scale", "zero_point"].map((part) =>
      read(`${layer}.${part}`)
    );
    const run = codes!.length / scales!.length;
    const values = Float32Array.from(codes!, (code, i) => {
      const block = Math.floor(i / run);
      return (code - (zeros?.[block] ?? 0)) * scales![block]!;
    });
    const tensor = {
      name: `${layer}.weight`,
      dtype: "F32",
      shape,
      data: encodeFloats(values, "F32"),
    };
    decoded.set(tensor.name, tensor);
  }
  return decoded;
}
