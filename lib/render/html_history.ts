/** Renders a history as one page that needs nothing else: charts over commits, and a table of all entries. */

import config from "../../deno.json" with { type: "json" };
import elementsSource from "../../templates/client/elements.js" with { type: "text" };
import chartSource from "../../templates/client/history_chart.js" with { type: "text" };
import historySource from "../../templates/client/history.js" with { type: "text" };
import historyTemplate from "../../templates/history.eta" with { type: "text" };
import figureStyle from "../../templates/style/figures.css" with { type: "text" };
import historyStyle from "../../templates/style/history.css" with { type: "text" };
import pageStyle from "../../templates/style/page.css" with { type: "text" };
import printStyle from "../../templates/style/print.css" with { type: "text" };
import tableStyle from "../../templates/style/tables.css" with { type: "text" };
import toneStyle from "../../templates/style/tones.css" with { type: "text" };
import { formatScore } from "../../templates/client/format.js";
import { countNouns, escapeText } from "../base/text.ts";
import { type HistoryEntry, listBreaches } from "../history/entry.ts";
import { identify, nameIdentities } from "../history/identify.ts";
import { type Grade, GRADES, type QualityMeasure } from "../report/grades.ts";
import { labelOf } from "../report/metrics.ts";
import { countEntries, describeEntry, formatMegabytes, formatSeconds } from "./describe_entry.ts";
import { fillTemplate } from "./fill_template.ts";
import { joinParts } from "./page_parts.ts";

/** Each before those that import it. */
const SOURCES = [elementsSource, chartSource, historySource];

/** Later ones have the last word. */
const STYLES = [pageStyle, toneStyle, figureStyle, tableStyle, historyStyle, printStyle];

/** Colors of lines; further ones have the same colors and other dashes. */
const COLORS = 4;

/** Dashes of lines, in pixels: drawn, left out, ... */
const DASHES = [[], [8, 4], [2, 3], [8, 3, 2, 3]];

/** A line of the charts: the runs of one model with the same settings. */
interface Line {
  /** What it is called. */
  label: string;
  /** Its color, 0 to 3. */
  color: number;
  /** Its dashes; none: it is solid. */
  dash: number[];
  /** Its entry at each commit; `null` where it has none. */
  entries: (HistoryEntry | null)[];
}

/** What one chart shows, as `templates/client/history_chart.js` reads it. */
interface Chart {
  /** Id of its element. */
  id: string;
  /** What it shows. */
  title: string;
  /** Its figures in a few words, for those who do not see them. */
  words: string;
  /** Figures of each line at each commit. */
  values: (number | null)[][];
  /** What the gate allows, of each line at each commit: from the limit to the baseline. */
  bands: ([limit: number, baseline: number] | null)[][];
  /** Limits of grades. */
  limits: { at: number; grade: Grade; words: string }[];
}

/**
 * Renders a history as a page.
 *
 * @param entries The oldest first.
 * @returns The same text for the same entries.
 * @throws {BadInputError} What pages are made with cannot be loaded.
 */
export async function renderHistoryHtml(entries: readonly HistoryEntry[]): Promise<string> {
  const { commits, lines } = arrange(entries);
  const charts = listCharts(lines);
  const data = {
    commits,
    lines: lines.map(({ label, color, dash, entries }) => ({
      label,
      color,
      dash,
      texts: entries.map((entry) => entry && describeEntry(entry)),
    })),
    charts: charts.map(({ id, values, bands, limits }) => ({ id, values, bands, limits })),
  };
  const labels = new Map(
    lines.flatMap(({ label, entries }) =>
      entries.flatMap((entry) => entry === null ? [] : [[identify(entry), label] as const])
    ),
  );
  return fillTemplate({ history: historyTemplate }, "history", {
    ...await joinParts(SOURCES, STYLES),
    version: config.version,
    title: listModels(entries),
    facts: [
      countEntries(entries.length),
      countNouns(new Set(entries.flatMap(({ commit }) => commit ?? [])).size, "commit"),
      countNouns(lines.length, "line"),
    ],
    lines,
    commits,
    charts,
    hasBands: charts.some(({ bands }) => bands.flat().some((band) => band !== null)),
    heads: HEADS,
    rows: entries.toReversed().map((entry) => viewRow(entry, labels.get(identify(entry))!)),
    data: JSON.stringify(data).replaceAll("<", "\\u003c"),
  });
}

/** Sorts entries into lines over commits; of two entries of a line and a commit the later one counts. */
function arrange(entries: readonly HistoryEntry[]): { commits: string[]; lines: Line[] } {
  const columns = new Map<string | number, number>();
  const placed = entries.map((entry, i) => {
    const key = entry.commit ?? i;
    const column = columns.get(key) ?? columns.size;
    columns.set(key, column);
    return { entry, column };
  });
  const groups = [...Map.groupBy(placed, ({ entry }) => identify(entry)).values()];
  const labels = nameIdentities(groups.map(([first]) => first!.entry));
  return {
    commits: Array.from(
      columns,
      ([key, column]) => typeof key === "string" ? shorten(key) : `#${column + 1}`,
    ),
    lines: groups.map((group, i): Line => {
      const at = new Map(group.map(({ entry, column }) => [column, entry]));
      return {
        label: labels[i]!,
        color: i % COLORS,
        dash: DASHES[Math.floor(i / COLORS) % DASHES.length]!,
        entries: Array.from({ length: columns.size }, (_, column) => at.get(column) ?? null),
      };
    }),
  };
}

