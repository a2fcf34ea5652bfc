/** `isotherm --model DIR --output DIR`: the run, its report and its log. */

import { writeWhole } from "../../safetensors/write.ts";
import { countNouns, escapeText, quote } from "../../base/text.ts";
import { loadBaseline } from "../../report/load_report.ts";
import { modelBytes } from "../../model/open_model.ts";
import { describeGroupSize, groupSizeOf, type QuantizeSettings } from "../../settings/settings.ts";
import type { Invocation } from "../parse_args.ts";
import { runPlan } from "../../run/pipeline.ts";
import { checkPlan } from "../../run/check_plan.ts";
import { openPlan, type RunPlan } from "../../run/plan_run.ts";
import { formatReport, type Report } from "../../report/build_report.ts";
import type { Comparison } from "../../report/comparison.ts";
import { renderConsole } from "../../render/render_console.ts";
import {
  checkOutput,
  commitAll,
  discardAll,
  pendingDirectory,
  pendingFile,
  type PendingOutput,
} from "../../run/pending_output.ts";
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
  const plan = openPlan(invocation.model, settings);
  checkPlan(plan, settings);
  const log: string[] = [];
  const say = (line: string, shown: boolean) => {
    log.push(line);
    if (shown) io.stderr(`${line}\n`);
  };
  for (const line of warnings(plan, settings)) say(line, true);
  if (invocation.dryRun) {
    if (invocation.output !== "") checkTarget(invocation, plan);
    const { summarizePlan } = await import("../../run/summarize_plan.ts");
    const { renderPlan } = await import("../../render/render_plan.ts");
    const summary = summarizePlan(plan, settings);
    io.stdout(invocation.json ? `${JSON.stringify(summary, null, 2)}\n` : renderPlan(summary));
    return;
  }
  const target = checkTarget(invocation, plan);
  const { htmlReport } = invocation;
  const renderHtml = htmlReport === undefined ? undefined : await loadRenderer();
  const outputs: PendingOutput[] = [];
  const watch = watchRun(io, modelBytes(plan.model));
  try {
    const directory = pendingDirectory(target);
    outputs.push(directory);
    const reportFile = pendingFile(invocation.report, directory);
    const logFile = pendingFile(logName(invocation.report), directory);
    outputs.push(reportFile, logFile);
    const htmlFile = htmlReport === undefined ? undefined : pendingFile(htmlReport, directory);
    if (htmlFile !== undefined) outputs.push(htmlFile);
    say(headline(plan, invocation), true);
    const measured = await runPlan(plan, settings, directory, {
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
    const text = formatReport(report);
    const block = renderConsole(report);
    const difference = comparison === undefined
      ? ""
      : comparing!.render(comparison, invocation.report);
    const closing = nextSteps(report, invocation);
    const utf8 = new TextEncoder();
    await writeWhole(reportFile.path, invocation.report, utf8.encode(text));
    const logText = [...log, `${block}${difference}`, ...closing, ""].join("\n");
    await writeWhole(logFile.path, logName(invocation.report), utf8.encode(logText));
    if (htmlFile !== undefined) {
      await writeWhole(
        htmlFile.path,
        htmlReport!,
        utf8.encode(await renderHtml!(report, comparison && { comparison })),
      );
    }
    // Printed before anything is put in place: a result nobody could read leaves nothing behind.
    io.stdout(invocation.json ? text : block);
    commitAll(outputs);
    if (difference !== "") io.stderr(difference);
    for (const line of closing) io.stderr(`${line}\n`);
  } finally {
    watch.clear();
    await discardAll(outputs);
  }
}

/** Loads all that a page needs, before the work: afterwards it would be too late to say that it cannot be. */
async function loadRenderer(): Promise<
  typeof import("../../render/render_html.ts").renderHtml
> {
  const { loadEngine } = await import("../../render/fill_template.ts");
  await loadEngine();
  return (await import("../../render/render_html.ts")).renderHtml;
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

function checkTarget(invocation: Invocation, { model }: RunPlan): string {
  const target = checkOutput(invocation.output, model.directory, invocation.overwrite);
  checkReportFiles(invocation, model, target);
  return target;
}

function headline({ model, selection }: RunPlan, { settings }: Invocation): string {
  const groupSize = groupSizeOf(settings);
  const blocks = groupSize === null ? "" : `, blocks of ${groupSize}`;
  return `Quantizing ${escapeText(model.name)}: ${
    countNouns(selection.layers.length, "layer")
  } to ` +
    `INT${settings.bits}, ${
      countNouns(settings.timeGroups, "time group")
    }, by ${settings.granularity}s${blocks}, ` +
    `${countNouns(selection.skipped.length, "tensor")} left as they are`;
}

function warnings({ model, selection }: RunPlan, settings: QuantizeSettings): string[] {
  const lines = selection.unusedPatterns.map((pattern) =>
    `Warning: --ignore ${quote(pattern)} matches no tensor`
  );
  const fallback = selection.layers.filter(({ grid }) => grid.fallback);
  if (fallback[0] !== undefined) {
    const size = fallback[0].grid.groupSize;
    const taken = size === null ? "one block" : `blocks of ${size}`;
    lines.push(
      `Warning: ${describeGroupSize(settings)} does not suit the columns of ${
        countNouns(fallback.length, "layer")
      }: the first, ${quote(fallback[0].name)}, takes ${taken} a ${settings.granularity}`,
    );
  }
  const [short] = selection.tooFewRows;
  if (short !== undefined) {
    lines.push(
      `Warning: --num-time-groups ${settings.timeGroups} leaves out ${
        countNouns(selection.tooFewRows.length, "layer")
      } with fewer rows, the first ${quote(short.name)} (${countNouns(short.rows, "row")}): ` +
        "lower it to quantize them",
    );
  }
  if (model.leftOut.length > 0) {
    const shown = model.leftOut.slice(0, 3).map(quote).join(", ");
    const more = model.leftOut.length > 3 ? `, and ${model.leftOut.length - 3} more` : "";
    lines.push(`Not copied: ${shown}${more}`);
  }
  return lines;
}

function nextSteps(report: Report, invocation: Invocation): string[] {
  const { output, model, htmlReport: file = invocation.report } = invocation;
  const { score, violations, next_step } = report.interpretation;
  return [
    `Score: ${score}. Violations: ${violations}. Next: ${next_step}.`,
    `Check the checkpoint: isotherm verify ${escapeText(output)} --against ${escapeText(model)}; ` +
    `look at the report: ${escapeText(file)}`,
  ];
}
