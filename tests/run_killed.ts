/**
 * The command line, which is killed before the disk-changing call of a number, counted from 1:
 * `run_killed.ts NUMBER ARGUMENTS`. It ends as the command line does where fewer are made.
 */

import { interceptCalls, isChanging } from "./fail_calls.ts";
import { runMain } from "./run_cli.ts";

const [number = "0", ...argv] = Deno.args;
let count = 0;
interceptCalls((call) => {
  if (isChanging(call) && ++count === Number(number)) Deno.kill(Deno.pid, "SIGKILL");
});
Deno.exit((await runMain(...argv)).code);
