/** Which runtimes load a checkpoint, and what `inspect` says of that, of bits a weight and of the shares of bytes. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { listRuntimes } from "../lib/format/list_runtimes.ts";
import type { Bits, FormatName } from "../lib/types.ts";
import { FORMATS, WIDTHS } from "../lib/settings/settings.ts";
import { vector } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

const PLAIN = "transformers, language models: turns the codes into plain weights";
const MIXED = "not transformers, which takes one width and block size for all layers where there " +
  "are zero points: add --symmetric, or give a --group-size that suits all layers and " +
  "--modulation keep";
const KERNELS = "vLLM, language models: with kernels for 4 and 8 bits";
const UNSIGNED = "vLLM, language models: its kernels for zero points take 4 bits";
const few = (bits: Bits) =>
  `vLLM, language models: of few devices only, at ${bits} bits with zero points (try --symmetric)`;

const NO_IMAGES =
  "not diffusers or ComfyUI: for models of images or videos give --format sdnq, gguf or comfy";

const OTHERS: Record<Exclude<FormatName, "compressed-tensors">, string[]> = {
  sdnq: ["diffusers, without an import", "transformers, after import sdnq"],
  gguf: [
    "diffusers, where the model class has from_single_file",
    "ComfyUI, with the node ComfyUI-GGUF",
    "llama.cpp, of language models Dream and LLaDA",
  ],
  comfy: ["ComfyUI, for checkpoints with the original names of their tensors"],
};

Deno.test("listRuntimes() names who loads each format at each width", () => {
  for (const format of FORMATS) {
    for (const bits of WIDTHS) {
      for (const symmetric of [false, true]) {
        for (const isMixed of [false, true]) {
          const found = listRuntimes(
            { format, bits, symmetric, granularity: "row" },
            isMixed,
          );
          const expected = format !== "compressed-tensors" ? OTHERS[format] : [
            isMixed && !symmetric ? MIXED : PLAIN,
            symmetric ? KERNELS : bits === 4 ? UNSIGNED : few(bits),
            NO_IMAGES,
          ];
          assert.deepEqual(found, expected, `${format} ${bits} ${symmetric} ${isMixed}`);
        }
      }
    }
  }
});

const FILES = {
  "model/config.json": '{"_class_name": "FluxTransformer2DModel"}',
  "model/model.safetensors": encodeFile([
    matrix("blocks.0.ff.weight", 16, 256, noise(1), "BF16"),
    matrix("blocks.0.norm1.linear.weight", 48, 512, noise(2), "BF16"),
    matrix("blocks.1.ff.weight", 16, 100, noise(3)),
    vector("blocks.1.ff.bias", 16),
    matrix("x_embedder.weight", 16, 64, noise(4)),
  ]),
};

/** Bytes of the tensors that are left alone. */
const EMBEDDER = 16 * 64 * 4;
const BIAS = 16 * 4;
const ODD = 16 * 100 * 4;

