/** Finds the word that was meant. Here and in no package, so that a mistake is answered without a network. */

/**
 * The closest of some words, if one is close enough to have been meant: it begins or ends with what was
 * given, or has at most a third of its letters wrong, two at least.
 */
export function findNearest(word: string, words: readonly string[]): string | undefined {
  const part = words.find((one) =>
    word.length >= 3 && (one.startsWith(word) || one.endsWith(word))
  );
  if (part !== undefined) return part;
  const distances = words.map((one) => editDistance(word, one));
  const least = Math.min(...distances);
  const near = words[distances.indexOf(least)];
  return near !== undefined && least <= Math.max(2, near.length / 3) ? near : undefined;
}

/** Levenshtein's distance: the fewest UTF-16 units to insert, delete or replace to make `a` into `b`. */
export function editDistance(a: string, b: string): number {
  // Row i of the table of distances: from the first i units of a to each beginning of b.
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
