/** Puts findings into the order and the words in which every reader is told of them. */

import { countNouns } from "../base/text.ts";
import type { Finding } from "./apply_rules.ts";

/** Findings of a gate, summed up. */
export interface Tally {
  /** Broken rules: failures before warnings, each in the order of the rules. */
  broken: Finding[];
  /** How many of them fail the gate. */
  failures: number;
  /** Their numbers: `1 failure, 2 warnings, 5 of 8 checks passed`. */
  words: string;
}

/** Sums findings up. */
export function tallyFindings(findings: readonly Finding[]): Tally {
  const ofLevel = (level: Finding["level"]) =>
    findings.filter((finding) => !finding.passed && finding.level === level);
  const [failing, warning] = [ofLevel("fail"), ofLevel("warn")];
  const broken = [...failing, ...warning];
  const parts = [
    ...failing.length > 0 ? [countNouns(failing.length, "failure")] : [],
    ...warning.length > 0 ? [countNouns(warning.length, "warning")] : [],
    `${findings.length - broken.length} of ${countNouns(findings.length, "check")} passed`,
  ];
  return { broken, failures: failing.length, words: parts.join(", ") };
}
