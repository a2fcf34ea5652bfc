import { writeAll } from "../lib/base/write_all.ts";

/** Writes a line to the log of the job. */
export function say(line: string): void {
  writeAll(Deno.stdout, `${line}\n`);
}
