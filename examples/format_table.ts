/** Lays tables out as text. */

/**
 * Rows as lines: the first column to the left, the others to the right.
 *
 * @param rows As many cells in each.
 */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    );
    return `${cells.join("  ")}\n`;
  }).join("");
}
