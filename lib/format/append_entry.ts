/** Adds to a JSON text without touching the rest of it. */

/**
 * Adds an entry at the end of a JSON object without touching the rest of its text, so that numbers,
 * order and layout stay as their author wrote them. An entry of the same key goes.
 *
 * @param text A JSON object that has been read before; `undefined` starts a new one.
 */
export function appendEntry(text: string | undefined, key: string, value: unknown): string {
  const body = JSON.stringify(value, null, 2).replaceAll("\n", "\n  ");
  const entry = `  ${JSON.stringify(key)}: ${body}\n}\n`;
  if (text === undefined) return `{\n${entry}`;
  const rest = removeEntry(text, key);
  const before = rest.slice(0, rest.lastIndexOf("}")).trimEnd();
  return `${before}${before.endsWith("{") ? "" : ","}\n${entry}`;
}

/** Strings and what is between the values of well-formed JSON; a colon says nothing more. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]/g;

/** A JSON object's text without its entry of this key, if it has one, and without one comma beside it. */
function removeEntry(text: string, key: string): string {
  let depth = 0;
  /** Where the entry that is being read begins: behind a brace or a comma. */
  let from = 0;
  let name: string | undefined;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    // Of an entry's strings the first is its key; it may be written with escapes.
    if (token.startsWith('"')) {
      if (depth === 1) name ??= JSON.parse(token) as string;
      continue;
    }
    if (depth === 1 && (token === "," || token === "}")) {
      const isFirst = text[from - 1] === "{";
      if (name === key) {
        return token === ","
          ? text.slice(0, from) + text.slice(index + 1)
          : text.slice(0, isFirst ? from : from - 1) + text.slice(index);
      }
      name = undefined;
    }
    if (token === "{" || token === "[") depth++;
    if (token === "}" || token === "]") depth--;
    if (depth === 1 && (token === "{" || token === ",")) from = index + 1;
  }
  return text;
}
