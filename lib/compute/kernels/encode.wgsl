// Codes of each block, packed, and the sums of each piece of it. The plain twin is encode.ts.
// It goes behind load_weight.wgsl, which has binding 0.
//
// A piece is a run of `piece` weights of one row of one block, a multiple of the codes of a word. Sums
// are in units of scale^2, so that neither huge nor tiny weights overflow a F32.

/// Width of a code.
override BITS: u32 = 4;

/// Invocations in a workgroup.
override GROUP: u32 = 64;

/// Weights between two moves of the running sums, so that rounding does not pile up.
const RUN = 32u;

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
  /// 32-bit words of a packed row.
  row_words: u32,
}

/// Weights are multiplied by a power of 2 that brings the scale near 1: devices may take subnormal numbers
/// for 0, and parts of a small scale would be some.
struct Params {
  power: f32,
  /// f32(1 / code_scale) / power.
  inverse: f32,
  /// power * the stored scale, without its last 12 bits: times a step count it is exact.
  scale_high: f32,
  /// The rest of it.
  scale_low: f32,
  zero_point: f32,
}

@group(0) @binding(1) var<uniform> shape: Shape;
@group(0) @binding(2) var<storage, read> params: array<Params>;
@group(0) @binding(3) var<storage, read_write> packed: array<u32>;
/// Three for each piece: t^2, s^2, error^2, with t = x / code_scale and s = code - zero_point.
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

var<workgroup> shared_sums: array<vec3<f32>, GROUP>;

struct Piece {
  first: u32,
  count: u32,
  word: u32,
  block: u32,
}

fn locate(unit: u32) -> Piece {
  let row = unit / (shape.across * shape.pieces);
  let place = unit % (shape.across * shape.pieces);
  let block = place / shape.pieces;
  let column = block * shape.block_columns + (place % shape.pieces) * shape.piece;
  let end = min(min(column + shape.piece, (block + 1u) * shape.block_columns), shape.columns);
  return Piece(
    shape.base + row * shape.columns + column,
    max(column, end) - column,
    row * shape.row_words + column * BITS / 32u,
    row / shape.block_rows * shape.across + block,
  );
}

/// Packs one word of codes; gives the sums of its weights.
fn encode_word(piece: Piece, word: u32, p: Params) -> vec3<f32> {
  let per_word = 32u / BITS;
  let most = f32((1u << BITS) - 1u) - p.zero_point;
  let start = word * per_word;
  let count = min(per_word, piece.count - start);
  var codes = 0u;
  var total = vec3(0.0);
  for (var i = 0u; i < count; i++) {
    let x = weight(piece.first + start + i) * p.power;
    let t = x * p.inverse;
    let s = round(clamp(t, -p.zero_point, most));
    codes |= u32(s + p.zero_point) << (i * BITS);
    let e = ((x - s * p.scale_high) - s * p.scale_low) * p.inverse;
    total += vec3(t * t, s * s, e * e);
  }
  packed[piece.word + word] = codes;
  return total;
}

fn word_count(piece: Piece) -> u32 {
  return (piece.count * BITS + 31u) / 32u;
}

fn store_sums(unit: u32, total: vec3<f32>) {
  sums[unit * 3u] = total.x;
  sums[unit * 3u + 1u] = total.y;
  sums[unit * 3u + 2u] = total.z;
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
  let piece = locate(unit);
  let p = params[piece.block];
  let words = word_count(piece);
  let words_per_run = RUN * BITS / 32u;
  var total = vec3(0.0);
  for (var first = 0u; first < words; first += words_per_run) {
    var run = vec3(0.0);
    for (var word = first; word < min(first + words_per_run, words); word++) {
      run += encode_word(piece, word, p);
    }
    total += run;
  }
  store_sums(unit, total);
}

/// One workgroup a piece: neighbours read and write neighbouring words.
@compute @workgroup_size(GROUP)
fn together(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let unit = group.x + group.y * groups.x;
  let is_piece = unit < shape.rows * shape.across * shape.pieces;
  var total = vec3(0.0);
  if is_piece {
    let piece = locate(unit);
    let p = params[piece.block];
    for (var word = local; word < word_count(piece); word += GROUP) {
      total += encode_word(piece, word, p);
    }
  }
  shared_sums[local] = total;
  for (var half = GROUP / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if local < half {
      shared_sums[local] += shared_sums[local + half];
    }
  }
  if local == 0u && is_piece {
    store_sums(unit, shared_sums[0]);
  }
}
