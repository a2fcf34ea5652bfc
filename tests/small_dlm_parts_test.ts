/** What the small language model of the examples is judged with: comparisons of logits, figures, tokens as text. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readArrays } from "../examples/forward/read_arrays.ts";
import { compareLogits } from "../examples/small-dlm-denoiser/compare_logits.ts";
import { decodeTokens, readVocabulary } from "../examples/small-dlm-denoiser/decode_tokens.ts";
import { DLM } from "../examples/small-dlm-denoiser/dimensions.ts";
import { normalize } from "../examples/small-dlm-denoiser/normalize.ts";
import { readText, type Sequence } from "../examples/small-dlm-denoiser/read_text.ts";
import { rotate } from "../examples/small-dlm-denoiser/rotate.ts";
import { summarize } from "../examples/small-dlm-denoiser/summarize.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import { noise, withFiles } from "./make_model.ts";

const EXAMPLES = fileURLToPath(new URL("../examples/", import.meta.url));
const TOKENIZER = join(EXAMPLES, "small-dlm/tokenizer.json");

function near(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what} is ${actual}, expected ${expected}`);
}

function logitsOf(rows: number, size: number, seed: number): Float32Array {
  return Float32Array.from({ length: rows * size }, (_, i) => 6 * noise(seed)(i));
}

/** The same figures, one definition after the other, for one row. */
function compareRow(p: number[], q: number[], token: number) {
  const shares = (row: number[]) => {
    const total = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
    return row.map((logit) => Math.exp(logit) / total);
  };
  const centred = (row: number[]) => {
    const mean = row.reduce((sum, logit) => sum + logit, 0) / row.length;
    return row.map((logit) => logit - mean);
  };
  const choose = (row: number[]) => row.indexOf(Math.max(...row));
  const [sharesP, sharesQ, centredP, centredQ] = [shares(p), shares(q), centred(p), centred(q)];
  const sum = (term: (i: number) => number) => p.reduce((sum, _, i) => sum + term(i), 0);
  return {
    kl: sum((i) => sharesP[i]! * Math.log(sharesP[i]! / sharesQ[i]!)),
    agreed: Number(choose(p) === choose(q)),
    right: Number(choose(q) === token),
    crossEntropy: -Math.log(sharesQ[token]!),
    signal: sum((i) => centredP[i]! ** 2),
    noise: sum((i) => (centredP[i]! - centredQ[i]!) ** 2),
  };
}

Deno.test("compareLogits() gives what the definitions of its figures give", () => {
  const [rows, size] = [12, 40];
  const original = logitsOf(rows, size, 1);
  const found = original.map((logit, i) => logit + 0.7 * noise(2)(i) + (i % 40 === 3 ? 3 : 0));
  const truth = Array.from({ length: rows }, (_, row) => row % 3 === 0 ? 3 : row);
  const sums = { kl: 0, agreed: 0, right: 0, crossEntropy: 0, signal: 0, noise: 0 };
  for (const [row, token] of truth.entries()) {
    const cut = (x: Float32Array) => [...x.subarray(row * size, (row + 1) * size)];
    const figures = compareRow(cut(original), cut(found), token);
    for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] += figures[key];
  }
  assert.ok(sums.agreed > 0 && sums.agreed < rows && sums.right > 0 && sums.right < rows);
  const comparison = compareLogits(original, found, truth);
  for (const key of Object.keys(sums) as (keyof typeof sums)[]) {
    near(comparison[key], sums[key], 1e-9 * Math.max(1, sums[key]), key);
  }
});

Deno.test("compareLogits() finds no difference of logits from themselves, however large", () => {
  const logits = logitsOf(3, 16, 3).map((logit) => 500 * logit);
  const { kl, agreed, noise: wrong } = compareLogits(logits, logits, [0, 1, 2]);
  assert.deepEqual([kl, agreed, wrong], [0, 3, 0]);
  // Adding a constant to a row changes no share and no centred logit; the first of two equal ones is chosen.
  const shifted = compareLogits(Float32Array.of(1, 2, 2, 0), Float32Array.of(5, 6, 6, 4), [1]);
  near(shifted.kl, 0, 1e-12, "KL");
  assert.deepEqual([shifted.agreed, shifted.right, shifted.noise], [1, 1, 0]);
});

Deno.test("summarize() weighs positions within a level, levels alike, and bytes over all", () => {
  const sequence = (level: number, masked: number): Sequence => ({
    level,
    bytes: 400,
    ids: new Int32Array(DLM.tokens),
    positions: Array.from({ length: masked }, (_, i) => i),
    truth: new Array<number>(masked).fill(0),
  });
  const found = summarize([sequence(0.5, 3), sequence(0.25, 2), sequence(0.5, 1)], [
    { kl: 3, agreed: 3, right: 2, crossEntropy: 6, signal: 100, noise: 1 },
    { kl: 1, agreed: 0, right: 0, crossEntropy: 8, signal: 100, noise: 9 },
    { kl: 5, agreed: 0, right: 0, crossEntropy: 2, signal: 0, noise: 0 },
  ]);
  assert.deepEqual(found.levels.map(({ level }) => level), [0.25, 0.5]);
  assert.deepEqual(found.levels.map(({ kl }) => kl), [0.5, 2]);
  assert.deepEqual(found.levels.map(({ agreement }) => agreement), [0, 0.75]);
  assert.deepEqual(found.levels.map(({ accuracy }) => accuracy), [0, 0.5]);
  assert.deepEqual(found.levels.map(({ cross_entropy }) => cross_entropy), [4, 2]);
  assert.deepEqual([found.kl, found.agreement, found.accuracy], [1.25, 0.375, 0.25]);
  near(found.levels[1]!.logit_sqnr_db, 20, 1e-9, "SQNR of a level");
  near(found.logit_sqnr_db, 10 * Math.log10(20), 1e-9, "SQNR");
  near(found.nelbo_bits_per_byte, 3 / Math.log(2) * 3 * 128 / 1200, 1e-12, "NELBO");
});

