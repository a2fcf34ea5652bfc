/** `isotherm --model DIR --output DIR`: the run, its report and its log. */

import { writePieces } from "../../safetensors/write.ts";
import { countLeft, countNouns, escapeText } from "../../base/text.ts";
import { loadBaseline } from "../../report/load_report.ts";
import { groupSizeOf } from "../../settings/settings.ts";
import type { Invocation } from "../parse_args.ts";
import { runPlan } from "../../run/pipeline.ts";
import { checkPlan } from "../../run/check_plan.ts";
import { checkSpace } from "../../run/check_space.ts";
import { hearSignals, refuseAborted, settle, stopOnAbort } from "../../run/stop_on_abort.ts";
import { listWarnings } from "../../run/list_warnings.ts";
import { sideBytes } from "../../run/take_side_files.ts";
import { openPlan, type PartPlan, type RunPlan, sourceBytes } from "../../run/plan_run.ts";
import type { Report } from "../../report/build_report.ts";
import { formatPieces } from "../../report/format_report.ts";
import type { Comparison } from "../../report/comparison.ts";
import { renderConsole } from "../../render/render_console.ts";
import {
  adviseCommand,
  quotePath,
  type RunPaths,
  startProgram,
} from "../../render/repeat_command.ts";
import { describeAdvice } from "../../report/advise.ts";
import { reportQuality } from "../../report/report_quality.ts";
import { checkOutput } from "../../run/check_output.ts";
import { pendingDirectory, pendingFile, repairOutputs } from "../../run/pending_output.ts";
import { commitAll, discardAll, type PendingOutput } from "../../run/put_in_place.ts";
import { checkReportFiles, logName } from "./check_report_files.ts";
import type { Io } from "./io.ts";
import { watchRun } from "./watch_run.ts";

/** Runs the command. */
export async function quantize(invocation: Invocation, io: Io): Promise<void> {
  const { settings } = invocation;
  // First of all, since a run whose baseline is broken is not worth its time.
  const comparing = invocation.compare === undefined
    ? undefined
    : await compareWith(invocation.compare);
  const plan = await openPlan(invocation.model, settings);
  checkPlan(plan, settings);
  const log = startLog();
  const say = (line: string, shown: boolean) => {
    log.add(line);
    if (shown) io.stderr(`${line}\n`);
  };
  for (const line of listWarnings(plan, settings)) say(line, true);
  if (invocation.dryRun) {
    const space = invocation.output === ""
      ? undefined
      : await checkSpace(plan, invocation.output, checkTarget(invocation, plan), invocation.link);
    const { summarizePlan } = await import("../../run/summarize_plan.ts");
    const { renderPlan } = await import("../../render/render_plan.ts");
    const summary = summarizePlan(plan, settings, space);
    io.stdout(invocation.json ? `${JSON.stringify(summary, null, 2)}\n` : renderPlan(summary));
    return;
  }
  const { htmlReport } = invocation;
  const paths = [invocation.output, invocation.report, logName(invocation.report)];
  if (htmlReport !== undefined) paths.push(htmlReport);
  const repaired = new Set(repairOutputs(paths));
  for (const note of repaired) say(note, true);
  const target = checkTarget(invocation, plan);
  await checkSpace(plan, invocation.output, target, invocation.link);
  const renderHtml = htmlReport === undefined ? undefined : await loadRenderer();
  const outputs: PendingOutput[] = [];
  const watch = watchRun(io, sourceBytes(plan) + (invocation.link ? 0 : sideBytes(plan.source)));
  const finishing = finish();
  try {
    await stopOnAbort(io.signal, finishing);
  } finally {
    watch.clear();
    await settle(finishing);
    await discardAll(outputs);
  }

  async function finish(): Promise<void> {
    const start = (output: PendingOutput) => {
      outputs.push(output);
      return output;
    };
    const directory = start(pendingDirectory(target));
    const startFile = (path: string) => start(pendingFile(path, directory));
    const reportFile = startFile(invocation.report);
    const logFile = startFile(logName(invocation.report));
    const htmlFile = htmlReport === undefined ? undefined : startFile(htmlReport);
    for (const note of outputs.flatMap(({ notes }) => notes)) {
      if (!repaired.has(note)) say(note, true);
    }
    // Once more, since another run may have put its own there before this one had the locks.
    checkTarget(invocation, plan);
    say(headline(plan, invocation), true);
    const { link } = invocation;
    const measured = await runPlan(plan, { ...settings, link }, directory, {
      signal: io.signal,
      onProgress: watch.onProgress,
      onLog: (line) => {
        if (invocation.verbose) watch.clear();
        say(line, invocation.verbose);
      },
    });
    watch.clear();
    const comparison = comparing?.compare(measured);
    const report = comparison === undefined ? measured : { ...measured, comparison };
    await hearSignals(io.signal);
    const block = renderConsole(report, invocation.verbose);
    const difference = comparison === undefined
      ? ""
      : comparing!.render(comparison, invocation.report);
    const closing = nextSteps(report, invocation, io.entry);
    const utf8 = new TextEncoder();
    // Once a signal was heard all is removed, and a file that is made later would stay.
    const write = async ({ path }: PendingOutput, label: string, pieces: Iterable<Uint8Array>) => {
      refuseAborted(io.signal);
      await writePieces(path, label, pieces);
    };
    await write(reportFile, invocation.report, encodePieces(report));
    const logText = [...log.lines(), `${block}${difference}`, ...closing, ""].join("\n");
    await write(logFile, logName(invocation.report), [utf8.encode(logText)]);
    if (htmlFile !== undefined) {
      const page = await renderHtml!(report, {
        ...comparison && { comparison },
        advised: { entry: io.entry, paths: pathsOf(invocation) },
      });
      await write(htmlFile, htmlReport!, [utf8.encode(page)]);
    }
    // Printed before anything is put in place: a result nobody could read leaves nothing behind.
    if (!invocation.json) await io.stdout(block);
    else for (const piece of formatPieces(report)) await io.stdout(piece);
    await hearSignals(io.signal);
    commitAll(outputs);
    if (difference !== "") io.stderr(difference);
    for (const line of closing) io.stderr(`${line}\n`);
  }
}

