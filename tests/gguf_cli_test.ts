/** GGUF files as a run writes them: names, rows that are turned about, dtypes that are widened; and verify on them. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { readGgufHeader } from "../lib/format/gguf/read_header.ts";
import { openSource } from "../lib/safetensors/read.ts";
import {
  DEFAULT_SETTINGS,
  quantizeModel,
  type QuantizeSettings,
  type Report,
  verifyCheckpoint,
} from "../mod.ts";
import { type Files, namesIn } from "./directories.ts";
import { encodeFile, matrix, noise, type TestTensor, withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

const SETTINGS: QuantizeSettings = { ...DEFAULT_SETTINGS, bits: 4, format: "gguf" };

/** LLaDA: 4 heads of 16 rows. */
const LLADA = {
  model_type: "llada",
  d_model: 64,
  n_heads: 4,
  n_layers: 1,
  mlp_hidden_size: 96,
  max_sequence_length: 128,
  vocab_size: 10,
  embedding_size: 12,
  rms_norm_eps: 1e-5,
};

const BLOCK = "model.transformer.blocks.0";

/** A vector of BF16 by its bits. */
function halves(name: string, bits: readonly number[]): TestTensor {
  const data = new Uint8Array(Uint16Array.from(bits).buffer);
  return { name, dtype: "BF16", shape: [bits.length], data };
}

/** Values of BF16 with the least, the largest and the strangest among them. */
const STRANGE = [0, 0x8000, 1, 0x007f, 0x8001, 0x0080, 0x3f80, 0x7f7f, 0x7f80, 0xff80, 0x7fc1];

const bitsOf = (count: number, seed: number) =>
  Array.from({ length: count }, (_, i) => STRANGE[i] ?? (0x3c00 + ((i * 37 + seed) & 0x1ff)));

/** A LLaDA-shaped model in one dtype. */
function llada(dtype: "BF16" | "F32"): Files {
  return {
    "llada/config.json": JSON.stringify(LLADA),
    "llada/model.safetensors": encodeFile([
      matrix("model.transformer.wte.weight", 12, 64, noise(1), dtype),
      ...["q_proj", "k_proj", "v_proj"].map((name, i) =>
        matrix(`${BLOCK}.${name}.weight`, 64, 64, noise(10 + i), dtype)
      ),
      halves(`${BLOCK}.q_proj.bias`, bitsOf(64, 1)),
      halves(`${BLOCK}.v_proj.bias`, bitsOf(64, 2)),
      matrix(`${BLOCK}.ff_proj.weight`, 96, 64, noise(20), dtype),
      halves(`${BLOCK}.attn_norm.weight`, bitsOf(64, 3)),
      matrix("model.transformer.ff_out.weight", 12, 64, noise(30), dtype),
    ]),
  };
}

interface Stored {
  type: number;
  shape: number[];
  begin: number;
  bytes: Uint8Array<ArrayBuffer>;
}

/** The tensors of a GGUF file, and what it says of itself. */
function readGguf(path: string) {
  const source = openSource(path, "x.gguf");
  const { metadata, tensors } = readGgufHeader(source, "x.gguf");
  source.close();
  const file = Deno.readFileSync(path);
  const stored = new Map(tensors.map(({ name, type, shape, begin, end }): [string, Stored] => [
    name,
    { type, shape, begin, bytes: file.slice(begin, end) },
  ]));
  return { metadata, stored };
}

/** The tensors of the source by name. */
function readSource(model: string): Map<string, Uint8Array<ArrayBuffer>> {
  const file = Deno.readFileSync(join(model, "model.safetensors"));
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  const header: Record<string, { data_offsets: [number, number] }> = JSON.parse(
    new TextDecoder().decode(file.subarray(8, 8 + length)),
  );
  return new Map(
    Object.entries(header).filter(([name]) => name !== "__metadata__").map(([name, tensor]) => {
      const [begin, end] = tensor.data_offsets.map((offset) => 8 + length + offset);
      return [name, file.slice(begin, end)];
    }),
  );
}

/**
 * The rows of a matrix as llama.cpp wants them: of each head [2, half] becomes [half, 2], written as the
 * loops of the definition.
 */
