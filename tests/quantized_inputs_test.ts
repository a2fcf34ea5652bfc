/** The models of the examples with quantized inputs of their layers: what is quantized, when, and by which parameters. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createDenoiser, type Denoiser } from "../examples/digits-dit-denoiser/denoiser.ts";
import { DIT } from "../examples/digits-dit-denoiser/dimensions.ts";
import { predictNoise } from "../examples/digits-dit-denoiser/predict_noise.ts";
import { quantizeActivations as quantizeDenoiser } from "../examples/digits-dit-denoiser/quantize_activations.ts";
import { sample } from "../examples/digits-dit-denoiser/sample.ts";
import { allocateRows, applyLinear, type Linear, packLinear } from "../examples/forward/linear.ts";
import { loadCandidate } from "../examples/forward/load_candidate.ts";
import { loadWeights } from "../examples/forward/load_weights.ts";
import type { Multiplier } from "../examples/forward/multiplier.ts";
import { createPlainMultiplier } from "../examples/forward/multiply_plain.ts";
import { createSimdMultiplier } from "../examples/forward/multiply_simd.ts";
import {
  findNearest,
  quantizeInputs,
  quantizeValues,
} from "../examples/forward/quantize_inputs.ts";
import { drawNoise } from "../examples/forward/random.ts";
import { DLM } from "../examples/small-dlm-denoiser/dimensions.ts";
import {
  createLanguageModel,
  type LanguageModel,
} from "../examples/small-dlm-denoiser/language_model.ts";
import { predictTokens } from "../examples/small-dlm-denoiser/predict_tokens.ts";
import { quantizeActivations as quantizeText } from "../examples/small-dlm-denoiser/quantize_activations.ts";
import { readText } from "../examples/small-dlm-denoiser/read_text.ts";
import { unmask } from "../examples/small-dlm-denoiser/unmask.ts";
import type { InputSchedules, LayerSchedule } from "../lib/run/read_time_groups.ts";
import type { QuantParams } from "../lib/types.ts";
import { DEFAULT_SETTINGS, quantizeModel, readTimeGroups } from "../mod.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import { withFiles } from "./make_model.ts";

const EXAMPLES = fileURLToPath(new URL("../examples/", import.meta.url));
const [digits, text] = await Promise.all(
  ["digits-dit", "small-dlm"].map((model) => loadWeights(join(EXAMPLES, model))),
);

function assertSame(actual: Float32Array, expected: Float32Array): void {
  assert.equal(actual.length, expected.length);
  const at = actual.findIndex((value, i) => value !== expected[i]);
  assert.equal(at, -1, `element ${at} is ${actual[at]}, expected ${expected[at]}`);
}

Deno.test("quantizeValues() rounds ties to even codes and clamps at both ends", () => {
  const quantize = (values: number[], params: QuantParams, bits: 4 | 6 | 8) => {
    const x = Float32Array.from(values);
    quantizeValues(x, params, bits);
    return [...x];
  };
  const params = { scale: 0.5, zero_point: 3 };
  // In steps: -2.5, -1.5, -0.5, 0.4, 0.5, 0.6, 1.5, 2.5.
  const near = [-1.25, -0.75, -0.25, 0.2, 0.25, 0.3, 0.75, 1.25];
  assert.deepEqual(quantize(near, params, 4), [-1, -1, 0, 0, 0, 0.5, 1, 1]);
  // Codes 0 to 15 are -3 to 12 steps.
  const far = [-1.74, -1.76, -9, -Infinity, 5.74, 5.76, 6.24, 6.26, 99, Infinity];
  const clamped = [-1.5, -1.5, -1.5, -1.5, 5.5, 6, 6, 6, 6, 6];
  assert.deepEqual(quantize(far, params, 4), clamped);
  assert.deepEqual(quantize([-9, 99], params, 6), [-1.5, 30]);
  assert.deepEqual(quantize([-9, 199], params, 8), [-1.5, 126]);
  assert.deepEqual(quantize([NaN], params, 8), [NaN]);
  // One rounding to F32, of seven times a scale that is none in binary.
  const scale = Math.fround(0.1);
  assert.deepEqual(quantize([0.7], { scale, zero_point: 0 }, 4), [Math.fround(7 * scale)]);
});

Deno.test("findNearest() takes the nearest time, the earlier of two as near", () => {
  const times = [5, 15, 25, 95];
  const found = [-7, 5, 10, 10.01, 20, 26, 60, 61, 999].map((time) => findNearest(times, time));
  assert.deepEqual(found, [0, 0, 0, 1, 1, 2, 2, 3, 3]);
  assert.equal(findNearest([0.5], 0.9), 0);
});

/** A layer that gives its two inputs eight outputs: the first two are these inputs. */
function identity(multiplier: Multiplier): Linear {
  return packLinear(multiplier, Float32Array.of(1, 0, 0, 1), new Float32Array(2));
}

