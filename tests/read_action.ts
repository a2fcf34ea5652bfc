/** Reads an action.yml. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "npm:yaml@2.9.1";

/** A step of an action. */
export interface Step {
  name: string;
  id?: string;
  if?: string;
  uses?: string;
  with?: Record<string, string | boolean>;
  shell?: string;
  env?: Record<string, string>;
  run?: string;
  "continue-on-error"?: boolean;
}

/** What action.yml says. */
export interface Action {
  inputs: Record<string, { description?: string; default?: string }>;
  outputs?: Record<string, { value: string }>;
  runs: { using: string; steps: Step[] };
}

/** The action of this project. */
export const ACTION = fileURLToPath(new URL("../action", import.meta.url));

/** Reads an action.yml. */
export function readAction(directory: string): Action {
  return parse(Deno.readTextFileSync(join(directory, "action.yml"))) as Action;
}
