/** Writes the parts of a checkpoint that are not weights: index and side files; and reads headers back. */

import { dirname, join } from "node:path";
import { describeIoError } from "../base/describe_io_error.ts";
import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { ShardPlan } from "../format/compressed_tensors/plan_checkpoint.ts";
import type { Model, ShardIndex } from "../model/open_model.ts";
import { openSource, readHeader } from "../safetensors/read.ts";
import { plainJson } from "../safetensors/scan_json.ts";

/** Copies the files that go along: tokenizer, remote code, licence. */
export async function copySideFiles(model: Model, directory: string): Promise<void> {
  for (const name of model.sideFiles) {
    try {
      if (name.includes("/")) {
        await Deno.mkdir(join(directory, dirname(name)), { recursive: true });
      }
      await Deno.copyFile(join(model.directory, name), join(directory, name));
      using copy = await Deno.open(join(directory, name));
      await copy.sync();
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
