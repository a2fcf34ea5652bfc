/** Writes what of a checkpoint is no weights: config and index; and reads headers back. */

import { join } from "node:path";
import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { FilePlan } from "../format/checkpoint_format.ts";
import { appendEntry } from "../format/append_entry.ts";
import { findDifference } from "../jobs/compare_bytes.ts";
import type { ShardIndex } from "../model/open_model.ts";
import { type FileSource, openSource } from "../safetensors/read.ts";
import { plainJson } from "../safetensors/scan_json.ts";
import { writeWhole } from "../safetensors/write.ts";
import type { PartPlan } from "./plan_run.ts";

/** Writes config.json and the index of a part. */
export async function writeConfig(
  { model, checkpoint: { files, quantization, keepsShards } }: PartPlan,
  directory: string,
): Promise<void> {
  const write = (name: string, text: string) =>
    writeWhole(join(directory, name), name, new TextEncoder().encode(text));
  const config = model.config?.text;
  if (quantization !== undefined) {
    await write("config.json", appendEntry(config, "quantization_config", quantization));
  } else if (config !== undefined) {
    await write("config.json", config);
  }
  if (keepsShards && model.index !== undefined) {
    await write(model.index.name, formatIndex(model.index, files));
  }
}

/** Text of the index that belongs to the output files: true total size, tensors in the order of their names. */
export function formatIndex(index: ShardIndex, files: readonly FilePlan[]): string {
  const total_size = files.reduce(
    (size, { byteLength, head }) => size + byteLength - head.length,
    0,
  );
  const metadata = { ...(plainJson(index.metadata) as Record<string, unknown>), total_size };
  const places = files.flatMap(({ name, tensorNames = [] }) =>
    tensorNames.map((tensor): [string, string] => [tensor, name])
  ).sort(([a], [b]) => (a < b ? -1 : 1));
  // Written line by line: an object literal would reorder names that look like numbers.
  const lines = places.map(([tensor, file]) =>
    `    ${JSON.stringify(tensor)}: ${JSON.stringify(file)}`
  );
  const head = JSON.stringify(metadata, null, 2).replaceAll("\n", "\n  ");
  return `{\n  "metadata": ${head},\n  "weight_map": {\n${lines.join(",\n")}\n  }\n}\n`;
}

/**
 * Reads the beginnings of the weight files back: what was written is what was planned.
 *
 * @throws {BadInputError} One is not: the disk lost it, or something else wrote to it.
 */
export function checkWritten(directory: string, files: readonly FilePlan[]): void {
  for (const { name, head, byteLength } of files) {
    // Not taken for a file of the model, which has the same name.
    const label = `${name} of the output`;
    const source = openSource(join(directory, name), label);
    try {
      if (source.byteLength === byteLength && beginsWith(source, head)) continue;
      throw new BadInputError(
        `Cannot read ${quote(label)}: it is not what was written: check the disk, and run again`,
      );
    } finally {
      source.close();
    }
  }
}

/** Bytes compared at a time. */
const COMPARED_AT_ONCE = 2 ** 16;

/** Whether a file that is long enough begins with some bytes. */
function beginsWith(source: FileSource, head: Uint8Array): boolean {
  const found = new Uint8Array(Math.min(COMPARED_AT_ONCE, head.length));
  for (let at = 0; at < head.length; at += found.length) {
    const expected = head.subarray(at, at + found.length);
    const own = found.subarray(0, expected.length);
    source.readInto(at, own);
    if (findDifference(own, expected, own.length) >= 0) return false;
  }
  return true;
}