Deno.test("inspect says which runtimes load it, bits a weight and the bytes of all tensors", async () => {
  await withFiles(FILES, async (root) => {
    const model = join(root, "model");
    const inspect = async (...flags: string[]) => {
      const { code, stdout, stderr } = await runMain("inspect", model, "--json", ...flags);
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout);
    };
    const source = Deno.statSync(join(model, "model.safetensors")).size;
    const elements = 16 * 256 + 48 * 512 + 16 * 100 + 16 + 16 * 64;
    for (
      const [flags, loads] of [
        // 100 columns are one block a row, beside blocks of 128 and the modulation's 8 bits.
        [[], [MIXED, few(2), NO_IMAGES]],
        [["--bit-width", "4"], [MIXED, UNSIGNED, NO_IMAGES]],
        [["--bit-width", "4", "--symmetric"], [PLAIN, KERNELS, NO_IMAGES]],
        [["--bit-width", "8", "--group-size", "row"], [PLAIN, few(8), NO_IMAGES]],
        [["--bit-width", "4", "--group-size", "row"], [MIXED, UNSIGNED, NO_IMAGES]],
        [["--bit-width", "4", "--group-size", "row", "--modulation", "keep"], [
          PLAIN,
          UNSIGNED,
          NO_IMAGES,
        ]],
        [["--format", "sdnq", "--bit-width", "4"], OTHERS.sdnq],
        [["--format", "gguf", "--bit-width", "4"], OTHERS.gguf],
        [["--format", "comfy", "--bit-width", "4"], OTHERS.comfy],
      ] as [string[], string[]][]
    ) {
      const summary = await inspect(...flags);
      const what = flags.join(" ");
      assert.deepEqual(summary.loads_in, loads, what);
      assert.equal(summary.parameter_count, elements);
      assert.equal(summary.source_bytes, source);
      assert.equal(summary.bits_per_weight, summary.output_bytes * 8 / elements, what);
      // What a run writes is what was said.
      const out = join(root, "out");
      const run = ["--model", model, "--output", out, "--report", join(root, "r.json")];
      const { code, stderr } = await runMain(...run, "--overwrite", ...flags);
      assert.equal(code, 0, stderr);
      const report = JSON.parse(Deno.readTextFileSync(join(root, "r.json")));
      assert.equal(report.bits_per_weight, summary.bits_per_weight, what);
      assert.deepEqual(
        report.layers.map(({ name, output_bytes }: { name: string; output_bytes: number }) => [
          name,
          output_bytes,
        ]),
        summary.layers.map(({ name, output_bytes }: { name: string; output_bytes: number }) => [
          name,
          output_bytes,
        ]),
        what,
      );
    }
    const { layers, skipped, format } = await inspect("--format", "gguf", "--bit-width", "4");
    assert.equal(format, "gguf");
    assert.deepEqual(layers, [
      {
        name: "blocks.0.ff",
        dtype: "BF16",
        rows: 16,
        columns: 256,
        bits: 4,
        granularity: "row",
        group_size: 32,
        fallback: false,
        source_bytes: 16 * 256 * 2,
        output_bytes: 16 * 8 * 20,
      },
      {
        name: "blocks.0.norm1.linear",
        dtype: "BF16",
        rows: 48,
        columns: 512,
        bits: 8,
        granularity: "row",
        group_size: 32,
        fallback: false,
        source_bytes: 48 * 512 * 2,
        output_bytes: 48 * 16 * 34,
      },
    ]);
    assert.deepEqual(
      skipped,
      [
        {
          name: "blocks.1.ff.weight",
          reason: "100 columns fill no blocks of the format",
          source_bytes: ODD,
        },
        { name: "blocks.1.ff.bias", reason: "not a matrix (rank 1)", source_bytes: BIAS },
        { name: "x_embedder.weight", reason: "sensitive layer: embedding", source_bytes: EMBEDDER },
      ].sort((a, b) => (a.name < b.name ? -1 : 1)),
    );
  });
});

Deno.test("inspect shows them to people: a line for each runtime, and the share of what is left alone", async () => {
  await withFiles(FILES, async (root) => {
    const model = join(root, "model");
    const source = Deno.statSync(join(model, "model.safetensors")).size;
    const share = (bytes: number) => (100 * bytes / source).toFixed(1);
    const flags = ["--format", "gguf", "--bit-width", "4"];
    const { code, stdout, stderr } = await runMain("inspect", model, ...flags);
    assert.equal(code, 0);
    assert.equal(
      stderr,
      "Warning: --format gguf at 4 bits cannot store 1 layer, left as they are: the first, " +
        '"blocks.1.ff", has 100 columns\n',
    );
    const lines = stdout.split("\n");
    assert.match(
      lines[1]!,
      /^INT4, 4 time groups, by rows: 2 layers to quantize, .*x\), \d+\.\d\d bits a weight$/,
    );
    assert.deepEqual(lines.slice(3, 9), [
      "Loads in, as gguf:",
      ...OTHERS.gguf.map((line) => `  ${line}`),
      "",
      "To be quantized (2):",
    ]);
    assert.deepEqual(lines.slice(9, 11), [
      "  blocks.0.ff            BF16 [16, 256], blocks of 32",
      "  blocks.0.norm1.linear  BF16 [48, 512], INT8, blocks of 32",
    ]);
    assert.deepEqual(lines.slice(12, 16), [
      "Left as they are (3):",
      `  not a matrix (rank 1) (1, ${share(BIAS)}% of the bytes): blocks.1.ff.bias`,
      `  100 columns fill no blocks of the format (1, ${
        share(ODD)
      }% of the bytes): blocks.1.ff.weight`,
      `  sensitive layer: embedding (1, ${share(EMBEDDER)}% of the bytes): x_embedder.weight`,
    ]);
    const slices = await runMain("inspect", model, "--granularity", "slice");
    assert.match(
      slices.stdout,
      /^ +blocks\.0\.ff +BF16 \[16, 256\], one block a slice$/m,
    );
    assert.match(
      slices.stdout,
      /^ +blocks\.0\.norm1\.linear +BF16 \[48, 512\], INT8, one block a row$/m,
    );
  });
});
