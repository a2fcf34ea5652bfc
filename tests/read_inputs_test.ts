/** The matrix of a layer's inputs, as it is read from a calibration, and what each timestep counts. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Calibration } from "../lib/calibration/calibration.ts";
import { decomposeSymmetric } from "../lib/calibration/eigen.ts";
import { encodeCalibration, type RecordedLayer } from "../lib/calibration/encode_calibration.ts";
import { openCalibration } from "../lib/calibration/open_calibration.ts";
import { type LayerInputs, readInputs } from "../lib/calibration/read_inputs.ts";
import { snrWeights } from "../lib/calibration/timestep_weights.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import { noise, withFiles } from "./make_model.ts";

/** Opens a calibration of layer a alone. */
async function withLayer(
  layer: RecordedLayer,
  timesteps: number[],
  weights: number[] | undefined,
  use: (calibration: Calibration, read: (weights?: number[]) => LayerInputs) => void,
): Promise<void> {
  const layers = new Map([["a", layer]]);
  const recorded = weights === undefined ? { timesteps, layers } : { timesteps, weights, layers };
  await withFiles({ "c.safetensors": encodeCalibration(recorded) }, (directory) => {
    const calibration = openCalibration(join(directory, "c.safetensors"));
    use(calibration, (asked) => {
      const inputs = readInputs(calibration, calibration.layers.get("a")!, asked);
      assert.ok(inputs !== undefined);
      return inputs;
    });
  });
}

function assertNear(actual: ArrayLike<number>, expected: ArrayLike<number>, slack = 1e-12): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++) {
    const off = Math.abs(actual[i]! - expected[i]!);
    assert.ok(off <= slack, `${i}: ${actual[i]}, expected ${expected[i]}`);
  }
}

Deno.test("readInputs() takes one sketch as it is, whatever the weights", async () => {
  const sketch = Float32Array.of(1, 0.5, 2, -1, 0, 0);
  const layer = { square: Float32Array.of(2, 5, 3), sketch, rank: 2 };
  await withLayer(layer, [0, 1], undefined, (_, read) => {
    for (const weights of [undefined, [1, 3], [0, 1]]) {
      const inputs = read(weights);
      assert.deepEqual([inputs.columns, inputs.rank], [3, 2]);
      assert.deepEqual(inputs.sketch, Float64Array.from(sketch));
      assert.deepEqual([...inputs.square], [2, 5, 3]);
      // 0.01 of the mean, 10 / 3, beside 2 - 1.25, 5 - 5 and 3 - 0.
      assertNear(inputs.diagonal, [0.75 + 1 / 30, 1 / 30, 3 + 1 / 30], 1e-15);
    }
  });
});

Deno.test("readInputs() leaves nothing below 0 where the sketch passes the squares", async () => {
  const layer = { square: Float32Array.of(4, 4), sketch: Float32Array.of(2.0005, 0), rank: 1 };
  await withLayer(layer, [0], undefined, (_, read) => {
    assertNear(read().diagonal, [0.04, 4.04], 1e-15);
  });
});

Deno.test("readInputs() adds up squares alone, by segment or timestep, as they are weighed", async () => {
  const all = { square: Float32Array.of(1, 3) };
  await withLayer(all, [0, 1], [1, 0], (_, read) => {
    for (const weights of [undefined, [1, 3]]) {
      const { rank, sketch, square, diagonal } = read(weights);
      assert.deepEqual([rank, sketch.length, [...square]], [0, 0, [1, 3]]);
      assertNear(diagonal, [1.02, 3.02], 1e-15);
    }
  });
  const byTimestep = { square: Float32Array.of(1, 2, 3, 4, 5, 6), segments: 3 };
  await withLayer(byTimestep, [0, 1, 2], [1, 0, 3], (_, read) => {
    assertNear(read().square, [4, 5]);
    assertNear(read([1, 1, 1]).square, [3, 4]);
    assert.deepEqual([...read([0, 2, 0]).square], [3, 4]);
  });
  // Five timesteps in two segments: two, then three.
  const bySegment = { square: Float32Array.of(1, 2, 3, 4), segments: 2 };
  await withLayer(bySegment, [0, 1, 2, 3, 4], undefined, (_, read) => {
    assertNear(read().square, [(2 * 1 + 3 * 3) / 5, (2 * 2 + 3 * 4) / 5]);
    assertNear(read([1, 0, 1, 1, 1]).square, [2.5, 3.5]);
  });
});

