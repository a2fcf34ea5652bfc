/** What the models of the examples are fed, recorded as calibration files. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { createSubject, type Source } from "../examples/calibration/create_subject.ts";
import { planParts } from "../examples/calibration/join_parts.ts";
import { recordDigits, snrWeights } from "../examples/calibration/record_digits.ts";
import { recordSmallDlm } from "../examples/calibration/record_small_dlm.ts";
import {
  listSameInput,
  maskTokens,
  readCalibrationText,
} from "../examples/calibration/small_dlm_subject.ts";
import { addGram, createGramSpace, mirrorTriangle } from "../examples/forward/add_gram.ts";
import { loadWeights } from "../examples/forward/load_weights.ts";
import type { Multiplier } from "../examples/forward/multiplier.ts";
import { createPlainMultiplier } from "../examples/forward/multiply_plain.ts";
import { createSimdMultiplier } from "../examples/forward/multiply_simd.ts";
import { drawNoise } from "../examples/forward/random.ts";
import { openCalibration } from "../lib/calibration/open_calibration.ts";
import { openSource, readHeader } from "../lib/safetensors/read.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import { withFiles } from "./make_model.ts";

const EXAMPLES = fileURLToPath(new URL("../examples/", import.meta.url));

/** A tensor of a recorded file. */
interface Recorded {
  shape: number[];
  values: Float32Array | Int32Array;
}

/** The tensors of a file that the project itself takes for a calibration, by name. */
async function readFile(bytes: Uint8Array<ArrayBuffer>): Promise<Map<string, Recorded>> {
  const found = new Map<string, Recorded>();
  await withFiles({ "c.safetensors": bytes }, (directory) => {
    const path = `${directory}/c.safetensors`;
    openCalibration(path);
    const source = openSource(path, path);
    for (const { name, dtype, shape, begin, end } of readHeader(source, path).tensors) {
      const { buffer } = bytes.slice(begin, end);
      const values = dtype === "I32" ? new Int32Array(buffer) : new Float32Array(buffer);
      found.set(name, { shape, values });
    }
    source.close();
  });
  return found;
}

/** Copies of all that each layer is fed, for each timestep: [rows, C]. */
async function witness(model: string, source: Source, timesteps: number) {
  const subject = createSubject(source, await loadWeights(EXAMPLES + model));
  const seen = new Map<string, Float32Array[][]>();
  for (let step = 0; step < timesteps; step++) {
    for (const [name, layer] of subject.layers) {
      const steps = seen.get(name) ?? [];
      seen.set(name, steps);
      layer.onInput = (x, rows) => (steps[step] ??= []).push(x.slice(0, rows * layer.inputs));
    }
    subject.run(step);
  }
  const columnsOf = (name: string) => subject.layers.get(name)!.inputs;
  return new Map(
    Array.from(seen, ([name, steps]) => [name, {
      columns: columnsOf(name),
      steps: steps.map((calls) => Float32Array.from(calls.flatMap((call) => [...call]))),
    }]),
  );
}

/** H in F64, by its definition. */
function naiveGram(
  steps: readonly Float32Array[],
  columns: number,
  weights: readonly number[],
): Float64Array {
  const gram = new Float64Array(columns * columns);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  for (const [step, x] of steps.entries()) {
    const share = weights[step]! / total * columns / x.length;
    for (let from = 0; from < x.length; from += columns) {
      for (let i = 0; i < columns; i++) {
        const scaled = share * x[from + i]!;
        for (let j = 0; j < columns; j++) {
          gram[i * columns + j] = gram[i * columns + j]! + scaled * x[from + j]!;
        }
      }
    }
  }
  return gram;
}

/** K K^T. */
function multiplyOut(
  sketch: Float32Array | Int32Array,
  columns: number,
  rank: number,
): Float64Array {
  const product = new Float64Array(columns * columns);
  for (let i = 0; i < columns; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let k = 0; k < rank; k++) sum += sketch[i * rank + k]! * sketch[j * rank + k]!;
      product[i * columns + j] = sum;
    }
  }
  return product;
}