function turnRows(bytes: Uint8Array, rows: number, headRows: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  const width = bytes.length / rows;
  let to = 0;
  for (let head = 0; head < rows / headRows; head++) {
    for (let pair = 0; pair < headRows / 2; pair++) {
      for (let half = 0; half < 2; half++) {
        const from = head * headRows + half * headRows / 2 + pair;
        out.set(bytes.subarray(from * width, (from + 1) * width), to * width);
        to++;
      }
    }
  }
  return out;
}

/** BF16 as F32: the same bits in front of zeros. */
function widen(bytes: Uint8Array<ArrayBuffer>): Uint8Array {
  const words = Uint32Array.from(new Uint16Array(bytes.buffer), (half) => half * 65536);
  return new Uint8Array(words.buffer);
}

/** Decodes Q4_1, a block of 32 after the other. */
function decodeQ4_1(bytes: Uint8Array<ArrayBuffer>): number[] {
  const view = new DataView(bytes.buffer);
  const values: number[] = [];
  for (let at = 0; at < bytes.length; at += 20) {
    const [d, m] = [view.getFloat16(at, true), view.getFloat16(at + 2, true)];
    const codes = Array.from(
      { length: 32 },
      (_, j) => j < 16 ? bytes[at + 4 + j]! & 15 : bytes[at + 4 + j - 16]! >> 4,
    );
    values.push(...codes.map((code) => code * d + m));
  }
  return values;
}

async function runOn(
  root: string,
  name: string,
  more: Partial<QuantizeSettings> = {},
): Promise<{ report: Report; path: string }> {
  const output = join(root, "out");
  const report = await quantizeModel(join(root, name), output, {
    ...SETTINGS,
    ...more,
    overwrite: true,
  });
  return { report, path: join(output, `${name}.gguf`) };
}

Deno.test("rows of LLaDA's queries and keys are turned about, and verify reads them back", async () => {
  await withFiles(llada("BF16"), async (root) => {
    const model = join(root, "llada");
    const source = readSource(model);
    for (const granularity of ["row", "slice"] as const) {
      for (const phase of ["baseline", "smooth", "optimize"] as const) {
        const { report, path } = await runOn(root, "llada", { granularity, phase });
        const { stored } = readGguf(path);
        const turned = { q_proj: "attn_q", k_proj: "attn_k" };
        for (const [own, name] of Object.entries({ ...turned, v_proj: "attn_v" })) {
          const { type, bytes } = stored.get(`blk.0.${name}.weight`)!;
          assert.equal(type, 3);
          const weights = source.get(`${BLOCK}.${own}.weight`)!;
          const rows = own in turned ? turnRows(weights, 64, 16) : weights;
          const values = new Float32Array(widen(Uint8Array.from(rows)).buffer);
          const found = decodeQ4_1(bytes);
          let [error, signal] = [0, 0];
          for (const [i, value] of values.entries()) {
            error += (value - found[i]!) ** 2;
            signal += value ** 2;
          }
          const db = 10 * Math.log10(signal / error);
          const layer = report.layers.find(({ name }) => name === `${BLOCK}.${own}`)!;
          // Rows in any other order have nothing in common.
          assert.ok(Math.abs(db - layer.sqnr_db!) < 0.05, `${own}: ${db}, not ${layer.sqnr_db}`);
        }
        const { sqnr_db, layers } = await verifyCheckpoint(join(root, "out"), model);
        assert.ok(Math.abs(sqnr_db! - report.sqnr_db!) < 0.01);
        assert.equal(layers.length, 4);
      }
    }
  });
});

