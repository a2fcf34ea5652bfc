/**
 * Eigenvalues and eigenvectors of a symmetric matrix: Householder's reduction to tridiagonal form, then
 * the implicit symmetric QR step with Wilkinson's shift, after Golub and Van Loan, "Matrix Computations",
 * 4th edition (2013), algorithms 8.3.1 to 8.3.3.
 *
 * Only sums, products, quotients and square roots are used, which IEEE 754 rounds the same everywhere,
 * in a fixed order: the same matrix gives the same bits on every machine.
 */

/** What {@linkcode decomposeSymmetric} finds. */
export interface Eigen {
  /** [n] eigenvalues, the largest first. */
  values: Float64Array;
  /** [n, n]: row i is the eigenvector of value i, of length 1. */
  vectors: Float64Array;
}

/** Steps for each eigenvalue; two or three are usual. */
const MAX_STEPS = 60;

/** Distance from 1 to the next F64. */
const EPSILON = Number.EPSILON;

/**
 * Decomposes a symmetric matrix. It takes about 9 n^3 operations: a second for n = 512.
 *
 * @param matrix [n, n] row by row, symmetric, finite; entries other than 0 between 1e-150 and 1e150, so
 *   that no square leaves the range of F64. It is overwritten.
 * @throws {RangeError} It does not converge: an entry is not finite.
 */
export function decomposeSymmetric(matrix: Float64Array, n: number): Eigen {
  const { diagonal, beside, vectors } = tridiagonalize(matrix, n);
  iterate(diagonal, beside, vectors, n);
  const order = Array.from(diagonal.keys()).sort((a, b) => diagonal[b]! - diagonal[a]! || a - b);
  const sorted = new Float64Array(n * n);
  order.forEach((from, to) => sorted.set(vectors.subarray(from * n, from * n + n), to * n));
  return { values: Float64Array.from(order, (i) => diagonal[i]!), vectors: sorted };
}

/** A matrix as Q T Q^T, T tridiagonal. */
interface Tridiagonal {
  /** [n] the diagonal of T. */
  diagonal: Float64Array;
  /** [n-1] what is beside it, on both sides. */
  beside: Float64Array;
  /** [n, n] Q^T, so that every later turn takes two rows. */
  vectors: Float64Array;
}

function tridiagonalize(a: Float64Array, n: number): Tridiagonal {
  const diagonal = new Float64Array(n);
  const beside = new Float64Array(Math.max(0, n - 1));
  const factors = new Float64Array(n);
  const p = new Float64Array(n);
  for (let k = 0; k + 1 < n; k++) {
    // The reflector's vector takes the place of row k right of the diagonal.
    const row = a.subarray(k * n, k * n + n);
    factors[k] = reflect(row, k + 1, beside, k);
    if (factors[k] === 0) continue;
    multiplySymmetric(a, row, p, k + 1, n, factors[k]!);
    let overlap = 0;
    for (let j = k + 1; j < n; j++) overlap += p[j]! * row[j]!;
    const half = overlap * factors[k]! / 2;
    for (let j = k + 1; j < n; j++) p[j] = p[j]! - half * row[j]!;
    for (let i = k + 1; i < n; i++) {
      const [v, w] = [row[i]!, p[i]!];
      for (let j = k + 1, at = i * n + k + 1; j < n; j++, at++) {
        a[at] = a[at]! - (v * p[j]! + w * row[j]!);
      }
    }
  }
  for (let i = 0; i < n; i++) diagonal[i] = a[i * n + i]!;
  return { diagonal, beside, vectors: gatherReflectors(a, factors, n) };
}

/**
 * Turns the end of a row into the vector v of the reflector 1 - f v v^T that takes it to its first axis,
 * and returns f, 0 where nothing has to be done; what stays of the row goes to `kept[at]`.
 */
function reflect(row: Float64Array, start: number, kept: Float64Array, at: number): number {
  let rest = 0;
  for (let j = start + 1; j < row.length; j++) rest += row[j]! * row[j]!;
  const first = row[start]!;
  kept[at] = first;
  if (rest === 0) return 0;
  const length = Math.sqrt(first * first + rest);
  // Of the two reflectors the one whose vector is a sum, so that no digits cancel.
  const head = first > 0 ? first + length : first - length;
  kept[at] = first > 0 ? -length : length;
  row[start] = 1;
  for (let j = start + 1; j < row.length; j++) row[j] = row[j]! / head;
  return 2 / (1 + rest / (head * head));
}

