/** Writes what of a checkpoint is no weights: config and index; and reads headers back. */

import { join } from "node:path";
import type { CheckpointFormat, FilePlan } from "../format/checkpoint_format.ts";
import { appendEntry } from "../format/append_entry.ts";
import type { ShardIndex } from "../model/open_model.ts";
import { openSource } from "../safetensors/read.ts";
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
    (size, { header }) => size + header.byteLength - header.bytes.length,
    0,
  );
  const metadata = { ...(plainJson(index.metadata) as Record<string, unknown>), total_size };
  const places = files.flatMap(({ name, tensorNames }) =>
    tensorNames.map((tensor): [string, string] => [tensor, name])
  ).sort(([a], [b]) => (a < b ? -1 : 1));
  // Written line by line: an object literal would reorder names that look like numbers.
  const lines = places.map(([tensor, file]) =>
    `    ${JSON.stringify(tensor)}: ${JSON.stringify(file)}`
  );
  const head = JSON.stringify(metadata, null, 2).replaceAll("\n", "\n  ");
  return `{\n  "metadata": ${head},\n  "weight_map": {\n${lines.join(",\n")}\n  }\n}\n`;
}

/** Reads the headers back: what was written is what was planned. */
export function checkWritten(
  directory: string,
  files: readonly FilePlan[],
  { listTensors }: Pick<CheckpointFormat, "listTensors">,
): void {
  for (const { name, tensorNames } of files) {
    const source = openSource(join(directory, name), name);
    try {
      const found = listTensors(source, name).length;
      if (found === tensorNames.length) continue;
      throw new Error(`Wrote ${tensorNames.length} tensors to ${name}, read ${found}`);
    } finally {
      source.close();
    }
  }
}