/** All differ by at most a share of the largest expected one. */
function assertNear(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  share: number,
  what: string,
): void {
  assert.equal(found.length, expected.length, what);
  let [most, error] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    most = Math.max(most, Math.abs(expected[i]!));
    error = Math.max(error, Math.abs(expected[i]! - found[i]!));
  }
  assert.ok(error <= share * most, `${what} is off by ${error / most}`);
}

function diagonal(gram: Float64Array, columns: number): Float64Array {
  return Float64Array.from({ length: columns }, (_, c) => gram[c * columns + c]!);
}

function addOnce(multiplier: Multiplier, rows: number, columns: number): Float64Array {
  const x = drawNoise(rows * columns + 5, 3);
  const sum = new Float64Array(columns * columns).fill(0.5);
  const space = createGramSpace(multiplier, 136, 9);
  addGram(space, drawNoise(9 * 136, 4), 9, 136, 1, new Float64Array(136 * 136));
  addGram(space, x, rows, columns, 3, sum);
  mirrorTriangle(sum, columns);
  return sum;
}

Deno.test("addGram() adds weight x^T x within 1e-6, the same bits on either multiplier", () => {
  for (const [rows, columns] of [[9, 136], [8, 64], [1, 8], [7, 72]] as const) {
    const found = addOnce(createSimdMultiplier(), rows, columns);
    const x = drawNoise(rows * columns + 5, 3).subarray(0, rows * columns);
    const mean = naiveGram([x], columns, [1]);
    assertNear(found, mean.map((value) => 0.5 + 3 * rows * value), 1e-6, `${rows} x ${columns}`);
    assert.deepEqual(addOnce(createPlainMultiplier(), rows, columns), found);
  }
  const space = createGramSpace(createSimdMultiplier(), 8, 4);
  const x = new Float32Array(64);
  assert.throws(() => addGram(space, x, 4, 6, 1, new Float64Array(36)), RangeError);
  assert.throws(() => addGram(space, x, 5, 8, 1, new Float64Array(64)), RangeError);
});

Deno.test("recordDigits() gives ranges, histograms, squares and all of H as defined, weighted by SNR", async () => {
  const timesteps = [125, 375, 625, 875];
  const weights = snrWeights(timesteps);
  assert.ok(weights[0] === 5 && weights[1]! < 5 && weights[1]! > weights[2]! && weights[3]! < 0.05);
  assert.deepEqual(snrWeights([0]), [5]);
  const file = await readFile(
    await recordDigits({ images: 3, timesteps: 4, rank: 600, weights: "snr" }),
  );
  assert.deepEqual([...file.get("timesteps")!.values], timesteps);
  assert.deepEqual(file.get("weights")!.values, Float32Array.from(weights));
  const seen = await witness("digits-dit", { kind: "digits", images: 3, timesteps }, 4);
  assert.equal(seen.size, 16);
  assert.equal(file.size, 2 + 16 * 5);
  for (const [name, { columns, steps }] of seen) {
    const gram = naiveGram(steps, columns, weights);
    assertNear(file.get(`${name}.input_square`)!.values, diagonal(gram, columns), 1e-6, name);
    const sketch = file.get(`${name}.input_sketch`)!;
    assert.deepEqual(sketch.shape, [columns, columns]);
    assertNear(multiplyOut(sketch.values, columns, columns), gram, 1e-5, name);
    checkHistogram(file, name, steps);
  }
});

