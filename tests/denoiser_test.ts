/** The digits DiT of the examples: its forward pass, its sampler and the judge of quantized models. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { classify, trainClassifier } from "../examples/digits-dit-denoiser/classify.ts";
import { createDenoiser } from "../examples/digits-dit-denoiser/denoiser.ts";
import { DIT } from "../examples/digits-dit-denoiser/dimensions.ts";
import {
  createEvaluator,
  evaluate,
  measureSqnr,
} from "../examples/digits-dit-denoiser/evaluate.ts";
import { loadWeights } from "../examples/forward/load_weights.ts";
import { createPlainMultiplier } from "../examples/forward/multiply_plain.ts";
import { type Observation, observe } from "../examples/digits-dit-denoiser/observe.ts";
import { predictNoise } from "../examples/digits-dit-denoiser/predict_noise.ts";
import { drawNoise } from "../examples/forward/random.ts";
import { readDigits, toGrey } from "../examples/digits-dit-denoiser/read_digits.ts";
import { sample } from "../examples/digits-dit-denoiser/sample.ts";
import { startObservers } from "../examples/digits-dit-denoiser/start_observers.ts";
import { type Bits, DEFAULT_SETTINGS, quantizeModel } from "../mod.ts";
import { openSource, readHeader } from "../lib/safetensors/read.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import { encodeFile, withFiles } from "./make_model.ts";
import { sharded } from "./tiny_models.ts";

const EXAMPLES = fileURLToPath(new URL("../examples/", import.meta.url));
const MODEL = join(EXAMPLES, "digits-dit");

const weights = await loadWeights(MODEL);
const model = createDenoiser(weights);

function near(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what} is ${actual}, expected ${expected}`);
}

/** The tensors of reference.safetensors, all of 4 bytes an element. */
function readReference(): { x: Float32Array; t: Int32Array; y: Int32Array; eps: Float32Array } {
  const source = openSource(join(EXAMPLES, "digits-dit-data/reference.safetensors"), "reference");
  const { tensors } = readHeader(source, "reference");
  const read = (name: string): ArrayBuffer => {
    const { begin, end } = tensors.find((tensor) => tensor.name === name)!;
    const bytes = new Uint8Array(end - begin);
    source.readInto(begin, bytes);
    return bytes.buffer;
  };
  const reference = {
    x: new Float32Array(read("x")),
    t: new Int32Array(read("t")),
    y: new Int32Array(read("y")),
    eps: new Float32Array(read("eps")),
  };
  source.close();
  return reference;
}

function assertSame(actual: Float32Array | Uint8Array, expected: Float32Array | Uint8Array): void {
  assert.equal(actual.length, expected.length);
  const at = actual.findIndex((value, i) => value !== expected[i]);
  assert.equal(at, -1, `element ${at} is ${actual[at]}, expected ${expected[at]}`);
}

Deno.test("predictNoise() agrees with the reference within 1e-4, on either multiplier", () => {
  const { x, t, y, eps } = readReference();
  const found = predictNoise(model, x, t, y);
  assert.equal(found.length, eps.length);
  for (const [i, value] of found.entries()) near(value, eps[i]!, 1e-4, `eps[${i}]`);
  const plain = createDenoiser(weights, createPlainMultiplier());
  assertSame(predictNoise(plain, x, t, y), found);
});

Deno.test("predictNoise() gives the same bits for a batch and for its images alone", () => {
  const images = drawNoise(19 * DIT.pixels, 7);
  const timesteps = Array.from({ length: 19 }, (_, i) => i % 5 * 200);
  const labels = Array.from({ length: 19 }, (_, i) => i % 11);
  const batch = predictNoise(model, images, timesteps, labels);
  for (const i of [0, 11, 15, 16, 18]) {
    const [from, to] = [i * DIT.pixels, (i + 1) * DIT.pixels];
    const alone = predictNoise(model, images.subarray(from, to), [timesteps[i]!], [labels[i]!]);
    assertSame(alone, batch.subarray(from, to));
  }
});