/** Lines that are joined at a time. */
const JOINED_LINES = 2 ** 10;

/** Keeps lines; those of a hundred thousand layers take a tenth of the memory when they are joined. */
function startLog(): { add: (line: string) => void; lines: () => string[] } {
  const joined: string[] = [];
  let last: string[] = [];
  return {
    add(line) {
      last.push(line);
      if (last.length < JOINED_LINES) return;
      joined.push(last.join("\n"));
      last = [];
    },
    lines: () => [...joined, ...last],
  };
}

function* encodePieces(report: Report): Generator<Uint8Array> {
  const utf8 = new TextEncoder();
  for (const piece of formatPieces(report)) yield utf8.encode(piece);
}

/** Loads all that a page needs, before the work: afterwards it would be too late to say that it cannot be. */
async function loadRenderer(): Promise<
  typeof import("../../render/render_html.ts").renderHtml
> {
  const { loadPageTools, renderHtml } = await import("../../render/render_html.ts");
  await loadPageTools();
  return renderHtml;
}

/** Reads what a run is compared with, and loads what compares; a run without pays for neither. */
async function compareWith(path: string) {
  const baseline = loadBaseline(path);
  const { compareReports } = await import("../../compare/compare_reports.ts");
  const { renderComparison } = await import("../../render/render_comparison.ts");
  return {
    compare: (measured: Report) => compareReports(baseline, measured),
    render: (comparison: Comparison, current: string) =>
      renderComparison([comparison], { baseline: path, currents: [current] }),
  };
}

function checkTarget(invocation: Invocation, plan: RunPlan): string {
  const target = checkOutput(invocation.output, plan.source.directory, invocation.overwrite);
  checkReportFiles(invocation, plan, target);
  return target;
}

function headline({ source, parts }: RunPlan, { settings }: Invocation): string {
  const groupSize = groupSizeOf(settings);
  const blocks = groupSize === null ? "" : `, blocks of ${groupSize}`;
  const count = (list: (part: PartPlan) => readonly unknown[]) =>
    parts.reduce((total, part) => total + list(part).length, 0);
  const layers = count(({ selection }) => selection.layers);
  const skipped = count(({ selection }) => selection.skipped);
  const components = parts.filter(({ component }) => component !== "")
    .map(({ component }) => escapeText(component));
  const which = components.length === 0 ? "" : ` (${components.join(", ")})`;
  return `Quantizing ${escapeText(source.name)}${which}: ${countNouns(layers, "layer")} to ` +
    `INT${settings.bits}, ${countNouns(settings.timeGroups, "time group")}, ` +
    `by ${settings.granularity}s${blocks}, ${countLeft(skipped)}, ` +
    `for ${settings.format}`;
}

function nextSteps(report: Report, invocation: Invocation, entry: string): string[] {
  const { output, model, htmlReport: file = invocation.report } = invocation;
  const { verdict, advice } = reportQuality(report);
  const command = adviseCommand(report, advice, { entry, paths: pathsOf(invocation) }) ??
    `${startProgram(entry)} baseline update ${
      quotePath(invocation.report)
    } --to .isotherm/baseline.json`;
  return [
    ...describeOutputs(report),
    `Verdict: ${verdict}. Next: ${describeAdvice(advice)}:`,
    `  ${command}`,
    `Report: ${
      escapeText(file)
    }. To decode the checkpoint from disk and compare it with the model:`,
    `  ${startProgram(entry)} verify ${quotePath(output)} --against ${quotePath(model)}`,
  ];
}

function pathsOf(invocation: Invocation): RunPaths {
  const { model, output, report, htmlReport, settings } = invocation;
  return {
    model,
    output,
    report,
    html: htmlReport,
    calibration: settings.calibration ?? "calibration.safetensors",
  };
}

/** What a calibrated run comes to, since the block has the figures of the weights alone. */
function describeOutputs(
  { output_sqnr_db: output, sqnr_db: weights, layers }: Report,
): string[] {
  if (output === undefined) return [];
  const own = weights === null ? "no error" : weights.toFixed(1);
  const known = layers.filter(({ output_sqnr_db }) => output_sqnr_db !== undefined).length;
  const some = known < layers.length ? ` over ${known} of ${layers.length} layers` : "";
  return [`Output SQNR ${output.toFixed(1)} dB${some} (weights ${own})`];
}
