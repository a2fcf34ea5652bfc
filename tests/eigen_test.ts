/** Eigenvalues and eigenvectors, and sketches of less rank. */

import assert from "node:assert/strict";
import { decomposeSymmetric } from "../lib/calibration/eigen.ts";
import { reduceRank } from "../lib/calibration/reduce_rank.ts";
import { noise } from "./make_model.ts";

/** A symmetric matrix from the entries on and below its diagonal. */
function symmetric(n: number, entry: (i: number, j: number) => number): Float64Array {
  return Float64Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    return i >= j ? entry(i, j) : entry(j, i);
  });
}

function random(n: number, seed: number): Float64Array {
  const value = noise(seed);
  return symmetric(n, (i, j) => value(i * n + j));
}

/** Asserts that the vectors are of length 1, at right angles, and make up the matrix. */
function assertDecomposes(matrix: Float64Array, n: number): Float64Array {
  const { values, vectors } = decomposeSymmetric(matrix.slice(), n);
  const size = matrix.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  for (let i = 0; i < n; i++) {
    if (i > 0) assert.ok(values[i]! <= values[i - 1]!, `value ${i} of ${n}`);
    for (let j = 0; j < n; j++) {
      let [entry, overlap] = [0, 0];
      for (let k = 0; k < n; k++) {
        entry += values[k]! * vectors[k * n + i]! * vectors[k * n + j]!;
        overlap += vectors[i * n + k]! * vectors[j * n + k]!;
      }
      const off = Math.abs(entry - matrix[i * n + j]!);
      assert.ok(off <= 1e-13 * n * size, `entry ${i}, ${j} of ${n} is off by ${off}`);
      assert.ok(Math.abs(overlap - (i === j ? 1 : 0)) < 1e-13 * n, `vectors ${i}, ${j} of ${n}`);
    }
  }
  return values;
}

function assertNear(actual: ArrayLike<number>, expected: readonly number[], slack = 1e-14): void {
  assert.equal(actual.length, expected.length);
  expected.forEach((value, i) => {
    assert.ok(Math.abs(actual[i]! - value) <= slack, `${i}: ${actual[i]}, expected ${value}`);
  });
}

Deno.test("decomposeSymmetric() gives the values and vectors of small matrices", () => {
  const { values, vectors } = decomposeSymmetric(Float64Array.of(2, 1, 1, 2), 2);
  assertNear(values, [3, 1]);
  assertNear(vectors.map(Math.abs), Array(4).fill(Math.SQRT1_2));
  assert.equal(Math.sign(vectors[0]!), Math.sign(vectors[1]!));
  assert.equal(Math.sign(vectors[2]!), -Math.sign(vectors[3]!));
  assert.deepEqual(decomposeSymmetric(Float64Array.of(-7), 1), {
    values: Float64Array.of(-7),
    vectors: Float64Array.of(1),
  });
  assert.equal(decomposeSymmetric(new Float64Array(0), 0).values.length, 0);
  // Of trace 9 and determinant 0; (1, -2, 1) is taken to 0.
  assertNear(
    assertDecomposes(Float64Array.of(1, 2, 3, 2, 3, 4, 3, 4, 5), 3),
    [(9 + Math.sqrt(105)) / 2, 0, (9 - Math.sqrt(105)) / 2],
  );
});

Deno.test("decomposeSymmetric() sorts a diagonal", () => {
  const { values, vectors } = decomposeSymmetric(
    symmetric(4, (i, j) => i === j ? [1, 5, -2, 3][i]! : 0),
    4,
  );
  assert.deepEqual([...values], [5, 3, 1, -2]);
  assert.deepEqual([...vectors.map(Math.abs)], [0, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0]);
});

Deno.test("decomposeSymmetric() gives the values of second differences", () => {
  const n = 60;
  const values = assertDecomposes(symmetric(n, (i, j) => i === j ? 2 : i === j + 1 ? -1 : 0), n);
  const expected = Array.from(
    { length: n },
    (_, k) => 2 - 2 * Math.cos((n - k) * Math.PI / (n + 1)),
  );
  assertNear(values, expected, 1e-13);
});

