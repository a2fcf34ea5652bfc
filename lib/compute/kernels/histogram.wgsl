// Weights of each block by their upper 16 bits, added to the counts there are. The plain twin is
// histogram.ts.
//
// A piece is a run of `piece` weights of one row of one block.

/// Whether weights have 32 bits; else 16.
override WIDE: bool = false;

/// Invocations in a workgroup.
override GROUP: u32 = 64;

/// Counts of a block.
const BINS = 65536u;

struct Shape {
  /// Index of the first weight of the first block.
  base: u32,
  rows: u32,
  columns: u32,
  /// Blocks span all rows; not used here.
  block_rows: u32,
  block_columns: u32,
  /// Blocks side by side.
  across: u32,
  /// Pieces of one row of a block.
  pieces: u32,
  /// Weights of a piece.
  piece: u32,
  /// 32-bit words of a packed row; not used here.
  row_words: u32,
}

@group(0) @binding(0) var<storage, read> weights: array<u32>;
@group(0) @binding(1) var<uniform> shape: Shape;
/// BINS for each block.
@group(0) @binding(2) var<storage, read_write> counts: array<atomic<u32>>;

struct Piece {
  first: u32,
  /// The one behind the last.
  end: u32,
  /// Where the counts of its block begin.
  histogram: u32,
}

fn locate(unit: u32) -> Piece {
  let row = unit / (shape.across * shape.pieces);
  let place = unit % (shape.across * shape.pieces);
  let block = place / shape.pieces;
  let column = block * shape.block_columns + (place % shape.pieces) * shape.piece;
  let end = min(min(column + shape.piece, (block + 1u) * shape.block_columns), shape.columns);
  let start = shape.base + row * shape.columns;
  return Piece(start + column, start + max(column, end), block * BINS);
}

fn add(index: u32, histogram: u32) {
  var bin = 0u;
  if WIDE {
    bin = weights[index] >> 16u;
  } else {
    bin = (weights[index / 2u] >> (index % 2u * 16u)) & 0xffffu;
  }
  atomicAdd(&counts[histogram + bin], 1u);
}

/// One invocation a piece, which a software adapter is faster at.
@compute @workgroup_size(GROUP)
fn solo(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let unit = (group.x + group.y * groups.x) * GROUP + local;
  if unit >= shape.rows * shape.across * shape.pieces {
    return;
  }
  let piece = locate(unit);
  for (var index = piece.first; index < piece.end; index++) {
    add(index, piece.histogram);
  }
}

/// One workgroup a piece: neighbours read neighbouring words.
@compute @workgroup_size(GROUP)
fn together(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let unit = group.x + group.y * groups.x;
  if unit >= shape.rows * shape.across * shape.pieces {
    return;
  }
  let piece = locate(unit);
  for (var index = piece.first + local; index < piece.end; index += GROUP) {
    add(index, piece.histogram);
  }
}