for (const dtype of ["BF16", "F32"] as const) {
  Deno.test(`rows of queries of ${dtype} that are left alone are turned about too, and vectors widened`, async () => {
    await withFiles(llada(dtype), async (root) => {
      const model = join(root, "llada");
      const source = readSource(model);
      const { path } = await runOn(root, "llada", { ignore: ["*.q_proj"] });
      const { stored, metadata } = readGguf(path);
      assert.equal(metadata.get("general.architecture"), "llada");
      assert.equal(metadata.get("rope.dimension_count"), undefined);
      assert.equal(metadata.get("llada.rope.dimension_count"), 16);
      const expected: [own: string, name: string, type: number, bytes: Uint8Array][] = [
        [
          `${BLOCK}.q_proj.weight`,
          "blk.0.attn_q.weight",
          dtype === "F32" ? 0 : 30,
          turnRows(source.get(`${BLOCK}.q_proj.weight`)!, 64, 16),
        ],
        [
          `${BLOCK}.q_proj.bias`,
          "blk.0.attn_q.bias",
          0,
          turnRows(widen(source.get(`${BLOCK}.q_proj.bias`)!), 64, 16),
        ],
        [
          `${BLOCK}.v_proj.bias`,
          "blk.0.attn_v.bias",
          0,
          widen(source.get(`${BLOCK}.v_proj.bias`)!),
        ],
        [
          `${BLOCK}.attn_norm.weight`,
          "blk.0.attn_norm.weight",
          0,
          widen(source.get(`${BLOCK}.attn_norm.weight`)!),
        ],
        [
          "model.transformer.wte.weight",
          "token_embd.weight",
          dtype === "F32" ? 0 : 30,
          source.get("model.transformer.wte.weight")!,
        ],
      ];
      for (const [own, name, type, bytes] of expected) {
        const tensor = stored.get(name);
        assert.equal(tensor?.type, type, own);
        assert.equal(tensor.begin % 32, 0, own);
        assert.deepEqual(tensor.bytes, bytes, own);
      }
      const { copied_tensor_count, layers } = await verifyCheckpoint(join(root, "out"), model);
      assert.equal(copied_tensor_count, 6);
      assert.deepEqual(
        layers.map(({ name }) => name.slice(BLOCK.length + 1)),
        ["ff_proj", "k_proj", "v_proj"],
      );
    });
  });
}

Deno.test("verify names the row of the model that differs in what was turned about or widened", async () => {
  await withFiles(llada("BF16"), async (root) => {
    const [model, output] = [join(root, "llada"), join(root, "out")];
    const { path } = await runOn(root, "llada", { ignore: ["*.q_proj"] });
    const { stored } = readGguf(path);
    const whole = Deno.readFileSync(path);
    // The place of a row behind those of its head: 16 + 2 * (row % 8) + half.
    const cases: [name: string, own: string, at: number, where: string][] = [
      ["blk.0.attn_q.weight", `${BLOCK}.q_proj.weight`, 0, "row 0"],
      ["blk.0.attn_q.weight", `${BLOCK}.q_proj.weight`, 1 * 128 + 127, "row 8"],
      ["blk.0.attn_q.weight", `${BLOCK}.q_proj.weight`, 2 * 128, "row 1"],
      ["blk.0.attn_q.weight", `${BLOCK}.q_proj.weight`, 17 * 128, "row 24"],
      ["blk.0.attn_q.weight", `${BLOCK}.q_proj.weight`, 63 * 128 + 127, "row 63"],
      ["blk.0.attn_q.bias", `${BLOCK}.q_proj.bias`, 3 * 4, "row 9"],
      ["blk.0.attn_norm.weight", `${BLOCK}.attn_norm.weight`, 5 * 4 + 3, "row 5"],
      // Below what BF16 has.
      ["blk.0.attn_norm.weight", `${BLOCK}.attn_norm.weight`, 6 * 4, "row 6"],
      ["token_embd.weight", "model.transformer.wte.weight", 200, "byte 200"],
    ];
    for (const [name, own, at, where] of cases) {
      const file = whole.slice();
      file[stored.get(name)!.begin + at]! ^= 1;
      Deno.writeFileSync(path, file);
      const { code, stdout, stderr } = await runMain("verify", output, "--against", model);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.equal(
        stderr,
        `error: Verification failed: tensor "${own}" differs from the model's at ${where}\n`,
      );
    }
    Deno.writeFileSync(path, whole);
    await verifyCheckpoint(output, model);
  });
});

