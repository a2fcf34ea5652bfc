// Largest bits of each piece of each block. The plain twin is range.ts.
//
// The bits of two floats of equal sign order like integers. So the largest bits as signed integers are
// the largest positive value's, and the largest as unsigned ones the lowest negative value's. A piece
// is a run of `piece` weights of one row of one block; the host takes the pieces of a block together.

/// Whether weights have 32 bits; else 16.
override WIDE: bool = false;

/// Invocations in a workgroup.
override GROUP: u32 = 64;

struct Shape {
  /// Index of the first weight.
  base: u32,
  rows: u32,
  columns: u32,
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
@group(0) @binding(2) var<storage, read_write> found: array<vec2<u32>>;

var<workgroup> highs: array<i32, GROUP>;
var<workgroup> lows: array<u32, GROUP>;

struct Bits {
  high: i32,
  low: u32,
}

/// First and last weight (exclusive) of a piece.
fn bounds(unit: u32) -> vec2<u32> {
  let row = unit / (shape.across * shape.pieces);
  let place = unit % (shape.across * shape.pieces);
  let block = place / shape.pieces;
  let column = block * shape.block_columns + (place % shape.pieces) * shape.piece;
  let end = min(min(column + shape.piece, (block + 1u) * shape.block_columns), shape.columns);
  let start = shape.base + row * shape.columns;
  return vec2(start + column, start + max(column, end));
}

/// Takes a word of weights in; of two halves those that lie in the piece.
fn take(found: Bits, word: u32, at: vec2<u32>) -> Bits {
  var bits = found;
  if WIDE {
    let value = weights[word];
    return Bits(max(bits.high, bitcast<i32>(value)), max(bits.low, value));
  }
  let value = weights[word];
  if word * 2u >= at.x {
    bits.high = max(bits.high, bitcast<i32>(value << 16u) >> 16u);
    bits.low = max(bits.low, value & 0xffffu);
  }
  if word * 2u + 1u < at.y {
    bits.high = max(bits.high, bitcast<i32>(value) >> 16u);
    bits.low = max(bits.low, value >> 16u);
  }
  return bits;
}

fn words(at: vec2<u32>) -> vec2<u32> {
  if WIDE {
    return at;
  }
  return vec2(at.x / 2u, (at.y + 1u) / 2u);
}

/// One invocation a piece: no barrier, which a software adapter is slow at.
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
  let at = bounds(unit);
  let range = words(at);
  var bits = Bits(0, 0u);
  for (var word = range.x; word < range.y; word++) {
    bits = take(bits, word, at);
  }
  found[unit] = vec2(bitcast<u32>(bits.high), bits.low);
}

/// One workgroup a piece: neighbours read neighbouring words.
@compute @workgroup_size(GROUP)
fn together(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let unit = group.x + group.y * groups.x;
  let is_piece = unit < shape.rows * shape.across * shape.pieces;
  let at = bounds(min(unit, shape.rows * shape.across * shape.pieces - 1u));
  let range = words(at);
  var bits = Bits(0, 0u);
  for (var word = range.x + local; word < range.y; word += GROUP) {
    bits = take(bits, word, at);
  }
  highs[local] = bits.high;
  lows[local] = bits.low;
  for (var half = GROUP / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if local < half {
      highs[local] = max(highs[local], highs[local + half]);
      lows[local] = max(lows[local], lows[local + half]);
    }
  }
  if local == 0u && is_piece {
    found[unit] = vec2(bitcast<u32>(highs[0]), lows[0]);
  }
}