function checkHistogram(
  file: Map<string, Recorded>,
  name: string,
  steps: readonly Float32Array[],
): void {
  const min = steps.map((x) => x.reduce((least, value) => Math.min(least, value), Infinity));
  const max = steps.map((x) => x.reduce((most, value) => Math.max(most, value), -Infinity));
  assert.deepEqual(file.get(`${name}.input_min`)!.values, Float32Array.from(min));
  assert.deepEqual(file.get(`${name}.input_max`)!.values, Float32Array.from(max));
  const { shape, values } = file.get(`${name}.input_histogram`)!;
  assert.deepEqual(shape, [steps.length, 256]);
  const [low, width] = [Math.min(...min), (Math.max(...max) - Math.min(...min)) / 256];
  for (const [step, x] of steps.entries()) {
    const counts = [...values.subarray(step * 256, (step + 1) * 256)];
    assert.equal(counts.reduce((sum, count) => sum + count, 0), x.length);
    // The share below an edge between two bins; a value on an edge may be of either.
    const below = counts.slice(0, 200).reduce((sum, count) => sum + count, 0);
    const least = x.filter((value) => value < low + 199.999 * width).length;
    const most = x.filter((value) => value < low + 200.001 * width).length;
    assert.ok(least <= below && below <= most, `${name}: ${below}, not ${least} to ${most}`);
  }
}

Deno.test("recordSmallDlm() gives sketches of segments, and each input once", async () => {
  const ids = readCalibrationText();
  assert.equal(ids.length, 400 * 128);
  const settings = { ids, levels: 3, sequences: 2, rank: 640, segments: 2 };
  const file = await readFile(await recordSmallDlm(settings));
  const levels = [0.5 / 3, 0.5, 2.5 / 3];
  assert.deepEqual(file.get("timesteps")!.values, Float32Array.from(levels));
  assert.ok(!file.has("weights"));
  const source: Source = { kind: "small-dlm", ids, sequences: 2, levels };
  const seen = await witness("small-dlm", source, 3);
  assert.equal(seen.size, 16);
  assert.equal(file.size, 1 + 16 * 5);
  for (const [name, { columns, steps }] of seen) {
    // Timesteps [0, 1) and [1, 3).
    const own = [steps.slice(0, 1), steps.slice(1)];
    assert.ok(own.flat().every((x) => x.length === 2 * 128 * columns));
    const sketch = file.get(`${name}.input_sketch`)!;
    assert.deepEqual(sketch.shape, [2, columns, columns]);
    for (const [segment, steps] of own.entries()) {
      const gram = naiveGram(steps, columns, steps.map(() => 1));
      const square = file.get(`${name}.input_square`)!.values
        .subarray(segment * columns, (segment + 1) * columns);
      assertNear(square, diagonal(gram, columns), 1e-6, name);
      // Rows 0 to 31 of the products, of which the widest would take long.
      const part = sketch.values.subarray(segment * columns ** 2, (segment + 1) * columns ** 2);
      for (let i = 0; i < 32; i++) {
        const row = Float64Array.from({ length: columns }, (_, j) => {
          let sum = 0;
          for (let k = 0; k < columns; k++) sum += part[i * columns + k]! * part[j * columns + k]!;
          return sum;
        });
        const most = Math.max(...diagonal(gram, columns));
        for (let j = 0; j < columns; j++) {
          const error = Math.abs(row[j]! - gram[i * columns + j]!);
          assert.ok(error <= 1e-5 * most, `${name} [${i},${j}] is off by ${error / most}`);
        }
      }
    }
  }
});

Deno.test("a sketch of rank r is the leading part of H, in columns of falling length", async () => {
  const settings = { images: 2, timesteps: 2, workers: 1 };
  const [few, all] = await Promise.all(
    [5, 600].map(async (rank) =>
      (await readFile(await recordDigits({ ...settings, rank }))).get(
        "blocks.1.attn.proj.input_sketch",
      )!
    ),
  );
  assert.deepEqual([few!.shape, all!.shape], [[128, 5], [128, 128]]);
  let before = Infinity;
  for (let k = 0; k < 5; k++) {
    let length = 0;
    for (let c = 0; c < 128; c++) {
      assert.equal(few!.values[c * 5 + k], all!.values[c * 128 + k]);
      length += few!.values[c * 5 + k]! ** 2;
    }
    assert.ok(length < before && length > 0);
    before = length;
  }
});

