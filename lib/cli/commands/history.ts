/** `isotherm history append|page|badge`: the figures of runs over commits. */

import { BadInputError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import { makeBadge } from "../../history/badge.ts";
import { type HistoryEntry, makeHistoryEntry } from "../../history/entry.ts";
import { nameIdentities } from "../../history/identify.ts";
import { appendToHistory, parseHistory } from "../../history/parse_history.ts";
import {
  exists,
  isLeftByRun,
  loadBaseline,
  loadHistory,
  loadReport,
} from "../../report/load_report.ts";
import { holdsFile } from "../../run/check_output.ts";
import { countEntries, describeEntry } from "../../render/describe_entry.ts";
import type { Invocation } from "../parse_args.ts";
import type { Io } from "./io.ts";
import { writeText } from "./write_text.ts";

/** Runs the command. A history that cannot be read is left as it is. */
export function history(invocation: Invocation, io: Io): Promise<void> {
  const { action } = invocation.history;
  if (action === "page") return writePage(invocation, io);
  return action === "badge" ? writeBadge(invocation, io) : append(invocation, io);
}

async function append({ files, to, json, history }: Invocation, io: Io): Promise<void> {
  const [file = ""] = files;
  const report = loadReport(file);
  const { commit, baseline } = history;
  const entry = makeHistoryEntry(report, {
    commit,
    ...baseline !== undefined && { baseline: loadBaseline(baseline), baselineName: baseline },
  });
  const add = (text: string) => appendToHistory(text, entry);
  let added = { text: "", replaced: false, count: 0 };
  const makeText = () => {
    added = exists(to) ? loadHistory(to, add) : add("");
    return added.text;
  };
  await writeText(to, makeText, () => {
    const name = nameIdentities([entry])[0]!;
    io.stdout(
      json
        ? `${JSON.stringify({ replaced: added.replaced, entry }, null, 2)}\n`
        : `${name}: ${describeEntry(entry)}\n`,
    );
  });
  const done = added.replaced ? `Replaced the entry of commit ${entry.commit} in` : "Appended to";
  io.stderr(`${done} the history ${quote(to)}: ${countEntries(added.count)}\n`);
}

async function writePage({ files, htmlReport = "", overwrite }: Invocation, io: Io): Promise<void> {
  const [file = ""] = files;
  const entries = loadEntries(file);
  checkTarget(htmlReport, "page", "--html-report", overwrite);
  const { renderHistoryHtml } = await import("../../render/html_history.ts");
  await writeText(htmlReport, () => renderHistoryHtml(entries), () => {});
  io.stderr(`Wrote the page ${quote(htmlReport)}: ${countEntries(entries.length)}\n`);
}

async function writeBadge({ files, to }: Invocation, io: Io): Promise<void> {
  const [file = ""] = files;
  const badge = makeBadge(loadEntries(file).at(-1)!);
  // Written anew after every run, so that a badge gives way unasked.
  checkTarget(to, "badge", "--to", true);
  await writeText(to, () => `${JSON.stringify(badge)}\n`, () => io.stdout(`${badge.message}\n`));
  io.stderr(`Wrote the badge ${quote(to)}\n`);
}

/** Reads a history that has something to show. */
function loadEntries(path: string): HistoryEntry[] {
  const entries = loadHistory(path, parseHistory);
  if (entries.length > 0) return entries;
  throw new BadInputError(
    `Cannot show the history ${quote(path)}: it holds no entry: ` +
      "add one with isotherm history append",
  );
}

/** Leaves alone what is no page or badge of Isotherm, and a page that may not be replaced. */
function checkTarget(
  path: string,
  kind: "page" | "badge",
  flag: string,
  overwrite: boolean,
): void {
  if (!holdsFile(path, path)) return;
  const fail = (what: string) => {
    throw new BadInputError(`Cannot write ${quote(path)}: ${what}`);
  };
  if (!overwrite) {
    fail(`it exists and is not empty: give another ${flag}, or --overwrite to replace it`);
  }
  if (!isLeftByRun(path, kind)) {
    fail(
      `it cannot be read as a ${kind} of Isotherm: give another ${flag}, or remove it yourself`,
    );
  }
}
