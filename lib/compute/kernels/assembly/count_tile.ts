// AssemblyScript: counts the weights of blocks by their upper 16 bits. The plain twin is ../histogram.ts.
// Bound by a load and a store a weight, for which there is no SIMD.

/** Adds 1 to the count of a bin. */
// @ts-ignore: decorator
@inline
function increment(counts: usize, bin: usize): void {
  const at = counts + (bin << 2);
  store<u32>(at, load<u32>(at) + 1);
}

/** Counts four weights of 16 bits. */
// @ts-ignore: decorator
@inline
function countFour(counts: usize, bits: u64): void {
  increment(counts, (bits as usize) & 0xffff);
  increment(counts, (bits as usize) >> 16);
  increment(counts, ((bits >> 32) as usize) & 0xffff);
  increment(counts, (bits >> 48) as usize);
}

/** Counts one run of weights by their upper 16 bits. */
// @ts-ignore: decorator
@inline
function countRun(wide: bool, input: usize, count: i32, counts: usize): void {
  const bytes = (count as usize) << (wide ? 2 : 1);
  const end = input + bytes;
  const fast = input + (bytes & ~15);
  for (; input < fast; input += 16) {
    if (wide) {
      increment(counts, load<u16>(input, 2));
      increment(counts, load<u16>(input, 6));
      increment(counts, load<u16>(input, 10));
      increment(counts, load<u16>(input, 14));
    } else {
      countFour(counts, load<u64>(input));
      countFour(counts, load<u64>(input, 8));
    }
  }
  for (; input < end; input += wide ? 4 : 2) {
    increment(counts, load<u16>(wide ? input + 2 : input));
  }
}

/** Counts `count` blocks side by side, the first of which starts at `input`, in histograms that follow one another. */
// @ts-ignore: decorator
@inline
function countTile(
  wide: bool,
  input: usize,
  rows: i32,
  columns: i32,
  blockColumns: i32,
  count: i32,
  counts: usize,
): void {
  if (blockColumns >= columns) {
    // Whole rows lie one behind the other, and so are one run.
    countRun(wide, input, rows * columns, counts);
    return;
  }
  const rowBytes = (columns as usize) << (wide ? 2 : 1);
  const blockBytes = (blockColumns as usize) << (wide ? 2 : 1);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < count; block++) {
      countRun(wide, input + (block as usize) * blockBytes, blockColumns, counts + ((block as usize) << 18));
    }
    input += rowBytes;
  }
}

export function count_16(input: usize, rows: i32, columns: i32, blockColumns: i32, count: i32, counts: usize): void {
  countTile(false, input, rows, columns, blockColumns, count, counts);
}
export function count_32(input: usize, rows: i32, columns: i32, blockColumns: i32, count: i32, counts: usize): void {
  countTile(true, input, rows, columns, blockColumns, count, counts);
}
