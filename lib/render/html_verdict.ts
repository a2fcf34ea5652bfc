/** The head of a page, as plain texts for its template: the verdict, quality first, and what to do. */

import { formatDecibel, formatScore } from "../../templates/client/format.js";
import { escapeText } from "../base/text.ts";
import { describeCost } from "../report/advise.ts";
import type { Report } from "../report/build_report.ts";
import { type Grade, GRADES } from "../report/grades.ts";
import { storedScore } from "../report/judge_quality.ts";
import { countRough } from "../report/rank_damage.ts";
import { reportQuality } from "../report/report_quality.ts";
import { adviseCommand, type AdvisedCommand } from "./repeat_command.ts";

/** End of the scale of the qualities, in dB: above it nobody tells a model from the original. */
const MOST_DECIBEL = 50;

/** What the head of a page says. */
export interface VerdictView {
  /** The worse of the grades of quality and smoothness. */
  verdict: Grade;
  /** That as a title. */
  title: string;
  /** The quality. */
  quality: {
    grade: Grade;
    /** The SQNR that was graded. */
    figure: string;
    /** Of what it is. */
    measure: string;
    /** What was graded, and what such models were seen to do. */
    reading: string;
    /** Where the figure lies on the scale, in percent. */
    percent: string;
    /** The grades along the scale, worst first. */
    zones: { grade: Grade; from: number; width: number }[];
    /** Where one grade ends and the next begins, in percent and in words. */
    limits: { at: number; words: string }[];
    /** The scale in words. */
    words: string;
  };
  /** The smoothness in a few words. */
  smoothness: { grade: Grade | null; words: string };
  /** What to do, and what it costs. */
  next: string;
  /** The command that does it; `null`: there is none to type. */
  command: string | null;
}

/**
 * Puts a verdict into words.
 *
 * @param how Where the files of the run lie, if that is known.
 */
export function viewVerdict(report: Report, how: AdvisedCommand = {}): VerdictView {
  const { verdict, quality, smoothness, reading, advice } = reportQuality(report);
  const { measure, sqnr_db, grade } = quality;
  const command = adviseCommand(report, advice, how);
  const zones = GRADES.map((limits, i) => {
    const [from, to] = [limits, GRADES[i - 1]].map((one, end) =>
      Math.min(MOST_DECIBEL, Math.max(0, one?.[measure] ?? (end === 0 ? 0 : MOST_DECIBEL)))
    ) as [number, number];
    return { grade: limits.grade, from: percentOf(from), width: percentOf(to - from) };
  }).reverse();
  const limits = GRADES.filter((one) => Number.isFinite(one[measure])).reverse();
  return {
    verdict,
    title: `${verdict[0]!.toUpperCase()}${verdict.slice(1)}`,
    quality: {
      grade,
      figure: formatDecibel(sqnr_db),
      measure: `SQNR, ${measure}`,
      reading: escapeText(reading),
      percent: percentOf(Math.min(MOST_DECIBEL, Math.max(0, sqnr_db ?? MOST_DECIBEL))).toFixed(1),
      zones,
      limits: limits.map((one) => ({ at: percentOf(one[measure]), words: String(one[measure]) })),
      words: limits.map((one) => `${one.grade} from ${one[measure]} dB`).join(", "),
    },
    smoothness: { grade: smoothness, words: describeSmoothness(report) },
    next: command === null ? advice.words : `${advice.words}, ${describeCost(advice)}`,
    command,
  };
}

function percentOf(db: number): number {
  return 100 * db / MOST_DECIBEL;
}

function describeSmoothness(report: Report): string {
  const { violation_count: violations, layers, interpretation, num_time_groups } = report;
  if (num_time_groups === 1) return "not scored: one time group has no boundary";
  return `${formatScore(storedScore(report))}, ` +
    `${violations} violations (${escapeText(interpretation.violations).toLowerCase()}), ` +
    `${countRough(layers)} of ${layers.length} layers have some of their own`;
}