/** out = factor A v, of rows and columns from `start` on. */
function multiplySymmetric(
  a: Float64Array,
  v: Float64Array,
  out: Float64Array,
  start: number,
  n: number,
  factor: number,
): void {
  for (let i = start; i < n; i++) {
    let sum = 0;
    for (let j = start, at = i * n + start; j < n; j++, at++) sum += a[at]! * v[j]!;
    out[i] = factor * sum;
  }
}

/** The transposed product of the reflectors whose vectors lie right of the diagonal. */
function gatherReflectors(a: Float64Array, factors: Float64Array, n: number): Float64Array {
  const q = new Float64Array(n * n);
  for (let i = 0; i < n; i++) q[i * n + i] = 1;
  const u = new Float64Array(n);
  // From the last one on, so that only the corner that is no longer 1 has to be touched.
  for (let k = n - 2; k >= 0; k--) {
    if (factors[k] === 0) continue;
    u.fill(0);
    for (let i = k + 1; i < n; i++) {
      const v = factors[k]! * a[k * n + i]!;
      for (let j = k + 1, at = i * n + k + 1; j < n; j++, at++) u[j] = u[j]! + v * q[at]!;
    }
    for (let i = k + 1; i < n; i++) {
      const v = a[k * n + i]!;
      for (let j = k + 1, at = i * n + k + 1; j < n; j++, at++) q[at] = q[at]! - v * u[j]!;
    }
  }
  const transposed = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) transposed[j * n + i] = q[i * n + j]!;
  }
  return transposed;
}

/** Brings what is beside the diagonal to 0, from the last eigenvalue on. */
function iterate(d: Float64Array, e: Float64Array, vectors: Float64Array, n: number): void {
  let norm = 0;
  for (let i = 0; i < n; i++) norm = Math.max(norm, Math.abs(d[i]!), Math.abs(e[i] ?? 0));
  const isSmall = (i: number) => {
    const size = Math.abs(e[i]!);
    return size <= EPSILON * (Math.abs(d[i]!) + Math.abs(d[i + 1]!)) ||
      size <= EPSILON * EPSILON * norm;
  };
  let steps = 0;
  for (let last = n - 1; last > 0;) {
    if (isSmall(last - 1)) {
      last--;
      continue;
    }
    let first = last - 1;
    while (first > 0 && !isSmall(first - 1)) first--;
    if (++steps > MAX_STEPS * n) {
      throw new RangeError(`The eigenvalues of ${n} rows do not converge: one is not finite`);
    }
    step(d, e, vectors, n, first, last);
  }
}

/** One implicit QR step on rows `first` to `last` of T, both included. */
function step(
  d: Float64Array,
  e: Float64Array,
  vectors: Float64Array,
  n: number,
  first: number,
  last: number,
): void {
  const corner = e[last - 1]!;
  const delta = (d[last - 1]! - d[last]!) / 2;
  const root = Math.sqrt(delta * delta + corner * corner);
  const shift = d[last]! - corner * (corner / (delta < 0 ? delta - root : delta + root));
  let x = d[first]! - shift;
  let z = e[first]!;
  for (let k = first; k < last; k++) {
    const length = Math.sqrt(x * x + z * z);
    // Where both have vanished nothing is left to turn.
    const c = length === 0 ? 1 : x / length;
    const s = length === 0 ? 0 : z / length;
    if (k > first) e[k - 1] = length;
    const [a, b, g] = [d[k]!, e[k]!, d[k + 1]!];
    d[k] = c * c * a + 2 * c * s * b + s * s * g;
    d[k + 1] = s * s * a - 2 * c * s * b + c * c * g;
    x = (c * c - s * s) * b + c * s * (g - a);
    e[k] = x;
    if (k + 1 < last) {
      z = s * e[k + 1]!;
      e[k + 1] = c * e[k + 1]!;
    }
    turnRows(vectors, k * n, n, c, s);
  }
}

/** Turns the row that begins at `at` and the one below it by an angle of cosine c and sine s. */
function turnRows(vectors: Float64Array, at: number, n: number, c: number, s: number): void {
  for (let i = at, j = at + n; i < at + n; i++, j++) {
    const upper = vectors[i]!;
    const lower = vectors[j]!;
    vectors[i] = c * upper + s * lower;
    vectors[j] = c * lower - s * upper;
  }
}