/** Two groups of two timesteps each, or of their own parameters at all four. */
function scheduleOf(name: string, scale: number[], zero_point: number[]): LayerSchedule {
  return { name, boundaries: [0, 2, 4], scale, zero_point };
}

Deno.test("quantizeInputs() quantizes rows of the layers it knows, by groups and by timesteps", () => {
  const multiplier = createPlainMultiplier();
  const [a, b, c] = [1, 2, 3].map(() => identity(multiplier)) as [Linear, Linear, Linear];
  const setTime = quantizeInputs({
    bits: 4,
    timesteps: [10, 20, 30, 40],
    layers: [
      scheduleOf("a", [1, 2], [8, 0]),
      scheduleOf("b", [1, 2, 3, 4], [8, 8, 8, 8]),
    ],
  }, [{ names: ["c"], first: c }, { names: ["a"], first: a }, { names: ["b"], first: b }]);
  const apply = (layer: Linear, time: number, rows = 2) => {
    setTime(time);
    const [x, out] = [allocateRows(multiplier, 2, 2), allocateRows(multiplier, 2, layer.outputs)];
    x.set([-9.2, 3.3, 4.6, 5.4]);
    applyLinear(layer, x, out, rows);
    return [0, 1, 8, 9].map((i) => Math.fround(out[i]!));
  };
  assert.deepEqual(apply(a, 10), [-8, 3, 5, 5]);
  assert.deepEqual(apply(a, 24.9), [-8, 3, 5, 5]);
  assert.deepEqual(apply(a, 25.1), [0, 4, 4, 6]);
  assert.deepEqual(apply(a, 99), [0, 4, 4, 6]);
  assert.deepEqual(apply(b, 12), [-8, 3, 5, 5]);
  assert.deepEqual(apply(b, 20), [-10, 4, 4, 6]);
  assert.deepEqual(apply(b, 31), [-9, 3, 6, 6]);
  assert.deepEqual(apply(b, 40), [-8, 4, 4, 4]);
  // The second row is none that it is applied to.
  assert.deepEqual(apply(b, 40, 1), [-8, 4, 4.6, 5.4].map(Math.fround));
  assert.deepEqual(apply(c, 40), [-9.2, 3.3, 4.6, 5.4].map(Math.fround));
});

Deno.test("quantizeInputs() wants one quantizer for layers that share an input, and known names", () => {
  const first = identity(createPlainMultiplier());
  const inputs = [{ names: ["q", "k"], first }, {
    names: ["o"],
    first: identity(first.multiplier),
  }];
  const quantize = (...layers: LayerSchedule[]) =>
    quantizeInputs({ bits: 8, timesteps: [1, 2, 3, 4], layers }, inputs);
  const q = scheduleOf("q", [1, 2], [3, 4]);
  const otherwise =
    'Cannot quantize the input of "q": that of "k" is quantized otherwise, and they share one: ' +
    "record them as one, and leave neither out";
  for (const k of [scheduleOf("k", [1, 3], [3, 4]), scheduleOf("k", [1, 2], [3, 5])]) {
    assertBadInput(() => quantize(q, k), otherwise);
  }
  assertBadInput(() => quantize(q), otherwise);
  assertBadInput(() => quantize({ ...q, name: "k" }), otherwise);
  assertBadInput(
    () => quantize({ ...q, name: "v" }),
    'Cannot quantize the inputs of "v": the model has no such layer',
  );
  assert.equal(first.onInput, undefined);
  // The same at each timestep, told by groups and by timesteps.
  quantize(q, scheduleOf("k", [1, 1, 2, 2], [3, 3, 4, 4]));
  assert.notEqual(first.onInput, undefined);
  assert.equal(inputs[1]!.first.onInput, undefined);
});

/** A multiplier that quantizes a copy of what the layers that it is told of are applied to. */
function createCopying(bits: 4 | 6 | 8) {
  const inner = createSimdMultiplier();
  const params = new Map<Float32Array, QuantParams>();
  const copy = inner.allocate(2 ** 17);
  const multiplier: Multiplier = {
    ...inner,
    multiply(product) {
      const own = params.get(product.w.values);
      if (own === undefined) return inner.multiply(product);
      const { values, stride } = product.x;
      copy.set(values.subarray(0, product.rows * stride));
      quantizeValues(copy.subarray(0, product.rows * stride), own, bits);
      inner.multiply({ ...product, x: { values: copy, stride } });
    },
  };
  return {
    multiplier,
    tell: ({ panels }: Linear, own: QuantParams) => params.set(panels.values, own),
  };
}