Deno.test("large layers are turned about in several pieces by several workers", async () => {
  // Of 18 MB each: more than a job copies, a tile holds or verify measures at once.
  const side = 2176;
  const config = { ...LLADA, d_model: side, n_heads: 34 };
  const value = noise(5);
  const [q, k] = ["q_proj", "k_proj"].map((name, i) =>
    matrix(`${BLOCK}.${name}.weight`, side, side, (at) => value(at + i))
  );
  const norm = matrix(`${BLOCK}.attn_norm.weight`, 1, 600_000, noise(6), "BF16");
  const files = {
    "large/config.json": JSON.stringify(config),
    "large/model.safetensors": encodeFile([q!, k!, { ...norm, shape: [600_000] }]),
  };
  await withFiles(files, async (root) => {
    const { report, path } = await runOn(root, "large", { ignore: ["*.q_proj"] });
    const { stored } = readGguf(path);
    const expected = turnRows(q!.data, side, 64);
    const found = stored.get("blk.0.attn_q.weight")!.bytes;
    assert.equal(found.findIndex((byte, i) => byte !== expected[i]), -1);
    const vector = stored.get("blk.0.attn_norm.weight")!.bytes;
    const wide = widen(Uint8Array.from(norm.data));
    assert.equal(vector.findIndex((byte, i) => byte !== wide[i]), -1);
    const { sqnr_db } = await verifyCheckpoint(join(root, "out"), join(root, "large"));
    assert.ok(Math.abs(sqnr_db! - report.sqnr_db!) < 0.01);
    // A row in the last piece, and one in the middle.
    for (const row of [side - 1, 1500]) {
      const file = Deno.readFileSync(path);
      const inHead = row % 64;
      const place = row - inHead + (inHead % 32) * 2 + Math.floor(inHead / 32);
      file[stored.get("blk.0.attn_q.weight")!.begin + place * side * 4 + 9]! ^= 4;
      Deno.writeFileSync(path, file);
      await assert.rejects(verifyCheckpoint(join(root, "out"), join(root, "large")), {
        message: `Verification failed: tensor "${BLOCK}.q_proj.weight" differs from the model's ` +
          `at row ${row}`,
      });
    }
  });
});

/** Dream: 2 heads of 32 rows, one of keys. */
const DREAM = {
  model_type: "Dream",
  hidden_size: 64,
  intermediate_size: 256,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 128,
  vocab_size: 6,
  mask_token_id: 5,
  rms_norm_eps: 1e-6,
};

const TOKENIZER = {
  added_tokens: [{ id: 4, content: "<|mask|>", special: true }],
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
  model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"] },
};

const DREAM_FILES: Files = {
  "dream/config.json": JSON.stringify(DREAM),
  "dream/tokenizer.json": JSON.stringify(TOKENIZER),
  "dream/model.safetensors": encodeFile([
    matrix("model.embed_tokens.weight", 6, 64, noise(1), "BF16"),
    matrix("model.layers.0.self_attn.q_proj.weight", 64, 64, noise(2), "BF16"),
    halves("model.layers.0.self_attn.q_proj.bias", bitsOf(64, 4)),
    matrix("model.layers.0.mlp.down_proj.weight", 64, 256, noise(3), "BF16"),
    halves("model.layers.0.input_layernorm.weight", bitsOf(64, 5)),
    matrix("lm_head.weight", 6, 64, noise(4), "BF16"),
  ]),
};

Deno.test("a Dream-shaped model is written with its tokenizer, under the folder's name, rows as they are", async () => {
  await withFiles(DREAM_FILES, async (root) => {
    const model = join(root, "dream");
    const source = readSource(model);
    const { report, path } = await runOn(root, "dream", { ignore: ["*.q_proj"] });
    assert.deepEqual(namesIn(join(root, "out")), [
      "config.json",
      "dream.gguf",
      "time_groups.isotherm",
      "tokenizer.json",
    ]);
    assert.equal(
      Deno.readTextFileSync(join(root, "out/config.json")),
      DREAM_FILES["dream/config.json"],
    );
    const { metadata, stored } = readGguf(path);
    const said = Object.fromEntries(metadata);
    assert.equal(said["general.architecture"], "dream");
    assert.equal(said["general.quantization_version"], 2);
    assert.equal(said["dream.attention.causal"], false);
    assert.equal(said["dream.vocab_size"], 6);
    assert.equal(said["tokenizer.ggml.model"], "gpt2");
    assert.equal(said["tokenizer.ggml.mask_token_id"], 5);
    assert.deepEqual([...stored.keys()].sort(), [
      "blk.0.attn_norm.weight",
      "blk.0.attn_q.bias",
      "blk.0.attn_q.weight",
      "blk.0.ffn_down.weight",
      "output.weight",
      "token_embd.weight",
    ]);
    assert.deepEqual(
      stored.get("blk.0.attn_q.weight")!.bytes,
      source.get("model.layers.0.self_attn.q_proj.weight"),
    );
    assert.deepEqual(stored.get("blk.0.ffn_down.weight")!.shape, [64, 256]);
    assert.deepEqual(report.layers.map(({ name }) => name), ["model.layers.0.mlp.down_proj"]);
    const { copied_tensor_count } = await verifyCheckpoint(join(root, "out"), model);
    assert.equal(copied_tensor_count, 5);
    // Without a tokenizer the file says so.
    Deno.removeSync(join(model, "tokenizer.json"));
    const bare = readGguf((await runOn(root, "dream")).path);
    assert.equal(bare.metadata.get("tokenizer.ggml.model"), "none");
    assert.equal(bare.metadata.get("tokenizer.ggml.tokens"), undefined);
  });
});

