/**
 * The steps of the action. Each is a process of its own, so that none has more permissions than it needs:
 * only `measure` sees the model, only `comment` the network, and only `publish` loads `@actions/core`.
 *
 * @module
 */

import { say } from "./say.ts";

/**
 * Runs a step.
 *
 * @param args The step, and what action.yml hands it.
 * @returns The exit code.
 */
async function main([step, ...args]: string[]): Promise<number> {
  const env = (name: string) => Deno.env.get(name);
  switch (step) {
    case "measure":
      return await (await import("./measure.ts")).measure(args[0]!, env);
    case "publish":
      await (await import("./publish.ts")).publish(args[0]!, Number(args[1]), env);
      return 0;
    case "comment":
      say(await (await import("./post_comment.ts")).postComment(args[0]!));
      return 0;
  }
  say(`error: Unknown step ${JSON.stringify(step)}: expected measure, publish or comment`);
  return 2;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
