// Rows quantized column by column, each weight moved by what the errors of those before it do to the layer's
// output. The plain twin is compensate.ts. It goes behind load_weight.wgsl, which has binding 0.
//
// An invocation has a row to itself, since each of its columns waits for the one before; neighbours work on
// the same column of neighbouring rows. A dispatch does a run of columns, so that none takes seconds, and
// the next one goes on from the state.
//
// Codes hang on every rounding, and compilers may fuse a product with a sum, or add in another order: all that
// another operation could be joined with goes through `opaque`. So they are the twin's wherever a device rounds
// to nearest, as all known ones do; WGSL itself leaves the direction open.

/// Width of a code.
override BITS: u32 = 4;

/// Rows of a workgroup.
override GROUP: u32 = 32;

/// Columns between two moves of the running sums, so that rounding does not pile up.
const FLUSH = 16u;

/// Sums of a row over a run of columns.
const SUMS = 5u;

struct Run {
  /// Index of the first weight.
  base: u32,
  rows: u32,
  columns: u32,
  block_rows: u32,
  block_columns: u32,
  /// Blocks side by side.
  across: u32,
  /// 32-bit words of a packed row.
  row_words: u32,
  /// Pairs of columns of K.
  pairs: u32,
  /// First column of the run, in the order of processing; a multiple of FLUSH.
  first: u32,
  /// The column behind its last one.
  end: u32,
  /// Which run it is.
  index: u32,
  /// 0, which no compiler knows.
  zero: u32,
}

struct Column {
  /// Where it stands in a row.
  place: u32,
  /// Its D, over a power of 2.
  diagonal: f32,
}

struct Params {
  /// f32(1 / code_scale).
  inverse: f32,
  /// The stored scale.
  scale: f32,
  /// -zero_point.
  low: f32,
  /// qmax - zero_point.
  high: f32,
}

@group(0) @binding(1) var<uniform> run: Run;
@group(0) @binding(2) var<storage, read> params: array<Params>;
/// [columns].
@group(0) @binding(3) var<storage, read> columns: array<Column>;
/// [columns][pairs]: two numbers of a column's row of K, and two of the next column's gains.
@group(0) @binding(4) var<storage, read> plan: array<vec4<f32>>;
/// [pairs + 1][rows]: two of the errors' numbers and two of the signals'; at last what the next column moves by.
@group(0) @binding(5) var<storage, read_write> state: array<vec4<f32>>;
/// All 0 before the first run.
@group(0) @binding(6) var<storage, read_write> packed: array<u32>;
/// [runs][5][rows]: of squares of weights, values and errors, and of those of weights and errors times D.
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;

fn opaque(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) ^ run.zero);
}

fn opaque2(x: vec2<f32>) -> vec2<f32> {
  return bitcast<vec2<f32>>(bitcast<vec2<u32>>(x) ^ vec2(run.zero));
}

fn opaque4(x: vec4<f32>) -> vec4<f32> {
  return bitcast<vec4<f32>>(bitcast<vec4<u32>>(x) ^ vec4(run.zero));
}

@compute @workgroup_size(GROUP)
fn compensate(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = (group.x + group.y * groups.x) * GROUP + local;
  if row >= run.rows {
    return;
  }
  let first_weight = run.base + row * run.columns;
  let first_word = row * run.row_words;
  let first_block = row / run.block_rows * run.across;
  let last = run.pairs * run.rows + row;
  var moved = state[last].x;
  var squares = vec4(0.0);
  var own = 0.0;
  var run_squares = vec4(0.0);
  var run_own = 0.0;
  for (var p = run.first; p < run.end; p++) {
    let column = columns[p];
    let block = params[first_block + column.place / run.block_columns];
    let w = weight(first_weight + column.place);
    let steps = round(clamp((w - moved) * block.inverse, block.low, block.high));
    let bit = column.place * BITS;
    packed[first_word + bit / 32u] |= u32(steps - block.low) << (bit % 32u);
    let v = opaque(steps * block.scale);
    let d = v - w;
    squares += vec4(w * w, v * v, d * d, w * w * column.diagonal);
    own += d * d * column.diagonal;
    if p % FLUSH == FLUSH - 1u {
      run_squares += squares;
      run_own += own;
      squares = vec4(0.0);
      own = 0.0;
    }
    var dot = vec2(0.0);
    for (var pair = 0u; pair < run.pairs; pair++) {
      let part = plan[p * run.pairs + pair];
      let at = pair * run.rows + row;
      let now = opaque4(state[at] + opaque4(vec4(part.xy * d, part.xy * w)));
      state[at] = now;
      dot = opaque2(dot + opaque2(part.zw * now.xy));
    }
    moved = opaque(dot.x + dot.y);
  }
  run_squares += squares;
  run_own += own;
  state[last] = vec4(moved, 0.0, 0.0, 0.0);
  let to = run.index * SUMS * run.rows + row;
  sums[to] = run_squares.x;
  sums[to + run.rows] = run_squares.y;
  sums[to + 2u * run.rows] = run_squares.z;
  sums[to + 3u * run.rows] = run_squares.w;
  sums[to + 4u * run.rows] = run_own;
}