Deno.test("normalize() divides rows by their root mean square", () => {
  const x = Float32Array.from({ length: 2 * DLM.hidden }, (_, i) => i < DLM.hidden ? 3 : i % 2);
  const out = new Float32Array(3 * DLM.hidden).fill(9);
  normalize(x, new Float32Array(DLM.hidden).fill(2), out, 2);
  near(out[0]!, 2, 1e-6, "of threes");
  near(out[DLM.hidden + 1]!, 2 * Math.SQRT2, 1e-5, "of zeros and ones");
  assert.deepEqual([out[DLM.hidden], out[2 * DLM.hidden]], [0, 9]);
});

Deno.test("rotate() turns pairs by their position, which keeps products of equal distance", () => {
  const [query, key] = [4, 5].map((seed) =>
    Float32Array.from({ length: 64 }, (_, i) => noise(seed)(i))
  );
  const product = (from: number, to: number) => {
    const [q, k] = [query!.slice(), key!.slice()];
    rotate(q, 64, 1, [from]);
    rotate(k, 64, 1, [to]);
    return q.reduce((sum, x, i) => sum + x * k[i]!, 0);
  };
  near(product(100, 90), product(40, 30), 1e-5, "distance 10");
  assert.ok(Math.abs(product(100, 90) - product(40, 31)) > 1e-3);
  const one = new Float32Array(128 + 5);
  one[64 + 1] = 1;
  rotate(one, 64, 2, [3]);
  // The second head's second pair: by 3 * 10000^(-1 / 32).
  const angle = 3 * 10_000 ** (-1 / 32);
  near(one[64 + 1]!, Math.cos(angle), 1e-6, "cosine");
  near(one[64 + 33]!, Math.sin(angle), 1e-6, "sine");
  assert.equal(one.filter((x) => x !== 0).length, 2);
});

Deno.test("readText() masks what is to be predicted, and keeps what stood there", () => {
  const sequences = readText();
  assert.equal(sequences.length, 240);
  const { ids } = readArrays(join(EXAMPLES, "small-dlm-data/eval.safetensors"), { ids: "I32" });
  for (const [index, { ids: masked, positions, truth, level, bytes }] of sequences.entries()) {
    assert.equal(positions.length, Math.round(level * DLM.tokens));
    assert.ok(bytes > DLM.tokens);
    const restored = masked.slice();
    for (const [i, position] of positions.entries()) {
      assert.equal(restored[position], DLM.mask);
      restored[position] = truth[i]!;
    }
    assert.deepEqual(restored, ids.slice(index * DLM.tokens, (index + 1) * DLM.tokens));
    assert.ok(!restored.includes(DLM.mask));
  }
  assert.throws(() => readText(TOKENIZER), { name: "BadInputError" });
  const reference = join(EXAMPLES, "small-dlm-data/reference.safetensors");
  assertBadInput(() => readText(reference), 'no U8 tensor "mask"');
});

Deno.test("decodeTokens() gives the bytes of tokens, also of those that are parts of a character", () => {
  const vocabulary = readVocabulary(TOKENIZER);
  assert.equal(vocabulary.size, DLM.vocabulary);
  const idOf = new Map([...vocabulary].map(([id, bytes]) => [String(bytes), id]));
  // Every byte is a token of its own, so any text can be put into tokens.
  const tokensOf = (text: string) =>
    [...new TextEncoder().encode(text)].map((byte) => idOf.get(String([byte]))!);
  const text = "A\tnew line\n, é, ™, 語 and 🕊; \u00a0\u00ad\u007f\u0000";
  assert.equal(decodeTokens(vocabulary, tokensOf(text)), text);
  assert.equal(decodeTokens(vocabulary, [1017, 1019, 1022, 32, 0]), " left some fallA!");
  assert.equal(decodeTokens(vocabulary, [32, DLM.mask, 5000, 33]), "A[MASK]B");
  assert.equal(decodeTokens(vocabulary, tokensOf("é").slice(0, 1)), "\ufffd");
  assert.match(
    decodeTokens(
      vocabulary,
      readArrays(join(EXAMPLES, "small-dlm-data/eval.safetensors"), { ids: "I32" }).ids.subarray(
        0,
        128,
      ),
    ),
    /^[\x20-\x7e\n]{200,600}$/,
  );
});

Deno.test("decodeTokens() gives as many bytes as the held-out text says it has", () => {
  const vocabulary = readVocabulary(TOKENIZER);
  for (const { ids, positions, truth, bytes } of readText()) {
    const whole = ids.slice();
    for (const [i, position] of positions.entries()) whole[position] = truth[i]!;
    assert.equal(new TextEncoder().encode(decodeTokens(vocabulary, whole)).length, bytes);
  }
});

Deno.test("readVocabulary() refuses what is no tokenizer", async () => {
  const files = {
    "not.json": "{",
    "null.json": "null",
    "unigram.json": '{"model": {"vocab": null}}',
    "characters.json": '{"model": {"vocab": {"語": 1}}}',
  };
  const messages = {
    "not.json": "it is not valid JSON",
    "null.json": "its model has no vocab",
    "unigram.json": "its model has no vocab",
    "characters.json": 'its token "語" is not made of bytes',
    "none.json": "no such file or directory",
  };
  await withFiles(files, (directory) => {
    for (const [name, message] of Object.entries(messages)) {
      assertBadInput(() => readVocabulary(join(directory, name)), `${name}": ${message}`);
    }
  });
});
