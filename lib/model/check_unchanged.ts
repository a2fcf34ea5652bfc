/** Whether a model is still what it was when it was opened. */

import { BadInputError } from "../base/errors.ts";
import { isUnchanged } from "../base/file_version.ts";
import { quote } from "../base/text.ts";
import { openSource } from "../safetensors/read.ts";
import type { Model } from "./open_model.ts";

/**
 * Checks, after the weights have been read, that nobody wrote to them meanwhile.
 *
 * @throws {BadInputError} A weight file changed since the model was opened.
 */
export function checkUnchanged(model: Model): void {
  for (const { name, path, version } of model.shards) {
    const source = openSource(path, name);
    source.close();
    if (isUnchanged(version, source.version)) continue;
    throw new BadInputError(
      `Cannot read ${
        quote(name)
      }: it changed while it was being read: run again when it is complete`,
    );
  }
}