/** A commit as it is usually shown. */
function shorten(commit: string): string {
  return commit.slice(0, 7);
}

function listModels(entries: readonly HistoryEntry[]): string {
  const [first = "", ...others] = new Set(entries.map(({ model_name }) => escapeText(model_name)));
  return others.length === 0 ? first : `${first} and ${countNouns(others.length, "other model")}`;
}

function listCharts(lines: readonly Line[]): Chart[] {
  const measures = (["outputs", "weights"] satisfies QualityMeasure[]).filter((measure) =>
    lines.some(({ entries }) => entries.some((entry) => entry?.measure === measure))
  );
  return [
    ...measures.map((measure) => qualityChart(lines, measure)),
    drawFigure(lines, "score", labelOf("smoothness_score"), (entry) => entry.smoothness_score, {
      bandOf: ({ least_smoothness_score: least, smoothness_score: own }) => pair(least, own),
    }),
    drawFigure(lines, "size", labelOf("model_size_mb"), (entry) => entry.model_size_mb, {
      bandOf: ({ most_model_size_mb: most, model_size_mb: own }) => pair(most, own),
    }),
    drawFigure(lines, "time", "Time of the run, s", (entry) => entry.quantization_time_s, {}),
  ];
}

/** The SQNR that runs are graded by, with the limits of the grades: those of weights and outputs are others. */
function qualityChart(lines: readonly Line[], measure: QualityMeasure): Chart {
  const metric = measure === "outputs" ? "output_sqnr_db" : "sqnr_db";
  return drawFigure(
    lines,
    measure,
    labelOf(metric),
    (entry) => entry.measure === measure ? entry[metric] ?? null : null,
    {
      bandOf: (baseline) =>
        baseline.measure === measure ? pair(baseline.least_sqnr_db, baseline.sqnr_db) : null,
      limits: GRADES.filter((limits) => Number.isFinite(limits[measure])).map((limits) => ({
        at: limits[measure],
        grade: limits.grade,
        words: `${limits.grade}, ${limits[measure]}`,
      })),
    },
  );
}

function drawFigure(
  lines: readonly Line[],
  id: string,
  title: string,
  valueOf: (entry: HistoryEntry) => number | null,
  { bandOf = () => null, limits = [] }: {
    bandOf?: (baseline: NonNullable<HistoryEntry["baseline"]>) => Chart["bands"][number][number];
    limits?: Chart["limits"];
  },
): Chart {
  const values = lines.map(({ entries }) => entries.map((entry) => entry && valueOf(entry)));
  const bands = lines.map(({ entries }) =>
    entries.map((entry) => entry?.baseline === undefined ? null : bandOf(entry.baseline))
  );
  const spans = lines.flatMap(({ label }, i) => {
    const known = values[i]!.filter((value) => value !== null);
    return known.length === 0 ? [] : [`${label} from ${known[0]} to ${known.at(-1)}`];
  });
  return { id, title, words: `${title}: ${spans.join("; ") || "none"}`, values, bands, limits };
}

function pair(limit: number | null, baseline: number | null): [number, number] | null {
  return limit === null || baseline === null ? null : [limit, baseline];
}

/** Headings of the table; numeric ones stand on the right, minor ones are left out on a phone. */
const HEADS: { label: string; kind: string }[] = [
  { label: "Commit", kind: "" },
  { label: "Model", kind: "" },
  { label: "Quality", kind: "" },
  { label: "Against the baseline", kind: "" },
  { label: labelOf("sqnr_db"), kind: "numeric" },
  { label: labelOf("output_sqnr_db"), kind: "numeric minor" },
  { label: labelOf("smoothness_score"), kind: "numeric" },
  { label: labelOf("violation_count"), kind: "numeric minor" },
  { label: "Layers with violations", kind: "numeric minor" },
  { label: labelOf("model_size_mb"), kind: "numeric minor" },
  { label: labelOf("bits_per_weight"), kind: "numeric minor" },
  { label: "Time, s", kind: "numeric minor" },
];

/** An entry as a row of the table. */
interface Row {
  /** Commit and model. */
  commit: string;
  /** The whole hash; empty where none was given. */
  hash: string;
  /** The line it belongs to. */
  model: string;
  /** Grade of the quality. */
  grade: Grade;
  /** Figures, from the SQNR of the weights on, in the order of the headings. */
  figures: string[];
  /** What lies outside of the baseline's band. */
  against: { tone: "same" | "worse"; words: string };
}

function viewRow(entry: HistoryEntry, model: string): Row {
  const { commit, sqnr_db, output_sqnr_db: output, smoothness_score: score } = entry;
  return {
    commit: commit === null ? "none" : shorten(commit),
    hash: commit ?? "",
    model,
    grade: entry.grade,
    figures: [
      sqnr_db === null ? "no error" : sqnr_db.toFixed(2),
      output === undefined ? "n/a" : output.toFixed(2),
      score === null ? "no boundary" : formatScore(score),
      `${entry.violation_count}`,
      `${entry.layers_with_violations}`,
      formatMegabytes(entry.model_size_mb),
      entry.bits_per_weight.toFixed(2),
      formatSeconds(entry.quantization_time_s),
    ],
    against: describeBreaches(listBreaches(entry)),
  };
}

function describeBreaches(breaches: ReturnType<typeof listBreaches>): Row["against"] {
  if (breaches === undefined) return { tone: "same", words: "no baseline" };
  if (breaches.length === 0) return { tone: "same", words: "inside" };
  return { tone: "worse", words: `outside: ${breaches.join(", ")}` };
}