Deno.test("sample() draws the same digits again, each as if it were alone", () => {
  const start = drawNoise(2 * DIT.pixels, 5);
  const both = sample(model, start, [3, 8]);
  assertSame(sample(model, start, [3, 8]), both);
  assertSame(sample(model, start.subarray(DIT.pixels), [8]), both.subarray(DIT.pixels));
  assert.ok(both.every((x) => x >= -1 && x <= 1));
  assert.deepEqual(classify(trainClassifier(readDigits()), toGrey(both)), [3, 8]);
});

Deno.test("observe() gives the same bits whole, in shares and in any number of workers", async () => {
  const inputs = { timesteps: 4, digits: 3, samples: 4 };
  const whole = observe(model, inputs);
  assert.equal(whole.eps.length, 4 * 3 * DIT.pixels);
  assert.equal(whole.samples.length, 4 * DIT.pixels);
  const assertWhole = (found: Observation): void => {
    assertSame(found.eps, whole.eps);
    assertSame(found.samples, whole.samples);
  };
  for (const workers of [1, 3]) {
    const observers = startObservers(workers);
    const both = [observers.observe({ weights }, inputs), observers.observe({ weights }, inputs)];
    for (const found of await Promise.all(both)) assertWhole(found);
    observers.close();
  }
});

Deno.test("trainClassifier() recognises at least 0.9 of digits it has not seen", () => {
  const { images, labels } = readDigits();
  const [seen, count] = [1400, labels.length - 1400];
  const classifier = trainClassifier({
    images: images.subarray(0, seen * DIT.pixels),
    labels: labels.subarray(0, seen),
  });
  const digits = classify(classifier, images.subarray(seen * DIT.pixels));
  const right = digits.filter((digit, i) => digit === labels[seen + i]).length;
  assert.ok(right / count >= 0.9, `${right} of ${count}`);
});

Deno.test("createDenoiser() refuses the weights of another model", () => {
  assertBadInput(
    () => createDenoiser(new Map()),
    'Cannot run the digits DiT: no tensor "x_embedder.weight"',
  );
  const name = "blocks.3.mlp.fc2.bias";
  assertBadInput(
    () => createDenoiser(new Map([...weights, [name, new Float32Array(5)]])),
    `tensor "${name}" has 5 elements, expected 128`,
  );
});

Deno.test("evaluate() says in one line what is no digits DiT, and goes on with the next", async () => {
  await withFiles(sharded(), async (directory) => {
    const refused = { name: "BadInputError", message: /^Cannot run the digits DiT: no tensor .*$/ };
    await assert.rejects(evaluate(directory, MODEL), refused);
    const observers = startObservers(2);
    await assert.rejects(observers.observe({ weights: await loadWeights(directory) }), refused);
    const inputs = { timesteps: 2, digits: 1, samples: 2 };
    assert.equal((await observers.observe({ weights }, inputs)).eps.length, 2 * DIT.pixels);
    observers.close();
  });
});

/** Denoiser SQNR in dB and recognised share of what phase baseline by slices leaves of the model. */
const FIGURES: [Bits, number, number, number][] = [
  [2, 4, -0.82, 0.62],
  [8, 4, 48.35, 1],
];

Deno.test("createEvaluator() tells a ruined model from one that is nearly whole", async () => {
  const { original, evaluate, close } = await createEvaluator(MODEL);
  assert.equal(original.denoiser_sqnr_db, Infinity);
  assert.equal(original.recognized_share, 1);
  for (const [bits, timeGroups, sqnr, share] of FIGURES) {
    await withFiles({}, async (directory) => {
      const output = join(directory, "out");
      const settings = {
        ...DEFAULT_SETTINGS,
        granularity: "slice",
        modulation: "keep",
        bits,
        timeGroups,
      } as const;
      await quantizeModel(MODEL, output, settings);
      const found = await evaluate(output);
      near(found.denoiser_sqnr_db, sqnr, 0.1, `INT${bits} SQNR`);
      near(found.recognized_share, share, bits === 8 ? 0 : 0.05, `INT${bits} share`);
      assert.equal(found.samples.length, 60 * DIT.pixels);
    });
  }
  close();
});

