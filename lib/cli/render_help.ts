/** Help for each command, one screen each. */

import { type Command, type Flag, FLAGS } from "./flags.ts";

const INTRO: Record<Command, string> = {
  quantize: `Quantizes a safetensors model and reports how smooth its time groups are.

Usage: isotherm --model DIR --output DIR [flags]; isotherm --version
Also:  isotherm inspect|verify|compare|gate|baseline|backends|history --help`,
  inspect: `Shows what a model directory holds and what would be quantized.

Usage: isotherm inspect DIR [flags]`,
  verify: `Decodes a written checkpoint and compares it with the model it was made from.

Usage: isotherm verify DIR --against MODEL [flags]`,
  compare: `Shows how reports differ from a baseline, figure by figure and layer by layer.

Usage: isotherm compare BASELINE.json CURRENT.json... [flags]`,
  gate: `Decides whether a report is worse than its baseline: exit code 0 no, 3 yes,
4 where the baseline is missing, broken or of other settings.

Usage: isotherm gate BASELINE.json CURRENT.json [flags]`,
  baseline: `Writes a baseline from a report, small and sorted, to be reviewed and committed;
shows how it differs from the one before.

Usage: isotherm baseline update CURRENT.json --to FILE [flags]`,
  backends: `Shows what this machine offers to compute with, each one measured.

Usage: isotherm backends [flags]`,
  history: `Keeps the figures of runs over commits, a line of JSON each, and shows them.

Usage: isotherm history append REPORT.json --to HISTORY.jsonl [flags]
       isotherm history page HISTORY.jsonl --html-report FILE [--overwrite]
       isotherm history badge HISTORY.jsonl --to badge.json`,
};

const EXAMPLES: Record<Command, string> = {
  quantize: `isotherm --model Dream-7B --output Dream-7B-int4 --bit-width 4`,
  inspect: `isotherm inspect Dream-7B --bit-width 4 --group-size 128`,
  verify: `isotherm verify Dream-7B-int4 --against Dream-7B`,
  compare: `isotherm compare baseline.json smooth.json optimize.json`,
  gate: `isotherm gate baseline.json report.json --max-score-drop 0.02`,
  baseline: `isotherm baseline update baseline_metrics.json --to baseline.json`,
  backends: `isotherm backends --json`,
  history: `isotherm history append report.json --to runs.jsonl --commit 1a2b3c4`,
};

/** The help of a command; at most 24 lines of at most 80 columns. */
export function renderHelp(command: Command): string {
  const lines: Flag[][] = [];
  for (const flag of FLAGS.filter(({ commands }) => commands.includes(command))) {
    if (flag.joined && lines.length > 0) lines.at(-1)!.push(flag);
    else lines.push([flag]);
  }
  return `${INTRO[command]}\n\n${lines.map(renderLine).join("\n")}\n\n` +
    `Examples: ${EXAMPLES[command]}\n`;
}

function renderLine(flags: readonly Flag[]): string {
  const names = flags.map(({ name, value }) => `--${name}${value ? ` ${value}` : ""}`).join(", ");
  return `  ${names.padEnd(25)}  ${flags.map(({ help }) => help).join("; ")}`;
}