Deno.test("whole checkpoints lose the prefix of their denoiser, and are verified by the names they had", async () => {
  const names = ["double_blocks.0.img_attn.proj", "single_blocks.0.linear1"];
  const files = {
    "whole/flux.safetensors": encodeFile(
      names.map((name, i) =>
        matrix(`model.diffusion_model.${name}.weight`, 16, 256, noise(i), "BF16")
      ),
    ),
  };
  await withFiles(files, async (root) => {
    const { report, path } = await runOn(root, "whole");
    const { metadata, stored } = readGguf(path);
    assert.equal(metadata.get("general.architecture"), "flux");
    assert.deepEqual([...stored.keys()].sort(), names.map((name) => `${name}.weight`).sort());
    // Where a model has no config.json, neither has its output.
    assert.deepEqual(namesIn(join(root, "out")), ["time_groups.isotherm", "whole.gguf"]);
    const { layers } = await verifyCheckpoint(join(root, "out"), join(root, "whole"));
    assert.deepEqual(layers.map(({ name }) => name), report.layers.map(({ name }) => name));
    assert.deepEqual(
      layers.map(({ name }) => name),
      names.map((name) => `model.diffusion_model.${name}`),
    );
  });
});

Deno.test("a model in the Hugging Face cache gives its file its own name", async () => {
  const directory = "models--black-forest--tiny.v1/snapshots/abc";
  const files = {
    [`${directory}/config.json`]: '{"_class_name": "FluxTransformer2DModel"}',
    [`${directory}/model.safetensors`]: encodeFile([matrix("a.weight", 8, 64, noise(1))]),
  };
  await withFiles(files, async (root) => {
    await quantizeModel(join(root, directory), join(root, "out"), SETTINGS);
    assert.deepEqual(namesIn(join(root, "out")), [
      "config.json",
      "time_groups.isotherm",
      "tiny.v1.gguf",
    ]);
  });
});

const FLUX = '{"_class_name": "FluxTransformer2DModel"}';
const FITS = matrix("a.weight", 8, 64, noise(1));

/** A norm of more dimensions than ggml has. */
const DEEP = { ...matrix("model.norm.weight", 1, 64, noise(1)), shape: [1, 1, 1, 1, 64] };

/** Files of a model, and what is said of it before any work. */
const REFUSED: [files: Files, line: string][] = [
  [
    { "m/config.json": "{}", "m/model.safetensors": encodeFile([FITS]) },
    'Cannot write "m" as GGUF: no reader of GGUF knows its architecture: give --format sdnq, ' +
    "which diffusers reads, or compressed-tensors",
  ],
  [
    {
      "m/config.json": '{"_class_name": "DiTTransformer2DModel"}',
      "m/model.safetensors": encodeFile([FITS]),
    },
    'Cannot write "m" as GGUF: no reader of GGUF knows its architecture: give --format sdnq, ' +
    "which diffusers reads, or compressed-tensors",
  ],
  [
    {
      "m/config.json": FLUX,
      "m/model.safetensors": encodeFile([
        FITS,
        { name: "a.mask", dtype: "U8", shape: [3], data: new Uint8Array(3) },
      ]),
    },
    'Cannot write tensor "a.mask" to GGUF: its dtype is "U8", expected one of F32 F16 I8 I16 I32 ' +
    "I64 F64 BF16: convert it first",
  ],
  [
    { "m/config.json": JSON.stringify(DREAM), "m/model.safetensors": encodeFile([DEEP]) },
    'Cannot write tensor "output_norm.weight": it has 5 dimensions, ggml allows at most 4: reshape it',
  ],
  [
    { "m/config.json": JSON.stringify(DREAM), "m/model.safetensors": encodeFile([FITS]) },
    'Cannot write tensor "a.weight" to GGUF: llama.cpp has no such tensor in a dream model: ' +
    "remove it, or choose another format",
  ],
];

