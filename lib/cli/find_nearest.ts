/** Finds the word that was meant. */

/**
 * The closest of some words, if one is close enough to have been meant: it begins or ends with what was
 * given, or has at most a third of its letters wrong, two at least.
 */
export async function findNearest(
  word: string,
  words: readonly string[],
): Promise<string | undefined> {
  const part = words.find((one) =>
    word.length >= 3 && (one.startsWith(word) || one.endsWith(word))
  );
  if (part !== undefined) return part;
  const levenshtein = await load();
  if (levenshtein === undefined || words.length === 0) return undefined;
  const near = levenshtein.closest(word, words);
  const isMeant = levenshtein.distance(word, near) <= Math.max(2, near.length / 3);
  return isMeant ? near : undefined;
}

/**
 * The package is fetched with the program, before its first line runs, and loaded here to answer a
 * mistake: so it costs no start-up time. Where it could not be fetched the mistake is answered without it.
 */
async function load() {
  try {
    return (await import("npm:fastest-levenshtein@1.0.16")).default;
  } catch {
    return undefined;
  }
}
