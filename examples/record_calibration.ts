/**
 * Records calibration files of the two models of the examples: what their linear layers are fed over
 * noised digits or masked text that they are not judged by.
 *
 *     deno run --allow-read --allow-write examples/record_calibration.ts digits FILE [OPTION]...
 *     deno run --allow-read --allow-write examples/record_calibration.ts small-dlm FILE [OPTION]...
 *
 * `record_calibration.py` records those of other models.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { describeIoError } from "../lib/base/describe_io_error.ts";
import { BadInputError } from "../lib/base/errors.ts";
import { quote } from "../lib/base/text.ts";
import { writeAll } from "../lib/base/write_all.ts";
import { recordDigits } from "./calibration/record_digits.ts";
import type { RecordSettings } from "./calibration/record_settings.ts";
import { recordSmallDlm } from "./calibration/record_small_dlm.ts";

const USAGE = `usage: record_calibration.ts digits|small-dlm FILE [OPTION]...
  --rank N              columns of a sketch (64)
  --segments N          parts of the time axis with a sketch of their own (1)
  --timesteps N         timesteps (100) or mask levels (20)
  --amount N            digits (48) or sequences (16) at each of them
  --from X, --to X      the part of the time axis they are from (all: 0 to 1000, or 0 to 1)
  --weights uniform|snr what timesteps of the digits weigh (uniform)
  --statistics all|sketch  with ranges and histograms, or without (all)
`;

const OPTIONS = {
  rank: { type: "string" },
  segments: { type: "string" },
  timesteps: { type: "string" },
  amount: { type: "string" },
  from: { type: "string" },
  to: { type: "string" },
  weights: { type: "string" },
  statistics: { type: "string" },
} as const;

/** What the options say; NaN where a text is no number. */
interface Values {
  kept: Pick<RecordSettings, "rank" | "segments" | "from" | "to" | "statistics">;
  timesteps?: number;
  amount?: number;
  weights?: string;
}

/**
 * Runs the command.
 *
 * @throws {BadInputError} Something is wrong with the arguments, or the file cannot be written.
 */
async function run(args: string[]): Promise<void> {
  const { model, path, values } = readArguments(args);
  const bytes = await recordModel(model, values);
  try {
    await Deno.writeFile(path, bytes);
  } catch (error) {
    throw new BadInputError(`Cannot write ${quote(path)}: ${describeIoError(error)}`);
  }
}

function readArguments(args: string[]): { model: string; path: string; values: Values } {
  const { values, positionals } = parse(args);
  const [model, path] = positionals;
  if (model === undefined || path === undefined || positionals.length > 2) {
    throw new BadInputError("Cannot record: name a model and a file");
  }
  const { rank, segments, timesteps, amount, from, to, weights, statistics } = values;
  if (statistics !== undefined && statistics !== "all" && statistics !== "sketch") {
    throw new BadInputError(
      `Cannot record: --statistics is ${quote(statistics)}, must be all or sketch`,
    );
  }
  return {
    model,
    path,
    values: {
      kept: {
        ...rank !== undefined && { rank: Number(rank) },
        ...segments !== undefined && { segments: Number(segments) },
        ...from !== undefined && { from: Number(from) },
        ...to !== undefined && { to: Number(to) },
        ...statistics !== undefined && { statistics },
      },
      ...timesteps !== undefined && { timesteps: Number(timesteps) },
      ...amount !== undefined && { amount: Number(amount) },
      ...weights !== undefined && { weights },
    },
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, allowPositionals: true, options: OPTIONS });
  } catch (error) {
    // An option that there is not, or one without its value.
    throw new BadInputError(`Cannot record: ${error instanceof Error ? error.message : error}`);
  }
}

async function recordModel(
  model: string,
  { kept, timesteps, amount, weights }: Values,
): Promise<Uint8Array<ArrayBuffer>> {
  if (model === "digits") {
    if (weights !== undefined && weights !== "uniform" && weights !== "snr") {
      throw new BadInputError(
        `Cannot record: --weights is ${quote(weights)}, must be uniform or snr`,
      );
    }
    return await recordDigits({
      ...kept,
      ...timesteps !== undefined && { timesteps },
      ...amount !== undefined && { images: amount },
      ...weights !== undefined && { weights },
    });
  }
  if (model !== "small-dlm") {
    throw new BadInputError(`Cannot record ${quote(model)}: must be digits or small-dlm`);
  }
  if (weights !== undefined) {
    throw new BadInputError("Cannot record: --weights is for digits, mask levels weigh the same");
  }
  return await recordSmallDlm({
    ...kept,
    ...timesteps !== undefined && { levels: timesteps },
    ...amount !== undefined && { sequences: amount },
  });
}

if (import.meta.main) {
  try {
    await run(Deno.args);
  } catch (error) {
    if (!(error instanceof BadInputError)) throw error;
    writeAll(Deno.stderr, `error: ${error.message}\n\n${USAGE}`);
    Deno.exitCode = 2;
  }
}