Deno.test("decomposeSymmetric() tells close pairs apart: Wilkinson's matrix of 21 rows", () => {
  const values = assertDecomposes(
    symmetric(21, (i, j) => i === j ? Math.abs(i - 10) : i === j + 1 ? 1 : 0),
    21,
  );
  assertNear(values.subarray(0, 2), [10.746194182903393, 10.746194182903322], 2e-14);
  assertNear(values.subarray(20), [-1.125441522119985], 2e-14);
});

for (const n of [2, 3, 4, 5, 17, 64, 120]) {
  Deno.test(`decomposeSymmetric() makes up random matrices of ${n} rows`, () => {
    for (let seed = 0; seed < 4; seed++) assertDecomposes(random(n, seed), n);
  });
}

Deno.test("decomposeSymmetric() takes what has few different values, or none", () => {
  for (const n of [1, 2, 7, 40]) {
    assert.deepEqual([...assertDecomposes(new Float64Array(n * n), n)], Array(n).fill(0));
    assertNear(assertDecomposes(symmetric(n, () => 1), n), [n, ...Array(n - 1).fill(0)], 1e-13 * n);
    assertNear(assertDecomposes(symmetric(n, (i, j) => i === j ? 3 : 0), n), Array(n).fill(3));
  }
});

Deno.test("decomposeSymmetric() takes the squares of the largest and the smallest F32", () => {
  for (const size of [1e77, 1e-76]) {
    const matrix = random(20, 1);
    const values = assertDecomposes(matrix.map((x) => x * size), 20);
    const plain = assertDecomposes(matrix, 20);
    assertNear(values.map((x) => x / size), [...plain], 1e-13);
  }
  // Columns of very different size, as those of a layer's inputs are.
  const graded = symmetric(30, (i, j) => (i === j ? 2 : 1) * 10 ** (-(i + j) / 2));
  assertDecomposes(graded, 30);
});

Deno.test("decomposeSymmetric() gives the same bits for the same matrix", () => {
  assert.deepEqual(decomposeSymmetric(random(33, 2), 33), decomposeSymmetric(random(33, 2), 33));
});

Deno.test("decomposeSymmetric() ends when an entry is not finite", () => {
  for (const value of [NaN, Infinity]) {
    const matrix = random(6, 3);
    matrix[8] = value;
    matrix[13] = value;
    assert.throws(() => decomposeSymmetric(matrix, 6), /RangeError: .* do not converge/);
  }
});

/** K K^T of K [columns, width]. */
function outer(k: Float64Array, columns: number, width: number): Float64Array {
  return symmetric(columns, (i, j) => {
    let sum = 0;
    for (let w = 0; w < width; w++) sum += k[i * width + w]! * k[j * width + w]!;
    return sum;
  });
}

// Columns, width: tall, square, wide; a number of columns that four do not divide.
for (const [columns, width] of [[30, 8], [31, 12], [12, 12], [9, 20], [1, 5]] as const) {
  Deno.test(`reduceRank() gives the nearest sketches of ${columns} columns from ${width}`, () => {
    const value = noise(columns);
    const wide = Float64Array.from({ length: columns * width }, (_, i) => value(i));
    const whole = outer(wide, columns, width);
    const { values } = decomposeSymmetric(whole.slice(), columns);
    for (let rank = 1; rank <= Math.min(columns, width); rank++) {
      const sketch = reduceRank(wide, columns, width, rank);
      assert.equal(sketch.length, columns * rank);
      // Eckart and Young (1936): what is missing has the eigenvalues that are left out.
      const rest = outer(sketch, columns, rank).map((x, i) => x - whole[i]!);
      const missing = rest.reduce((sum, x) => sum + x * x, 0);
      const least = values.subarray(rank).reduce((sum, x) => sum + x * x, 0);
      assert.ok(Math.abs(missing - least) < 1e-11 * columns, `rank ${rank}: ${missing}, ${least}`);
      for (let k = 0; k < rank; k++) {
        let length = 0;
        for (let c = 0; c < columns; c++) length += sketch[c * rank + k]! ** 2;
        assert.ok(Math.abs(length - values[k]!) < 1e-12 * columns, `column ${k} of rank ${rank}`);
      }
    }
  });
}

Deno.test("reduceRank() takes a sketch of zeros", () => {
  assert.deepEqual(reduceRank(new Float64Array(12), 4, 3, 2), new Float64Array(8));
  assert.deepEqual(reduceRank(new Float64Array(12), 3, 4, 2), new Float64Array(6));
});
