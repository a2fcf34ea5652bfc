/** The messages that docs/troubleshooting.md explains are those of the program. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

const PAGE = Deno.readTextFileSync(join(ROOT, "docs/troubleshooting.md"));

/** Words that stand for what changes from one message to the next; the page says so. */
const PLACEHOLDERS = ["NAME", "N", "VALUE", "WHAT"];

/** What stands for a placeholder of the page and for an expression of the sources. */
const HOLE = "\u25e6";

/** TypeScript of a folder, or of a file. */
function* sourcesOf(path: string): Generator<string> {
  if (path.endsWith(".ts")) yield Deno.readTextFileSync(join(ROOT, path));
  else if (!/\.\w+$/.test(path)) {
    for (const { name } of Deno.readDirSync(join(ROOT, path))) yield* sourcesOf(`${path}/${name}`);
  }
}

/** Source text as its messages read: without comments, expressions as holes, seams of `+` closed. */
function readSource(text: string): string {
  const code = text.replaceAll(/^\s*\/\*\*.*?\*\//gms, "").replaceAll(/^\s*\/\/.*$/gm, "");
  return pierce(code).map((part) => closeHoles(part.replaceAll(/["'`]\s*\+\s*["'`]/g, ""))).join(
    "\n",
  );
}

/** The text with a hole for each `${}`, and what stands within them, which may hold texts of its own. */
function pierce(code: string): string[] {
  let outer = "";
  const inner: string[] = [];
  let at = 0;
  for (let start; (start = code.indexOf("${", at)) >= 0;) {
    let [end, depth] = [start + 2, 1];
    for (; depth > 0 && end < code.length; end++) {
      if (code[end] === "{") depth++;
      if (code[end] === "}") depth--;
    }
    outer += code.slice(at, start) + HOLE;
    inner.push(code.slice(start + 2, end - 1));
    at = end;
  }
  return [outer + code.slice(at), ...inner.flatMap(pierce)];
}

/** Whether a hole is quoted, or has spaces or other holes beside it, depends on what fills it. */
function closeHoles(text: string): string {
  return text.replaceAll(new RegExp(`"${HOLE}"`, "g"), HOLE)
    .replaceAll(new RegExp(` ?${HOLE}[ ${HOLE}]*`, "g"), HOLE);
}

/** The message of the page with its placeholders as holes. */
function readMessage(message: string): string {
  const placeholder = new RegExp(`(?<!\\w)(${PLACEHOLDERS.join("|")})(?!\\w)`, "g");
  return closeHoles(message.replaceAll(placeholder, HOLE));
}

/** Messages are put together at colons, each part in a place of its own: all of them have to be there. */
function isSaid(message: string, sources: string): boolean {
  if (wordsOf(message) < 2) return false;
  if (sources.includes(message)) return true;
  const cuts = [...message.matchAll(/: ?/g)].map(({ index, 0: { length } }) => [index, length]);
  return cuts.some(([index, length]) =>
    isSaid(message.slice(0, index!), sources) && isSaid(message.slice(index! + length!), sources)
  );
}

/** How many words of a message are fixed: fewer than two may be anywhere. */
function wordsOf(message: string): number {
  return message.match(/[\w-]{2,}/g)?.length ?? 0;
}

/** First cells of tables that are nothing but code. */
function listMessages(page: string): string[] {
  return [...page.matchAll(/^\| `([^`|]+)` +\|/gm)].map(([, message]) => message!);
}

const SOURCES = ["lib", "cli.ts", "action"].flatMap((path) => [...sourcesOf(path)]).map(readSource)
  .join("\n");

Deno.test("docs/troubleshooting.md says which words of a message change", () => {
  const [intro] = PAGE.split("\n## ");
  for (const word of PLACEHOLDERS) assert.ok(intro!.includes(`\`${word}\``), word);
  assert.ok(PAGE.split("\n").length <= 171);
});

Deno.test("every message of docs/troubleshooting.md is one of the program, and stands there once", () => {
  const messages = listMessages(PAGE);
  assert.ok(messages.length >= 40, `${messages.length} messages`);
  assert.equal(new Set(messages).size, messages.length);
  const unsaid = messages.filter((message) => !isSaid(readMessage(message), SOURCES));
  assert.deepEqual(unsaid, []);
});

Deno.test("a message that no source has is found out", () => {
  const said = (message: string, source: string) =>
    isSaid(readMessage(message), readSource(source));
  const source =
    "fail(`Cannot read ${quote(\n  name)}: it has ${`${size} bytes`}, ` +\n 'too many: ' + `cut \"${at}\" off`)";
  assert.ok(said("Cannot read NAME: it has WHAT, too many: cut NAME off", source));
  assert.ok(said("N bytes are a lot", "`${isMuch ? `${n} bytes are a lot` : ''}`"));
  assert.ok(said("Cannot read NAME: cut NAME off", source), "in two parts");
  assert.ok(!said("Cannot read NAME: it had WHAT", source));
  assert.ok(!said("Cannot write NAME: it has WHAT", source));
  assert.ok(!said("Cannot read it has", source), "a hole is left out");
  assert.ok(!said("Cannot read NAME: cut", source), "one word is no message");
  assert.ok(!said("only a comment", "  /**\n   * only a comment\n   */\n"));
  assert.ok(!said("only a comment", "  // only a comment\n"));
  assert.ok(!said("Cannot read NAMES", source));
});
