/** Help for each command, one screen each. */

import { type Command, FLAGS } from "./options.ts";

const INTRO: Record<Command, string> = {
  quantize: `Quantizes a safetensors model and reports how smooth its time groups are.

Usage: isotherm --model DIR --output DIR [flags]
       isotherm inspect DIR                  show what would be quantized
       isotherm verify DIR --against MODEL   measure a written checkpoint`,
  inspect: `Shows what a model directory holds and what would be quantized.

Usage: isotherm inspect DIR [flags]`,
  verify: `Decodes a written checkpoint and compares it with the model it was made from.

Usage: isotherm verify DIR --against MODEL [flags]`,
};

const EXAMPLES: Record<Command, string> = {
  quantize: `isotherm --model Dream-7B --output Dream-7B-int4 --bit-width 4
          isotherm --model dit --output q --group-size 128 --ignore 'blocks.0.*'`,
  inspect: `isotherm inspect Dream-7B --bit-width 4 --group-size 128`,
  verify: `isotherm verify Dream-7B-int4 --against Dream-7B`,
};

/** The help of a command; at most 24 lines of at most 80 columns. */
export function renderHelp(command: Command): string {
  const flags = FLAGS.filter(({ commands }) => commands.includes(command)).map(
    ({ name, value, help }) => `  ${`--${name}${value ? ` ${value}` : ""}`.padEnd(25)}${help}`,
  );
  return `${INTRO[command]}\n\n${flags.join("\n")}\n\nExamples: ${EXAMPLES[command]}\n`;
}
