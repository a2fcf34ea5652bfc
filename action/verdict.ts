/** What a run of the action comes to; the exit codes of the command line, kept apart. */

/** One of the verdicts. */
export type Verdict = "pass" | "regression" | "baseline-problem" | "bad-input" | "crash";

const BY_CODE = new Map<number, Verdict>([
  [0, "pass"],
  [2, "bad-input"],
  [3, "regression"],
  [4, "baseline-problem"],
]);

/** The verdict an exit code stands for; a code that is none of Isotherm's own is a crash. */
export function nameVerdict(code: number): Verdict {
  return BY_CODE.get(code) ?? "crash";
}
