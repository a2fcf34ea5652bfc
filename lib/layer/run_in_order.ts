/** Works through pieces of a layer, a few at a time. */

/** Pieces at work at once: enough that no worker waits, and few enough that what they take along stays small. */
const PIECES_AT_ONCE = 16;

/**
 * Works through pieces.
 *
 * @param work Begun in their order.
 * @param take Told of each result, in the order of the pieces.
 */
export async function runInOrder<Piece, Found>(
  pieces: Iterable<Piece>,
  work: (piece: Piece) => Promise<Found>,
  take: (found: Found, piece: Piece) => Promise<void> | void,
): Promise<void> {
  const begun: { piece: Piece; found: Promise<Found> }[] = [];
  const takeFirst = async () => {
    const { piece, found } = begun.shift()!;
    await take(await found, piece);
  };
  for (const piece of pieces) {
    const found = work(piece);
    // One that fails while others before it are waited for is heard of in its turn.
    found.catch(() => {});
    begun.push({ piece, found });
    if (begun.length === PIECES_AT_ONCE) await takeFirst();
  }
  while (begun.length > 0) await takeFirst();
}