Deno.test("without ranges and histograms a file has the same squares and sketches", async () => {
  const settings = { images: 1, timesteps: 3, from: 500, to: 600, rank: 4 };
  const all = await readFile(await recordDigits(settings));
  const few = await readFile(await recordDigits({ ...settings, statistics: "sketch" }));
  assert.deepEqual([...few.get("timesteps")!.values], [516, 550, 583]);
  assert.deepEqual([all.size, few.size], [1 + 16 * 5, 1 + 16 * 2]);
  for (const [name, values] of few) assert.deepEqual(values, all.get(name), name);
  const unmasked = { levels: 1, sequences: 1, from: 0, to: 0, statistics: "sketch" } as const;
  const text = await readFile(await recordSmallDlm(unmasked));
  assert.deepEqual([...text.get("timesteps")!.values], [0]);
  assert.equal(text.size, 1 + 16 * 2);
});

Deno.test("a file has the same bytes whatever the number of workers", async () => {
  const settings = { images: 2, timesteps: 11, rank: 4, segments: 2 };
  const one = await recordDigits({ ...settings, workers: 1 });
  assert.deepEqual(await recordDigits({ ...settings, workers: 3 }), one);
});

Deno.test("planParts() cuts segments into about eight runs", () => {
  const runs = (timesteps: number, segments: number) =>
    planParts(timesteps, segments).map(({ segment, from, to }) => [segment, from, to]);
  assert.deepEqual(runs(3, 1), [[0, 0, 1], [0, 1, 2], [0, 2, 3]]);
  assert.deepEqual(runs(20, 4), [
    ...[[0, 0, 2], [0, 2, 5], [1, 5, 7], [1, 7, 10]],
    ...[[2, 10, 12], [2, 12, 15], [3, 15, 17], [3, 17, 20]],
  ]);
  assert.equal(runs(100, 1).length, 8);
  assert.equal(runs(10, 10).length, 10);
});

Deno.test("maskTokens() masks whole shares, other places for another seed", () => {
  const text = Int32Array.from({ length: 128 }, (_, i) => i);
  const masked = maskTokens(text, 0.3, 1);
  assert.equal(masked.filter((id) => id === 1023).length, 38);
  assert.ok(masked.every((id, i) => id === 1023 || id === i));
  assert.deepEqual(maskTokens(text, 0.3, 1), masked);
  assert.notDeepEqual(maskTokens(text, 0.3, 2), masked);
  assert.ok(maskTokens(text, 1, 5).every((id) => id === 1023));
  assert.deepEqual(maskTokens(text, 0, 5), text);
  assert.equal(text[0], 0);
});

Deno.test("listSameInput() names layers of the model, and no chains", async () => {
  const [weights, same] = [await loadWeights(`${EXAMPLES}small-dlm`), listSameInput()];
  assert.equal(same.size, 12);
  for (const [layer, leader] of same) {
    assert.ok(weights.has(`${layer}.weight`) && weights.has(`${leader}.weight`), layer);
    assert.ok(!same.has(leader));
  }
});

