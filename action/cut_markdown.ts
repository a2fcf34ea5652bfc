/** Keeps Markdown below the length a place takes. */

const UTF8 = new TextEncoder();

/**
 * Cuts Markdown between two lines and says where the rest is.
 *
 * @param limit Most bytes of the result, and so most characters.
 * @param pointer A paragraph for the end of a text that was cut.
 * @returns The text itself where it is short enough.
 */
export function cutMarkdown(text: string, limit: number, pointer: string): string {
  if (byteLength(text) <= limit) return text;
  const end = `\n${pointer}\n`;
  let room = limit - byteLength(end);
  const kept: string[] = [];
  for (const line of text.split("\n")) {
    room -= byteLength(line) + 1;
    if (room < 0) break;
    kept.push(`${line}\n`);
  }
  return kept.join("") + end;
}

function byteLength(text: string): number {
  return UTF8.encode(text).length;
}
