/** How a commit is named; loaded by every run of the command line, so it stands alone. */

import type { ValueRule } from "../base/value_rules.ts";

/** What names a commit. */
export const COMMIT: ValueRule = {
  allowed: "a commit's hash, 7 to 64 hexadecimal digits",
  accepts: (value) => typeof value === "string" && /^[0-9a-f]{7,64}$/i.test(value),
};