Deno.test("readInputs() weighs squares by timestep as the sketches beside them were", async () => {
  const square = Float32Array.of(1, 1, 3, 3, 5, 9, 7, 11);
  const one = { square, sketch: new Float32Array(2), rank: 1 };
  await withLayer(one, [0, 1, 2, 3], [1, 3, 0, 0], (_, read) => {
    assertNear(read([0, 0, 1, 1]).square, [2.5, 2.5]);
  });
  const two = { square, sketch: new Float32Array(4), rank: 1, segments: 2 };
  await withLayer(two, [0, 1, 2, 3], [1, 3, 1, 0], (_, read) => {
    // Of the first segment (1 + 3 * 3) / 4, of the second the first timestep alone.
    assertNear(read().square, [(4 * 2.5 + 5) / 5, (4 * 2.5 + 9) / 5]);
    assertNear(read([1, 1, 3, 3]).square, [(2.5 + 3 * 5) / 4, (2.5 + 3 * 9) / 4]);
  });
});

Deno.test("readInputs() says nothing where no squares were recorded, or all inputs were 0", async () => {
  const ranges = { min: new Float32Array(1), max: new Float32Array(1) };
  const zeros = { square: new Float32Array(2), sketch: new Float32Array(2), rank: 1 };
  for (const layer of [ranges, zeros]) {
    await withLayer(layer, [0], undefined, (calibration) => {
      assert.equal(readInputs(calibration, calibration.layers.get("a")!, undefined), undefined);
    });
  }
});

Deno.test("readInputs() refuses weights that are none, and a file that has changed", async () => {
  await withLayer({ square: Float32Array.of(1) }, [0, 1], undefined, (calibration, read) => {
    for (const weights of [[1], [1, 1, 1], [1, -1], [NaN, 1], [1, Infinity], [0, 0]]) {
      assertBadInput(
        () => read(weights),
        'c.safetensors": the weights must be 2 finite numbers of',
      );
    }
    const layers = new Map([["a", { square: Float32Array.of(1, 2) }]]);
    Deno.writeFileSync(calibration.path, encodeCalibration({ timesteps: [0, 1], layers }));
    assertBadInput(() => read(), 'c.safetensors": it has changed since it was checked');
    Deno.removeSync(calibration.path);
    assertBadInput(() => read(), "no such file or directory");
  });
});

/** Random inputs of every timestep, [samples, C] each, of columns that go together. */
function randomInputs(seed: number, timesteps: number, samples: number, columns: number) {
  const value = noise(seed);
  return Array.from(
    { length: timesteps },
    (_, t) =>
      Float64Array.from({ length: samples * columns }, (_, i) => {
        const [n, c] = [Math.floor(i / columns), i % columns];
        return value(t * 1e6 + i) * (1 + c % 3) + value(t * 1e6 + 5e5 + n) * (t + 1);
      }),
  );
}

/** H: the mean of x x^T, each timestep counted by its weight. */
function meanOuter(
  inputs: readonly Float64Array[],
  weights: readonly number[],
  columns: number,
): Float64Array {
  const h = new Float64Array(columns * columns);
  const whole = weights.reduce((sum, w) => sum + w, 0);
  inputs.forEach((x, t) => {
    const share = weights[t]! / whole / (x.length / columns);
    for (let n = 0; n < x.length; n += columns) {
      for (let i = 0; i < columns; i++) {
        for (let j = 0; j < columns; j++) {
          h[i * columns + j] = h[i * columns + j]! + share * x[n + i]! * x[n + j]!;
        }
      }
    }
  });
  return h;
}

/** The leading eigenvectors of H times the roots of their eigenvalues: [C, rank]. */
function leading(h: Float64Array, columns: number, rank: number): Float64Array {
  const { values, vectors } = decomposeSymmetric(h.slice(), columns);
  return Float64Array.from({ length: columns * rank }, (_, i) => {
    const [c, k] = [Math.floor(i / rank), i % rank];
    return vectors[k * columns + c]! * Math.sqrt(Math.max(0, values[k]!));
  });
}

function outer(k: Float64Array, columns: number, rank: number): Float64Array {
  return Float64Array.from({ length: columns ** 2 }, (_, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let r = 0; r < rank; r++) sum += k[i * rank + r]! * k[j * rank + r]!;
    return sum;
  });
}

const COLUMNS = 11;
const TIMESTEPS = 10;

