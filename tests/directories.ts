/** Directories for tests: small models to quantize, and what lies in a directory afterwards. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { encodeHeader } from "../lib/safetensors/encode_header.ts";
import { encodeFile, matrix, noise, type TestTensor, withFiles } from "./make_model.ts";

/** Files by their path. */
export type Files = Record<string, Uint8Array | string>;

/** A vector, which is never quantized. */
export function vector(name: string, length: number): TestTensor {
  return { ...matrix(name, 1, length, noise(length)), shape: [length] };
}

/** A model in one file: two layers to quantize, an embedding and a bias, and files beside them. */
export function smallModel(folder = "model"): Files {
  return {
    [`${folder}/model.safetensors`]: encodeFile([
      matrix("blocks.0.fc.weight", 8, 32, noise(1)),
      vector("blocks.0.fc.bias", 8),
      matrix("blocks.1.fc.weight", 16, 48, noise(2), "BF16"),
      matrix("embed_tokens.weight", 10, 16, noise(3)),
    ]),
    [`${folder}/config.json`]: '{"model_type": "tiny"}\n',
    [`${folder}/tokenizer_config.json`]: '{"bos": "<s>"}\n',
    [`${folder}/pytorch_model.bin`]: "weights in another format",
  };
}

/** Makes the small model and hands over its path, an output's and the flags of a run. */
export function withSmallModel(
  use: (paths: { root: string; model: string; output: string; run: string[] }) => Promise<void>,
): Promise<void> {
  return withFiles(smallModel(), (root) => {
    const [model, output] = [join(root, "model"), join(root, "out")];
    const report = join(root, "report.json");
    const run = ["--model", model, "--output", output, "--report", report];
    return use({ root, model, output, run });
  });
}

/** The same kind of model in two shards with an index. */
export function shardedModel(folder = "model"): Files {
  const [first, second] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  const index = {
    metadata: { total_size: 1 },
    weight_map: {
      "blocks.0.fc.weight": first,
      "blocks.1.fc.weight": second,
      "blocks.1.fc.bias": second,
    },
  };
  return {
    [`${folder}/${first}`]: encodeFile([matrix("blocks.0.fc.weight", 8, 64, noise(1))]),
    [`${folder}/${second}`]: encodeFile([
      matrix("blocks.1.fc.weight", 16, 96, noise(2), "F16"),
      vector("blocks.1.fc.bias", 16),
    ]),
    [`${folder}/model.safetensors.index.json`]: JSON.stringify(index),
    [`${folder}/config.json`]: '{"model_type": "tiny"}\n',
  };
}

/** Names in a directory, hidden ones as well, sorted. */
export function namesIn(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
}

/** Paths of everything below a directory, sorted; directories end in a slash. */
export function treeOf(directory: string, folder = ""): string[] {
  return [...Deno.readDirSync(join(directory, folder))].flatMap(({ name, isDirectory }) => {
    const path = `${folder}${name}`;
    return isDirectory ? [`${path}/`, ...treeOf(directory, `${path}/`)] : [path];
  }).sort();
}

/** What every file below a directory holds, by path: a digest, so that a difference is short. */
export function contentOf(directory: string): Map<string, string> {
  const files = treeOf(directory).filter((path) => !path.endsWith("/"));
  return new Map(files.map((path) => {
    const bytes = Deno.readFileSync(join(directory, path));
    return [path, `${bytes.length} bytes, ${createHash("sha256").update(bytes).digest("hex")}`];
  }));
}

/** What must not change in a directory that is only read: bytes and modification times. */
export function stateOf(directory: string): Map<string, unknown> {
  return new Map(
    [...contentOf(directory)].map(([path, content]) => {
      const { mtime, mode } = Deno.lstatSync(join(directory, path));
      return [path, { content, mtime, mode }];
    }),
  );
}

/**
 * Writes a model of so many layers, [2048, 2048] F32 each: 16 MB a layer, of which only the first
 * values are not zero, so that it is made in no time and takes next to no room on the disk.
 */
export function writeLargeModel(directory: string, layers: number): void {
  const side = 2048;
  const tensors = Array.from({ length: layers }, (_, i) => ({
    name: `blocks.${i}.fc.weight`,
    dtype: "F32",
    shape: [side, side],
    byteLength: side * side * 4,
  }));
  const header = encodeHeader(tensors, new Map([["format", "pt"]]));
  Deno.mkdirSync(directory);
  using file = Deno.openSync(join(directory, "model.safetensors"), {
    write: true,
    createNew: true,
  });
  file.writeSync(header.bytes);
  file.truncateSync(header.byteLength);
  const values = Float32Array.from({ length: 1000 }, (_, i) => noise(layers)(i));
  for (const begin of header.begins) {
    file.seekSync(begin, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(values.buffer));
  }
}