/** Layers of the two models by name: each of the names is of one matrix. */
const DIGITS_LAYERS = (model: Denoiser): [string, Linear][] => [
  ["x_embedder", model.patchEmbedder],
  ["t_embedder.mlp.0", model.timeEmbedder[0]],
  ["t_embedder.mlp.2", model.timeEmbedder[1]],
  ...model.blocks.flatMap((block, i): [string, Linear][] => [
    [`blocks.${i}.attn.qkv`, block.qkv],
    [`blocks.${i}.attn.proj`, block.proj],
    [`blocks.${i}.mlp.fc1`, block.fc1],
    [`blocks.${i}.mlp.fc2`, block.fc2],
    [`blocks.${i}.adaLN_modulation.1`, block.modulation],
  ]),
  ["final_layer.adaLN_modulation.1", model.finalModulation],
  ["final_layer.linear", model.finalLinear],
];
const TEXT_LAYERS = (model: LanguageModel): [string, Linear][] => [
  ...model.layers.flatMap((layer, i): [string, Linear][] => [
    [`model.layers.${i}.self_attn.q_proj`, layer.queries],
    [`model.layers.${i}.self_attn.k_proj`, layer.keysValues],
    [`model.layers.${i}.self_attn.v_proj`, layer.keysValues],
    [`model.layers.${i}.self_attn.o_proj`, layer.out],
    [`model.layers.${i}.mlp.gate_proj`, layer.gate],
    [`model.layers.${i}.mlp.up_proj`, layer.up],
    [`model.layers.${i}.mlp.down_proj`, layer.down],
  ]),
  ["lm_head", model.head],
];

/** What a layer's input is quantized by in one of two time groups: others for layers of other inputs. */
function paramsOf(name: string, group: number): QuantParams {
  const input = name.replace(/\b[kv]_proj$/, "q_proj").replace("up_proj", "gate_proj")
    .replace(/^.*adaLN/, "adaLN");
  const sum = [...input].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
  return {
    scale: Math.fround((0.03 + 0.01 * (sum % 5)) * (1 + group)),
    zero_point: 100 + sum % 31,
  };
}

/** Schedules of two time groups for all of these layers. */
function schedulesOf(names: readonly string[], timesteps: [number, number]): InputSchedules {
  const layers = names.map((name) => {
    const [early, late] = [paramsOf(name, 0), paramsOf(name, 1)];
    return {
      name,
      boundaries: [0, 1, 2],
      scale: [early.scale, late.scale],
      zero_point: [early.zero_point, late.zero_point],
    };
  });
  return { bits: 8, timesteps, layers };
}

/** The digits model whose multiplier quantizes copies by the parameters of one group. */
function createCopyingDenoiser(group: number): Denoiser {
  const { multiplier, tell } = createCopying(8);
  const model = createDenoiser(digits!, multiplier);
  for (const [name, layer] of DIGITS_LAYERS(model)) tell(layer, paramsOf(name, group));
  return model;
}

Deno.test("the digits model's inputs are quantized as copies of them would be, at their own timesteps", () => {
  const images = drawNoise(5 * DIT.pixels, 3);
  const [steps, labels] = [[100, 100, 900, 100, 900], [1, 2, 3, 10, 5]];
  const model = createDenoiser(digits!);
  const plain = predictNoise(model, images, steps, labels);
  const names = DIGITS_LAYERS(model).map(([name]) => name);
  quantizeDenoiser(model, schedulesOf(names, [200, 700]));
  const found = predictNoise(model, images, steps, labels);
  assert.ok(found.every((value, i) => value !== plain[i]));
  const expected = [0, 1].map((group) =>
    predictNoise(createCopyingDenoiser(group), images, steps, labels)
  );
  for (const [image, step] of steps.entries()) {
    const own = [image * DIT.pixels, (image + 1) * DIT.pixels] as const;
    assertSame(found.subarray(...own), expected[step === 100 ? 0 : 1]!.subarray(...own));
  }
});

Deno.test("predictNoise() tells a batch's timestep before each, sample() those of its steps", () => {
  const model = createDenoiser(digits!);
  const told: number[] = [];
  model.onTimestep = (timestep) => void told.push(timestep);
  const images = drawNoise(20 * DIT.pixels, 3);
  const labels = new Array<number>(20).fill(1);
  predictNoise(model, images, new Array<number>(20).fill(7), labels);
  predictNoise(model, images, labels.map((_, i) => i < 3 ? 8 : 9), labels);
  assert.deepEqual(told.splice(0), [7, 7, 8, 9, 9]);
  sample(model, images.subarray(0, DIT.pixels), [4]);
  assert.equal(told.length, 50);
  assert.deepEqual([told[0], told[1], told[49]], [999, 979, 0]);
});

