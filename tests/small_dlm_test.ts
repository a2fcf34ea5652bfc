/** The small language model of the examples: its forward pass and the judge of quantized models. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadWeights, type Weights } from "../examples/forward/load_weights.ts";
import { createPlainMultiplier } from "../examples/forward/multiply_plain.ts";
import { readArrays } from "../examples/forward/read_arrays.ts";
import { decodeTokens, readVocabulary } from "../examples/small-dlm-denoiser/decode_tokens.ts";
import { DLM } from "../examples/small-dlm-denoiser/dimensions.ts";
import { createEvaluator, evaluate } from "../examples/small-dlm-denoiser/evaluate.ts";
import { createLanguageModel } from "../examples/small-dlm-denoiser/language_model.ts";
import { predictTokens } from "../examples/small-dlm-denoiser/predict_tokens.ts";
import { readText } from "../examples/small-dlm-denoiser/read_text.ts";
import type { Evaluation } from "../examples/small-dlm-denoiser/summarize.ts";
import { unmask } from "../examples/small-dlm-denoiser/unmask.ts";
import { DEFAULT_SETTINGS, quantizeModel } from "../mod.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import { withFiles } from "./make_model.ts";
import { sharded } from "./tiny_models.ts";

const EXAMPLES = fileURLToPath(new URL("../examples/", import.meta.url));
const MODEL = join(EXAMPLES, "small-dlm");

const weights = await loadWeights(MODEL);
const model = createLanguageModel(weights);

const { ids, positions, logits } = readArrays(
  join(EXAMPLES, "small-dlm-data/reference.safetensors"),
  { ids: "I32", positions: "I32", logits: "F32" },
);

/** The parts of the reference that belong to a sequence. */
function partOf<T extends Int32Array | Float32Array>(array: T, sequence: number): T {
  const size = array.length / 4;
  return array.subarray(sequence * size, (sequence + 1) * size) as T;
}

/** What the model writes from seed 1: no prose, but of its own. */
const TEXT =
  " age, and of the king's house, which heats. He cast on the remnant to ground, they were its armys " +
  "in harry, and at the ways of the children of Egypt to doing.\nWe was no one, the thirring and lift " +
  "down his parts, a hafenside.' Yes came to him, he singing before you. he has viscised a consent sa " +
  'reasence, and said to the people. "Dofore with your hand, in the day, I';