Deno.test("recordDigits() and recordSmallDlm() refuse what cannot be recorded, in one line", async () => {
  const digits: [Parameters<typeof recordDigits>[0], string][] = [
    [{ images: 0 }, "Cannot record: images is 0, must be a whole number from 1"],
    [{ rank: 1.5 }, "Cannot record: rank is 1.5, must be a whole number from 1"],
    [{ timesteps: NaN }, "Cannot record: timesteps is NaN, must be a whole number from 1"],
    [
      { timesteps: 1001 },
      "Cannot record: timesteps is 1001, must be at most 1000, all that there are",
    ],
    [
      { timesteps: 20, from: 500, to: 510 },
      "Cannot record: timesteps is 20, must be at most 10, all that there are",
    ],
    [
      { from: 600, to: 500 },
      "Cannot record: from is 600 and to is 500, must be 0 to 1000 and in this order",
    ],
    [
      { from: NaN },
      "Cannot record: from is NaN and to is 1000, must be 0 to 1000 and in this order",
    ],
    [
      { timesteps: 4, segments: 5 },
      "Cannot record: segments is 5, must be at most 4, one for each timestep",
    ],
  ];
  for (const [settings, message] of digits) {
    await assertRefusal(recordDigits(settings), message);
  }
  await assertRefusal(
    recordSmallDlm({ levels: 2, from: 0.5, to: 0.5 }),
    "Cannot record 2 timesteps from 0.5 to 0.5: only 1 of them differ",
  );
  await assertRefusal(
    recordSmallDlm({ to: 1.5 }),
    "Cannot record: from is 0 and to is 1.5, must be 0 to 1 and in this order",
  );
  await assertRefusal(
    recordSmallDlm({ ids: new Int32Array(100) }),
    "Cannot record 100 tokens: sequences have 128: give some that are whole",
  );
  await assertRefusal(
    recordSmallDlm({ ids: new Int32Array(128).fill(1024) }),
    "Cannot record token 1024: tokens are 0 to 1023",
  );
});

async function assertRefusal(recording: Promise<unknown>, message: string): Promise<void> {
  const reason = await recording.then(() => undefined, (error: unknown) => error);
  assertBadInput(() => {
    throw reason;
  }, message);
}

Deno.test("record_calibration.ts writes a file, or says in one line why it cannot", async () => {
  const run = async (...args: string[]) => {
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--frozen", "--lock=tests/deno.lock", "--no-prompt"],
        ...["--allow-read", "--allow-write", "examples/record_calibration.ts", ...args],
      ],
      cwd: fileURLToPath(new URL("..", import.meta.url)),
    }).output();
    return { code, error: new TextDecoder().decode(stderr).split("\n")[0] };
  };
  await withFiles({}, async (directory) => {
    const path = `${directory}/c.safetensors`;
    const args = ["digits", path, "--amount", "1", "--timesteps", "2", "--weights", "snr"];
    assert.deepEqual(await run(...args, "--rank", "3", "--segments", "2"), { code: 0, error: "" });
    const settings = { images: 1, timesteps: 2, rank: 3, segments: 2, weights: "snr" } as const;
    assert.deepEqual(Deno.readFileSync(path), await recordDigits(settings));
    const text = ["small-dlm", path, "--amount", "1", "--timesteps", "2"];
    const part = ["--from", "0.5", "--to", "1", "--statistics", "sketch"];
    assert.deepEqual(await run(...text, ...part), { code: 0, error: "" });
    const found = openCalibration(path);
    assert.deepEqual(found.timesteps, [0.625, 0.875]);
    assert.ok([...found.layers.values()].every(({ min, sketch }) => !min && sketch));
    for (
      const [args, message] of [
        [[], "error: Cannot record: name a model and a file"],
        [["flux", path], 'error: Cannot record "flux": must be digits or small-dlm'],
        [["digits", path, "--rank", "x"], "error: Cannot record: rank is NaN, must be"],
        [["digits", path, "--steps", "2"], "error: Cannot record: Unknown option '--steps'"],
        [["digits", path, "--statistics", "x"], 'error: Cannot record: --statistics is "x", must'],
        [["digits", path, "--weights", "x"], 'error: Cannot record: --weights is "x", must be'],
        [["small-dlm", path, "--weights", "snr"], "error: Cannot record: --weights is for digits"],
        [
          ["digits", `${directory}/no/c`, "--amount", "1", "--timesteps", "1"],
          `error: Cannot write "${directory}/no/c": no such file or directory`,
        ],
      ] as const
    ) {
      const { code, error } = await run(...args);
      assert.equal(code, 2);
      assert.ok(error!.startsWith(message), error);
    }
  });
});
