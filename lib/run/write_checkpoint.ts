/** Writes the parts of a checkpoint that are not codes: parameters, copies, config, index, side files. */

import { dirname, join } from "node:path";
import type { Backend, FilePlace } from "../jobs/backend.ts";
import { describeIoError } from "../base/describe_io_error.ts";
import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { Model, ShardIndex } from "../model/open_model.ts";
import { packZeroPoints } from "../compute/pack_codes.ts";
import { packedNames, type ShardPlan } from "../format/compressed_tensors/plan_checkpoint.ts";
import { encodeFloats } from "../safetensors/dtype.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import { openSource, readHeader } from "../safetensors/read.ts";
import { plainJson } from "../safetensors/scan_json.ts";
import { type ByteSink, writeWhole } from "../safetensors/write.ts";
import type { LayerPlan, Schedule } from "../types.ts";

/** Rows of parameters expanded at a time: a multiple of 16, so that packed zero points end on a word. */
const CHUNK_ELEMENTS = 2 ** 19;

/** Bytes of a copy that one worker makes. */
const COPY_BYTES = 16 * 2 ** 20;

/**
 * Writes the scales, the packed zero points and the shape of a layer. The rows of a segment share
 * their parameters, so a standard loader reads them without knowing of time groups.
 */
export function writeParams(
  layer: LayerPlan,
  schedule: Schedule,
  sink: ByteSink,
  begins: ReadonlyMap<string, number>,
): void {
  const { rows, bits, dtype } = layer;
  const { blocks, starts } = schedule;
  const names = packedNames(layer.name);
  let scaleAt = begins.get(names.scale)!;
  let zeroPointAt = begins.get(names.zeroPoint)!;
  const step = Math.max(16, Math.floor(CHUNK_ELEMENTS / blocks / 16) * 16);
  let segment = 0;
  for (let from = 0; from < rows; from += step) {
    const count = Math.min(step, rows - from);
    const scale = new Float32Array(count * blocks);
    const zeroPoint = new Uint8Array(count * blocks);
    for (let row = 0; row < count; row++) {
      while (starts[segment + 1]! <= from + row) segment++;
      const [first, last] = [segment * blocks, (segment + 1) * blocks];
      scale.set(schedule.scale.subarray(first, last), row * blocks);
      zeroPoint.set(schedule.zero_point.subarray(first, last), row * blocks);
    }
    const scaleBytes = encodeFloats(scale, dtype);
    const zeroPointBytes = packZeroPoints(zeroPoint, blocks, bits);
    sink.write(scaleAt, scaleBytes);
    sink.write(zeroPointAt, zeroPointBytes);
    scaleAt += scaleBytes.length;
    zeroPointAt += zeroPointBytes.length;
  }
  const shape = new BigInt64Array([BigInt(rows), BigInt(layer.columns)]);
  sink.write(begins.get(names.shape)!, new Uint8Array(shape.buffer));
}

/** Copies a tensor byte for byte, in pieces that several workers can share. */
export async function copyTensor(
  tensor: TensorInfo,
  source: { path: string; label: string },
  target: FilePlace,
  backend: Backend,
): Promise<void> {
  const pieces: Promise<void>[] = [];
  for (let at = tensor.begin; at < tensor.end; at += COPY_BYTES) {
    pieces.push(backend.copy({
      source: { ...source, begin: at },
      target: { ...target, begin: target.begin + at - tensor.begin },
      byteLength: Math.min(COPY_BYTES, tensor.end - at),
    }));
  }
  await Promise.all(pieces);
}

/** Copies the files that go along: tokenizer, remote code, licence. */
export function copySideFiles(model: Model, directory: string): void {
  for (const name of model.sideFiles) {
    try {
      if (name.includes("/")) {
        Deno.mkdirSync(join(directory, dirname(name)), { recursive: true });
      }
      Deno.copyFileSync(join(model.directory, name), join(directory, name));
      using copy = Deno.openSync(join(directory, name));
      copy.syncSync();
    } catch (error) {
      throw new BadInputError(`Cannot copy ${quote(name)}: ${describeIoError(error)}`);
    }
  }
}

/** Text of the index that belongs to the output shards: true total size, tensors in the order of their names. */
export function formatIndex(index: ShardIndex, shards: readonly ShardPlan[]): string {
  const total_size = shards.reduce((size, { tensorBytes }) => size + tensorBytes, 0);
  const metadata = { ...(plainJson(index.metadata) as Record<string, unknown>), total_size };
  const places = shards.flatMap(({ name, tensorNames }) =>
    tensorNames.map((tensor): [string, string] => [tensor, name])
  ).sort(([a], [b]) => (a < b ? -1 : 1));
  // Written line by line: an object literal would reorder names that look like numbers.
  const lines = places.map(([tensor, file]) =>
    `    ${JSON.stringify(tensor)}: ${JSON.stringify(file)}`
  );
  const head = JSON.stringify(metadata, null, 2).replaceAll("\n", "\n  ");
  return `{\n  "metadata": ${head},\n  "weight_map": {\n${lines.join(",\n")}\n  }\n}\n`;
}

/** Writes a small text file of the checkpoint and puts it on the disk. */
export function writeText(directory: string, name: string, text: string): void {
  writeWhole(join(directory, name), name, new TextEncoder().encode(text));
}

/** Reads the headers back: what was written is what was planned. */
export function checkWritten(directory: string, shards: readonly ShardPlan[]): void {
  for (const { name, tensorNames } of shards) {
    const source = openSource(join(directory, name), name);
    try {
      const { tensors } = readHeader(source, name);
      if (tensors.length !== tensorNames.length) {
        throw new Error(`Wrote ${tensorNames.length} tensors to ${name}, read ${tensors.length}`);
      }
    } finally {
      source.close();
    }
  }
}