Deno.test("loadWeights() decodes a packed layer to (code - zero_point) * scale", async () => {
  await withFiles({}, async (directory) => {
    const output = join(directory, "out");
    await quantizeModel(MODEL, output, { ...DEFAULT_SETTINGS, groupSize: 32 });
    const quantized = await loadWeights(output);
    assert.deepEqual([...quantized.keys()].sort(), [...weights.keys()].sort());
    assertSame(quantized.get("pos_embed")!, weights.get("pos_embed")!);
    const layer = quantized.get("blocks.1.mlp.fc2.weight")!;
    assert.equal(layer.length, 128 * 512);
    assert.ok(new Set(layer.subarray(0, 32)).size <= 4, "a block has four values at 2 bits");
    assert.ok(new Set(layer.subarray(0, 512)).size > 4, "a row has several blocks");
  });
});

Deno.test("loadWeights() decodes checkpoints of other formats to what their reports measured", async () => {
  const settings = { ...DEFAULT_SETTINGS, bits: 4, timeGroups: 4 } as const;
  for (const format of ["compressed-tensors", "sdnq", "comfy"] as const) {
    await withFiles({}, async (directory) => {
      const output = join(directory, "out");
      const report = await quantizeModel(MODEL, output, { ...settings, format });
      const decoded = await loadWeights(output, MODEL);
      assert.deepEqual([...decoded.keys()].sort(), [...weights.keys()].sort());
      for (const { name, sqnr_db } of report.layers) {
        const [x, v] = [weights.get(`${name}.weight`)!, decoded.get(`${name}.weight`)!];
        near(measureSqnr(x, v), sqnr_db!, 0.01, `${format} ${name}`);
      }
      assertSame(decoded.get("pos_embed")!, weights.get("pos_embed")!);
    });
  }
});

Deno.test("loadWeights() refuses a packed layer whose shape is none", async () => {
  const bytes = (length: number) => new Uint8Array(length);
  const files = {
    "config.json": JSON.stringify({
      quantization_config: {
        quant_method: "compressed-tensors",
        format: "pack-quantized",
        config_groups: {
          group_0: { targets: ["Linear"], weights: { num_bits: 8, symmetric: false } },
        },
      },
    }),
    "model.safetensors": encodeFile([
      { name: "a.weight_packed", dtype: "I32", shape: [1, 1], data: bytes(4) },
      { name: "a.weight_scale", dtype: "F32", shape: [1, 1], data: bytes(4) },
      { name: "a.weight_shape", dtype: "I32", shape: [1], data: bytes(4) },
      { name: "a.weight_zero_point", dtype: "I32", shape: [1, 1], data: bytes(4) },
    ]),
  };
  await withFiles(files, async (directory) => {
    await assert.rejects(loadWeights(directory), {
      name: "BadInputError",
      message: /it is I32 \[1\], expected I64 \[2\]/,
    });
  });
});

Deno.test("main.ts says how it is used, and in one line what is wrong", async () => {
  const run = async (...args: string[]) => {
    const program = join(EXAMPLES, "digits-dit-denoiser/main.ts");
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--allow-read", program, ...args],
      env: { NO_COLOR: "1" },
    }).output();
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: decode(stdout), stderr: decode(stderr) };
  };
  assert.deepEqual(await run(), {
    code: 2,
    stdout: "",
    stderr: "usage: main.ts MODEL [DIRECTORY]...\n",
  });
  const wrong = await run(MODEL + "-which-is-none");
  assert.match(wrong.stderr, /^error: Model not found: .*\n$/);
  assert.deepEqual([wrong.code, wrong.stdout], [2, ""]);
});
