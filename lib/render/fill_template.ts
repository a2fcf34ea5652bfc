/** Fills templates; the engine is loaded by the run that needs it. */

import { BadInputError } from "../base/errors.ts";

/**
 * Loads the engine.
 *
 * @throws {BadInputError} It cannot be loaded.
 */
export async function loadEngine(): Promise<typeof import("npm:eta@4.6.0/core").Eta> {
  try {
    return (await import("npm:eta@4.6.0/core")).Eta;
  } catch (error) {
    const [reason] = String(error).split("\n");
    throw new BadInputError(
      `Cannot load the template engine "npm:eta@4.6.0": ${reason}: ` +
        "run once with a network, or leave pages (--html-report) out",
    );
  }
}

/**
 * Fills a template. What `<%= %>` writes is escaped for markup.
 *
 * @param templates Texts by name; one includes another one with `include("@name", data)`.
 * @param name The one to begin with.
 * @param data What the templates call `it`.
 * @throws {BadInputError} The engine cannot be loaded.
 */
export async function fillTemplate(
  templates: Readonly<Record<string, string>>,
  name: string,
  data: object,
): Promise<string> {
  const Eta = await loadEngine();
  const eta = new Eta({
    autoEscape: true,
    autoTrim: [false, "nl"],
  });
  for (const [key, text] of Object.entries(templates)) eta.loadTemplate(`@${key}`, text);
  return eta.render(`@${name}`, data);
}