/** The language model whose multiplier quantizes copies by the parameters of one group. */
function createCopyingText(group: number): LanguageModel {
  const { multiplier, tell } = createCopying(8);
  const model = createLanguageModel(text!, multiplier);
  for (const [name, layer] of TEXT_LAYERS(model)) tell(layer, paramsOf(name, group));
  return model;
}

Deno.test("the language model's inputs are quantized as copies of them would be, at the level of each sequence", () => {
  const model = createLanguageModel(text!);
  const names = TEXT_LAYERS(model).map(([name]) => name);
  const sequences = readText().filter((_, i) => i % 60 === 0);
  const before = predictTokens(model, sequences[0]!.ids, [5]);
  quantizeText(model, schedulesOf(names, [0.25, 0.7]));
  assert.ok(predictTokens(model, sequences[0]!.ids, [5]).some((value, i) => value !== before[i]));
  const expected = [0, 1].map(createCopyingText);
  const groups = sequences.map(({ ids, positions, level }) => {
    const group = level < 0.475 ? 0 : 1;
    const asked = positions.slice(0, 9);
    assertSame(predictTokens(model, ids, asked), predictTokens(expected[group]!, ids, asked));
    return group;
  });
  assert.deepEqual(new Set(groups), new Set([0, 1]));
});

Deno.test("predictTokens() tells the share of masked tokens, unmask() that of each step", () => {
  const model = createLanguageModel(text!);
  const told: number[] = [];
  model.onLevel = (level) => void told.push(level * DLM.tokens);
  for (const { ids, positions } of readText().slice(0, 2)) {
    predictTokens(model, ids, [0]);
    assert.deepEqual(told.splice(0), [positions.length]);
  }
  unmask(model, 1);
  assert.deepEqual(told, Array.from({ length: 64 }, (_, step) => DLM.tokens - 2 * step));
});

Deno.test("inputs that layers share are quantized once, before the first of them", () => {
  const hooked = (layers: [string, Linear][]) =>
    layers.flatMap(([name, { onInput }]) => onInput === undefined ? [] : [name]);
  const model = createLanguageModel(text!);
  quantizeText(model, schedulesOf(TEXT_LAYERS(model).map(([name]) => name), [0, 1]));
  const layers = [0, 1, 2, 3].map((i) => `model.layers.${i}`);
  assert.deepEqual(hooked(TEXT_LAYERS(model)), [
    ...layers.flatMap((layer) => [
      // Of keys and values, which are one matrix here.
      `${layer}.self_attn.k_proj`,
      `${layer}.self_attn.v_proj`,
      `${layer}.self_attn.o_proj`,
      `${layer}.mlp.gate_proj`,
      `${layer}.mlp.down_proj`,
    ]),
    "lm_head",
  ]);
  const denoiser = createDenoiser(digits!);
  quantizeDenoiser(denoiser, schedulesOf(DIGITS_LAYERS(denoiser).map(([name]) => name), [0, 1]));
  const modulations = hooked(DIGITS_LAYERS(denoiser)).filter((name) => name.includes("adaLN"));
  assert.deepEqual(modulations, ["blocks.0.adaLN_modulation.1"]);
});

Deno.test("loadCandidate() loads all of a checkpoint, its weights, or its activations alone", async () => {
  const model = join(EXAMPLES, "digits-dit");
  await withFiles({}, async (directory) => {
    const [both, weights] = [join(directory, "both"), join(directory, "weights")];
    const calibration = join(EXAMPLES, "digits-dit-data/calibration.safetensors");
    await quantizeModel(model, both, { ...DEFAULT_SETTINGS, calibration, activationBits: 6 });
    await quantizeModel(model, weights, DEFAULT_SETTINGS);
    const activations = readTimeGroups(both)!.inputs!;
    assert.deepEqual([activations.bits, activations.layers.length], [6, 16]);
    const decoded = await loadWeights(both);
    const load = (directory: string, part: "both" | "weights" | "activations") =>
      loadCandidate(directory, model, digits!, part);
    assert.deepEqual(await load(both, "both"), { weights: decoded, activations });
    assert.deepEqual(await load(both, "weights"), { weights: decoded });
    const alone = await load(both, "activations");
    assert.equal(alone.weights, digits);
    assert.deepEqual(alone.activations, activations);
    // The weights do not depend on it.
    assert.deepEqual(await load(weights, "both"), { weights: decoded });
    assert.deepEqual(await load(model, "both"), { weights: digits });
    await assert.rejects(load(weights, "activations"), {
      name: "BadInputError",
      message: `Cannot judge the activations of ${JSON.stringify(weights)}: it quantizes none; ` +
        "judge its weights, or quantize with --activation-bits",
    });
  });
});