// Segments, rank: sketches that are all of H, or less; more columns of sketches than of the layer.
for (const segments of [1, 2, 3, 4]) {
  for (const rank of [1, 2, 3, 6, COLUMNS]) {
    Deno.test(`readInputs() gives H from ${segments} segments of rank ${rank}`, async () => {
      const own = [1, 2, 0.5, 1, 3, 0, 1, 1, 2, 1];
      const asked = [5, 4, 3, 3, 2, 2, 1, 1, 0, 0];
      const inputs = randomInputs(segments, TIMESTEPS, 7, COLUMNS);
      const parts = Array.from({ length: segments }, (_, s) => {
        const from = Math.floor(s * TIMESTEPS / segments);
        const to = Math.floor((s + 1) * TIMESTEPS / segments);
        const h = meanOuter(inputs.slice(from, to), own.slice(from, to), COLUMNS);
        return { h, sketch: leading(h, COLUMNS, rank), from, to };
      });
      const layer = {
        square: Float32Array.from(
          parts.flatMap(({ h }) => Array.from({ length: COLUMNS }, (_, c) => h[c * COLUMNS + c]!)),
        ),
        sketch: Float32Array.from(parts.flatMap(({ sketch }) => [...sketch])),
        rank,
        segments,
      };
      const timesteps = inputs.map((_, t) => t);
      await withLayer(layer, timesteps, own, (_, read) => {
        for (const weights of [undefined, asked]) {
          // What H and the sketches of the segments add up to, in F64.
          const [h, joined] = [new Float64Array(COLUMNS ** 2), new Float64Array(COLUMNS ** 2)];
          const sums = parts.map(({ from, to }) =>
            (segments === 1 ? own : weights ?? own).slice(from, to).reduce((sum, w) => sum + w, 0)
          );
          const whole = sums.reduce((sum, w) => sum + w, 0);
          parts.forEach((part, s) => {
            const known = outer(part.sketch, COLUMNS, rank);
            for (let i = 0; i < h.length; i++) {
              h[i] = h[i]! + sums[s]! / whole * part.h[i]!;
              joined[i] = joined[i]! + sums[s]! / whole * known[i]!;
            }
          });
          if (weights === undefined) assertNear(h, meanOuter(inputs, own, COLUMNS), 1e-9);
          const found = read(weights);
          assert.deepEqual([found.columns, found.rank], [COLUMNS, rank]);
          assertNear(found.square, h.filter((_, i) => i % (COLUMNS + 1) === 0), 2e-5);
          const sketched = outer(found.sketch, COLUMNS, rank);
          assertNear(sketched, outer(leading(joined, COLUMNS, rank), COLUMNS, rank), 2e-4);
          if (rank === COLUMNS) assertNear(sketched, h, 2e-4);
          const mean = found.square.reduce((sum, x) => sum + x, 0) / COLUMNS;
          found.diagonal.forEach((d, c) => {
            // With the sketch it is the diagonal of H, but for what is added to all of it.
            assert.ok(d >= 0.01 * mean);
            const added = sketched[c * (COLUMNS + 1)]! + d - 0.01 * mean;
            assert.ok(Math.abs(added - h[c * (COLUMNS + 1)]!) < 2e-4, `column ${c}`);
          });
        }
      });
    });
  }
}

Deno.test("readInputs() leaves out a segment that does not count", async () => {
  const sketch = Float32Array.of(1, 2, 30, 40);
  const square = Float32Array.of(1, 4, 900, 1600);
  const layer = { square, sketch, rank: 1, segments: 2 };
  await withLayer(layer, [0, 1], undefined, (_, read) => {
    assert.deepEqual([...read([1, 0]).sketch], [1, 2]);
    assert.deepEqual([...read([1, 0]).square], [1, 4]);
    assert.deepEqual([...read([0, 9]).sketch], [30, 40]);
  });
});

Deno.test("readInputs() reads a layer that shares an input from the one that has the tensors", async () => {
  const bytes = encodeCalibration({
    timesteps: [0],
    sameInput: new Map([["b", "a"]]),
    layers: new Map([["a", { square: Float32Array.of(1, 3) }]]),
  });
  await withFiles({ "c.safetensors": bytes }, (directory) => {
    const calibration = openCalibration(join(directory, "c.safetensors"));
    const layer = calibration.layers.get("b")!;
    assert.equal(layer.name, "a");
    assert.deepEqual([...readInputs(calibration, layer, undefined)!.square], [1, 3]);
  });
});

Deno.test("snrWeights() weighs diffusion timesteps by signal to noise, at most 5", () => {
  const weights = snrWeights([0, 100, 250, 500, 999]);
  // abar of 250, 500 and 999 is 0.5214230306185, 0.0777966583650 and 4.03582976538e-5.
  [1.0895280466430102, 0.0843595494103264, 4.03599265116842e-5].forEach((expected, i) => {
    assert.ok(Math.abs(weights[i + 2]! / expected - 1) < 1e-12, `${weights[i + 2]}`);
  });
  assert.deepEqual(snrWeights([249.6, 500.4]), weights.slice(2, 4));
  const falling = snrWeights(Array.from({ length: 1000 }, (_, t) => t));
  assert.equal(falling.length, 1000);
  assert.ok(falling.every((w, t) => w > 0 && (t === 0 || w <= falling[t - 1]!)));
});

Deno.test("snrWeights() weighs mask levels the same", () => {
  assert.deepEqual(snrWeights([0, 0.5, 1]), [1, 1, 1]);
  assert.deepEqual(snrWeights([0.01]), [1]);
});

Deno.test("snrWeights() refuses what is neither", () => {
  for (const strange of [-1, 999.5, 1000, NaN, Infinity]) {
    assertBadInput(
      () => snrWeights([1, 2, strange]),
      `Cannot weigh timestep ${strange} by its signal-to-noise ratio: it must be from 0 to 999`,
    );
  }
});