function near(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what} is ${actual}, expected ${expected}`);
}

function assertSame(actual: Float32Array, expected: Float32Array): void {
  assert.equal(actual.length, expected.length);
  const at = actual.findIndex((value, i) => value !== expected[i]);
  assert.equal(at, -1, `element ${at} is ${actual[at]}, expected ${expected[at]}`);
}

Deno.test("predictTokens() agrees with the reference within 5e-5", () => {
  for (const sequence of [0, 1, 2, 3]) {
    const found = predictTokens(model, partOf(ids, sequence), partOf(positions, sequence));
    const expected = partOf(logits, sequence);
    assert.equal(found.length, expected.length);
    for (const [i, value] of found.entries()) near(value, expected[i]!, 5e-5, `logits[${i}]`);
  }
});

Deno.test("predictTokens() gives the same bits on the plain multiplier", () => {
  const plain = createLanguageModel(weights, createPlainMultiplier());
  const [sequence, asked] = [partOf(ids, 1), partOf(positions, 1).subarray(0, 3)];
  assertSame(predictTokens(plain, sequence, asked), predictTokens(model, sequence, asked));
});

Deno.test("predictTokens() gives a position the same bits whatever else is asked for", () => {
  const sequence = partOf(ids, 2);
  const all = predictTokens(model, sequence, Array.from({ length: DLM.tokens }, (_, i) => i));
  const rowOf = (position: number) =>
    all.subarray(position * DLM.vocabulary, (position + 1) * DLM.vocabulary);
  const asked = [127, 0, 64, 5, 6];
  const found = predictTokens(model, sequence, asked);
  for (const [row, position] of asked.entries()) {
    const [from, to] = [row * DLM.vocabulary, (row + 1) * DLM.vocabulary];
    assertSame(found.subarray(from, to), rowOf(position));
  }
  assertSame(predictTokens(model, sequence, [77]), rowOf(77));
});

/** To the nearest whole number, ties to even, in F32. */
function round(x: number): number {
  return Math.fround(Math.fround(x + 1.5 * 2 ** 23) - 1.5 * 2 ** 23);
}

/**
 * The matrices at INT2: four slices of rows, each with a scale and a zero point of its own range, 0
 * included. Another implementation of quantizer and judge, in PyTorch, came to the figures below with it.
 */
function quantizeSlices(weights: Weights): Map<string, Float32Array> {
  const quantized = new Map<string, Float32Array>();
  for (const [name, values] of weights) {
    if (!name.endsWith("_proj.weight")) continue;
    const size = values.length / 4;
    const out = new Float32Array(values.length);
    for (let from = 0; from < values.length; from += size) {
      const slice = values.subarray(from, from + size);
      const low = slice.reduce((low, value) => Math.min(low, value), 0);
      const high = slice.reduce((high, value) => Math.max(high, value), 0);
      const scale = Math.fround(Math.fround(high - low) / 3);
      const zero = round(Math.fround(-low / scale));
      const codes = slice.map((value) => round(Math.fround(value / scale) + zero));
      out.set(codes.map((code) => (Math.min(3, Math.max(0, code)) - zero) * scale), from);
    }
    quantized.set(name, out);
  }
  return quantized;
}

/** What a model should do: KL, agreement, NELBO, logit SQNR. */
function assertFigures(
  found: Evaluation,
  [kl, agreement, nelbo, sqnr]: readonly [number, number, number, number],
  tolerance: number,
): void {
  near(found.kl, kl, tolerance, "KL");
  near(found.agreement, agreement, tolerance, "agreement");
  near(found.nelbo_bits_per_byte, nelbo, tolerance, "NELBO");
  near(found.logit_sqnr_db, sqnr, 0.02, "SQNR");
}

Deno.test("createEvaluator() gives the figures of the judge that the model came with", async () => {
  const evaluator = await createEvaluator(MODEL);
  try {
    const { original } = evaluator;
    assert.deepEqual([original.kl, original.agreement], [0, 1]);
    assert.equal(original.logit_sqnr_db, Infinity);
    near(original.nelbo_bits_per_byte, 1.7722, 0.0001, "NELBO of the original");
    const levels = original.levels.map(({ level }) => Math.round(level * DLM.tokens));
    assert.deepEqual(levels, [13, 38, 64, 90, 115]);
    const twin = await evaluator.evaluate(quantizeSlices(weights));
    assertFigures(twin, [0.8826, 0.3969, 2.2202, 10.72], 0.0003);
    const byLevel = [1.1611, 1.1205, 0.9814, 0.7617, 0.3885];
    for (const [i, kl] of byLevel.entries()) near(twin.levels[i]!.kl, kl, 0.0003, `KL ${i}`);
    await withFiles({}, async (directory) => {
      const output = join(directory, "out");
      const settings = {
        ...DEFAULT_SETTINGS,
        granularity: "slice",
        bits: 2,
        timeGroups: 4,
        phase: "baseline",
      } as const;
      await quantizeModel(MODEL, output, settings);
      assertFigures(await evaluator.evaluate(output), [0.8854, 0.4094, 2.2212, 10.74], 0.0003);
    });
  } finally {
    evaluator.close();
  }
});

Deno.test("createEvaluator() gives the same figures with any number of workers", async () => {
  const some = readText().filter((_, i) => i % 40 === 0);
  const changed = new Map([["lm_head.weight", weights.get("lm_head.weight")!.map((x) => 0.9 * x)]]);
  const found = await Promise.all([1, 2, 3].map(async (workers) => {
    const { original, evaluate, write, close } = await createEvaluator(MODEL, workers, some);
    const text = workers === 2 ? await write([new Map(), changed]) : [];
    const evaluation = await evaluate(changed);
    close();
    return { original, evaluation, text };
  }));
  for (const { original, evaluation } of found) {
    assert.deepEqual(original, found[0]!.original);
    assert.deepEqual(evaluation, found[0]!.evaluation);
    assert.ok(evaluation.kl > 0 && evaluation.kl < 0.1);
    // Logits a tenth smaller: the choice stays, the SQNR is 20 dB.
    assert.equal(evaluation.agreement, 1);
    near(evaluation.logit_sqnr_db, 20, 0.01, "SQNR");
  }
  const [text, other] = found[1]!.text;
  assert.equal(text, TEXT);
  assert.notEqual(text, other);
});

Deno.test("unmask() writes the same tokens for the same seed, others for another", () => {
  const ids = unmask(model, 1);
  assert.equal(ids.length, DLM.tokens);
  assert.ok(ids.every((id) => id >= 0 && id < DLM.mask));
  assert.equal(decodeTokens(readVocabulary(join(MODEL, "tokenizer.json")), ids), TEXT);
  assert.notDeepEqual(unmask(model, 2), ids);
});

Deno.test("createLanguageModel() refuses the weights of another model", () => {
  assertBadInput(
    () => createLanguageModel(new Map()),
    'Cannot run the small language model: no tensor "model.embed_tokens.weight"',
  );
  const name = "model.layers.3.self_attn.k_proj.bias";
  assertBadInput(
    () => createLanguageModel(new Map([...weights, [name, new Float32Array(5)]])),
    `tensor "${name}" has 5 elements, expected 128`,
  );
});

Deno.test("evaluate() says in one line what is no small language model", async () => {
  const refused = {
    name: "BadInputError",
    message: /^Cannot run the small language model: no tensor .*$/,
  };
  await withFiles(sharded(), async (directory) => {
    await assert.rejects(evaluate(directory, MODEL), refused);
    const { evaluate: judge, write, close } = await createEvaluator(
      MODEL,
      1,
      readText().slice(0, 1),
    );
    await assert.rejects(judge(directory), refused);
    await assert.rejects(write([directory]), refused);
    const short = new Map([["model.norm.weight", new Float32Array(7)]]);
    await assert.rejects(judge(short), /"model.norm.weight" has 7 elements, expected 256$/);
    assert.equal((await judge(MODEL)).kl, 0);
    close();
  });
});

Deno.test("main.ts says how it is used, and in one line what is wrong", async () => {
  const run = async (...args: string[]) => {
    const program = join(EXAMPLES, "small-dlm-denoiser/main.ts");
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--allow-read", program, ...args],
      env: { NO_COLOR: "1" },
    }).output();
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: decode(stdout), stderr: decode(stderr) };
  };
  const used = { code: 2, stdout: "", stderr: "usage: main.ts MODEL [DIRECTORY]...\n" };
  assert.deepEqual(await run(), used);
  const wrong = await run(join(EXAMPLES, "digits-dit"));
  assert.match(wrong.stderr, /^error: Cannot run the small language model: no tensor .*\n$/);
  assert.deepEqual([wrong.code, wrong.stdout], [2, ""]);
});
