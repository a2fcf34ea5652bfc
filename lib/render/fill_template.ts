/** Fills templates; the engine is loaded by the run that needs it. */

/**
 * Fills a template. What `<%= %>` writes is escaped for markup.
 *
 * @param templates Texts by name; one includes another one with `include("@name", data)`.
 * @param name The one to begin with.
 * @param data What the templates call `it`.
 */
export async function fillTemplate(
  templates: Readonly<Record<string, string>>,
  name: string,
  data: object,
): Promise<string> {
  const { Eta } = await import("npm:eta@4.6.0/core");
  const eta = new Eta({
    autoEscape: true,
    autoTrim: [false, "nl"],
  });
  for (const [key, text] of Object.entries(templates)) eta.loadTemplate(`@${key}`, text);
  return eta.render(`@${name}`, data);
}