Deno.test("a model that no reader of GGUF takes is refused before any work", async () => {
  for (const [files, line] of REFUSED) {
    await withFiles(files, async (root) => {
      const run = ["--model", join(root, "m"), "--output", join(root, "out"), "--format", "gguf"];
      const flags = [...run, "--bit-width", "4", "--report", join(root, "r.json")];
      const { code, stdout, stderr } = await runMain(...flags);
      assert.deepEqual([code, stdout, stderr], [2, "", `error: ${line}\n`]);
      await assert.rejects(quantizeModel(join(root, "m"), join(root, "out"), SETTINGS), {
        name: "BadInputError",
        message: line,
      });
      assert.deepEqual(namesIn(root), ["m"]);
    });
  }
});

Deno.test("verify says what a GGUF file has too much, lacks or has in another shape", async () => {
  const model = (...tensors: TestTensor[]) => ({
    "m/config.json": FLUX,
    "m/model.safetensors": encodeFile(tensors),
  });
  const bias = { ...matrix("a.bias", 1, 8, noise(2)), shape: [8] };
  await withFiles(model(FITS, bias), async (root) => {
    const { path } = await runOn(root, "m");
    const other: [tensors: TestTensor[], line: string][] = [
      [[FITS], 'Verification failed: the model has no tensor "a.bias"'],
      [
        [FITS, bias, matrix("b.weight", 8, 64, noise(3))],
        'Cannot verify tensor "b.weight": the checkpoint holds no "b.weight"',
      ],
      [
        [matrix("a.weight", 16, 64, noise(1)), bias],
        'Cannot verify tensor "a.weight": it is Q4_1 [8,64], expected [16,64]',
      ],
      [
        [{ ...FITS, dtype: "I32" }, bias],
        'Cannot verify tensor "a.weight": it is I32',
      ],
      [
        [FITS, { ...bias, shape: [2, 4] }],
        'Verification failed: tensor "a.bias" is F32 [8], the model has F32 [2,4]',
      ],
      [
        [FITS, { ...bias, dtype: "F16", data: new Uint8Array(16) }],
        'Verification failed: tensor "a.bias" differs from the model\'s at row 0',
      ],
    ];
    for (const [tensors, line] of other) {
      Deno.writeFileSync(join(root, "m/model.safetensors"), encodeFile(tensors));
      const { code, stderr } = await runMain(
        "verify",
        join(root, "out"),
        "--against",
        join(root, "m"),
      );
      assert.deepEqual([code, stderr], [2, `error: ${line}\n`]);
    }
    Deno.writeFileSync(join(root, "m/model.safetensors"), encodeFile([FITS, bias]));
    await verifyCheckpoint(join(root, "out"), join(root, "m"));
    // An architecture that Isotherm does not write.
    const file = Deno.readFileSync(path);
    const at = new TextDecoder("latin1").decode(file).indexOf("flux");
    file.set(new TextEncoder().encode("flox"), at);
    Deno.writeFileSync(path, file);
    await assert.rejects(
      verifyCheckpoint(join(root, "out"), join(root, "m")),
      /^BadInputError: Cannot verify "m\.gguf": its architecture is "flox", expected one of flux sd1 /,
    );
    // Of two files neither is the checkpoint's.
    Deno.copyFileSync(path, join(root, "out/other.gguf"));
    await assert.rejects(
      verifyCheckpoint(join(root, "out"), join(root, "m")),
      /No safetensors weights/,
    );
  });
});

Deno.test("a GGUF file beside safetensors is not taken for the checkpoint", async () => {
  const files = { "m/config.json": FLUX, "m/model.safetensors": encodeFile([FITS]) };
  await withFiles(files, async (root) => {
    const [model, output] = [join(root, "m"), join(root, "out")];
    await quantizeModel(model, output, { ...SETTINGS, format: "sdnq" });
    Deno.writeTextFileSync(join(output, "stray.gguf"), "no GGUF");
    assert.equal((await verifyCheckpoint(output, model)).format, "sdnq");
  });
});

Deno.test("the tokenizer of a model that makes pictures is not looked at", async () => {
  const files = {
    "m/config.json": FLUX,
    "m/model.safetensors": encodeFile([FITS]),
    "m/tokenizer.json": "{",
  };
  await withFiles(files, async (root) => {
    const { path } = await runOn(root, "m");
    assert.deepEqual([...readGguf(path).metadata.keys()], [
      "general.architecture",
      "general.quantization_version",
    ]);
    assert.equal(Deno.readTextFileSync(join(root, "out/tokenizer.json")), "{");
  });
});
