/** verify on checkpoints of every shape, also crafted ones, and against reports. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { packedBytes, packRow, packZeroPoints } from "../lib/compute/pack_codes.ts";
import { encodeFloats } from "../lib/safetensors/dtype.ts";
import type { Bits } from "../lib/types.ts";
import {
  checkReport,
  DEFAULT_SETTINGS,
  measureQuality,
  quantizeModel,
  verifyCheckpoint,
} from "../mod.ts";
import { namesIn, shardedModel, smallModel } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { runIn, runMain } from "./run_cli.ts";

/** A checkpoint of one layer as another tool might write it, and the quality that it has. */
function craft(rows: number, columns: number, blocks: number, bits: Bits) {
  const qmax = 2 ** bits - 1;
  const value = noise(columns);
  const params = Array.from({ length: rows * blocks }, (_, i) => ({
    scale: Math.fround((1.5 + noise(7)(i)) / qmax),
    zeroPoint: Math.round(qmax / 2 + noise(8)(i)),
  }));
  const codes = new Uint8Array(columns);
  const packed = new Uint8Array(rows * packedBytes(columns, bits));
  const sums = { signal: 0, decoded: 0, error: 0 };
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const x = Math.fround(value(row * columns + column));
      const block = row * blocks + Math.floor((column * blocks) / columns);
      const { scale, zeroPoint } = params[block]!;
      codes[column] = Math.min(qmax, Math.max(0, Math.round(x / scale) + zeroPoint));
      const decoded = (codes[column]! - zeroPoint) * scale;
      sums.signal += x * x;
      sums.decoded += decoded ** 2;
      sums.error += (x - decoded) ** 2;
    }
    packRow(codes, bits, packed.subarray(row * packedBytes(columns, bits)));
  }
  const zeroPoints = Uint8Array.from(params, ({ zeroPoint }) => zeroPoint);
  const quantization_config = {
    quant_method: "compressed-tensors",
    format: "pack-quantized",
    config_groups: {
      group_0: { targets: ["Linear"], weights: { num_bits: bits, symmetric: false } },
    },
  };
  const words = [packedBytes(columns, bits) / 4, packedBytes(rows, bits) / 4] as const;
  return {
    files: {
      "model/model.safetensors": encodeFile([matrix("a.weight", rows, columns, value)]),
      "made/config.json": JSON.stringify({ quantization_config }),
      "made/model.safetensors": encodeFile([
        { name: "a.weight_packed", dtype: "I32", shape: [rows, words[0]], data: packed },
        {
          name: "a.weight_scale",
          dtype: "F32",
          shape: [rows, blocks],
          data: encodeFloats(Float32Array.from(params, ({ scale }) => scale), "F32"),
        },
        {
          name: "a.weight_shape",
          dtype: "I64",
          shape: [2],
          data: new Uint8Array(BigInt64Array.of(BigInt(rows), BigInt(columns)).buffer),
        },
        {
          name: "a.weight_zero_point",
          dtype: "I32",
          shape: [words[1], blocks],
          data: packZeroPoints(zeroPoints, blocks, bits),
        },
      ]),
    },
    quality: measureQuality(sums),
  };
}

/** Rows, columns, blocks side by side: what is hard about them. */
const CRAFTED: Record<string, [number, number, number]> = {
  "a block wider than a tile": [1, 2 ** 20, 2],
  "a single block wider than a tile": [2, 300_000, 1],
  "rows longer than a tile in blocks that end inside a word": [2, 300_000, 30_000],
  "blocks that end inside a word": [40, 70, 7],
  "blocks of one column": [5, 9, 9],
  "a layer larger than is checked at a time": [34, 2 ** 17, 64],
};

for (const [what, [rows, columns, blocks]] of Object.entries(CRAFTED)) {
  Deno.test(`verifyCheckpoint() decodes ${what}`, async () => {
    for (const bits of [2, 4, 8] as const) {
      const { files, quality } = craft(rows, columns, blocks, bits);
      await withFiles(files, async (root) => {
        const found = await verifyCheckpoint(join(root, "made"), join(root, "model"));
        assert.equal(found.copied_tensor_count, 0);
        assert.equal(found.layers.length, 1);
        assert.ok(Math.abs(found.sqnr_db! - quality.sqnr_db!) < 1e-9, `INT${bits}`);
        const off = Math.abs(found.cosine_similarity - quality.cosine_similarity);
        assert.ok(off < 1e-12, `INT${bits}`);
      });
    }
  });
}

Deno.test("verifyCheckpoint() names the tensor whose quality cannot be measured", async () => {
  const { files } = craft(4, 32, 2, 4);
  const bytes = files["made/model.safetensors"];
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  bytes.set(
    encodeFloats(Float32Array.of(NaN), "F32"),
    8 + length +
      header["a.weight_scale"].data_offsets[0],
  );
  await withFiles(files, async (root) => {
    await assert.rejects(verifyCheckpoint(join(root, "made"), join(root, "model")), {
      name: "BadInputError",
      message:
        'Verification failed: the quality of tensor "a.weight" in "model.safetensors" cannot ' +
        "be measured: its weights or scales are no finite numbers",
    });
  });
});

Deno.test("verifyCheckpoint() and quantizeModel() do nothing when their signal was heard before", async () => {
  await withReport(smallModel(), [], async (_verify, _report, root) => {
    const [model, out, again] = ["model", "out", "again"].map((name) => join(root, name));
    const interrupted = {
      name: "InterruptedError",
      message: "Interrupted: nothing was written",
    };
    const signal = AbortSignal.abort();
    await assert.rejects(verifyCheckpoint(out!, model!, { signal }), interrupted);
    const run = quantizeModel(model!, again!, DEFAULT_SETTINGS, { signal });
    await assert.rejects(run, interrupted);
    assert.deepEqual(namesIn(root), ["model", "out", "r.json", "r.log"]);
  });
});

/** Quantizes a model through the command line; hands over how it is verified against its report. */
async function withReport(
  files: Record<string, Uint8Array | string>,
  flags: string[],
  use: (verify: string[], report: string, root: string) => Promise<void>,
): Promise<void> {
  await withFiles(files, async (root) => {
    const [model, out, report] = ["model", "out", "r.json"].map((name) => join(root, name));
    const run = await runMain(
      ...["--model", model!, "--output", out!, "--report", report!, ...flags],
    );
    assert.equal(run.code, 0, run.stderr);
    await use(["verify", out!, "--against", model!, "--report", report!], report!, root);
  });
}

Deno.test("verify --report agrees with the report of every phase, width and kind of model", async () => {
  for (const files of [smallModel(), shardedModel()]) {
    for (const granularity of ["row", "slice"]) {
      for (const phase of ["baseline", "smooth", "optimize"]) {
        for (const bits of ["2", "4", "8"]) {
          const flags = ["--granularity", granularity, "--phase", phase, "--bit-width", bits];
          await withReport(files, flags, async (verify) => {
            const { code, stderr, stdout } = await runMain(...verify);
            assert.equal(code, 0, `${granularity} ${phase} INT${bits}: ${stderr}`);
            assert.match(
              stdout,
              /^Verified out \(compressed-tensors\): 2 layers decoded from disk\n/,
            );
            assert.match(stderr, /^The report "[^\n]*r\.json" agrees with what is on disk\n$/);
          });
        }
      }
    }
  }
});

/** What is changed in a report, and what is then said of it. */
const CHANGES: [what: string, change: (report: Report) => void, said: RegExp][] = [
  [
    "a layer's SQNR",
    ({ layers }) => layers[1]!.sqnr_db += 0.011,
    /says for layer "blocks\.1\.fc" SQNR [\d.]+ dB, on disk [\d.]+ dB: 1 figure in all: it is of another run, or the files changed$/,
  ],
  [
    "a layer's cosine similarity",
    ({ layers }) => layers[0]!.cosine_similarity += 1.1e-5,
    /says for layer "blocks\.0\.fc" cosine similarity [\d.]+, on disk [\d.]+: 1 figure in all/,
  ],
  ["the model's SQNR", (report) => report.sqnr_db -= 0.011, /says SQNR [\d.]+ dB, on disk/],
  [
    "the model's cosine similarity",
    (report) => report.cosine_similarity -= 1.1e-5,
    /says cosine similarity/,
  ],
  ["the size", (report) => report.model_size_mb *= 1.00002, /says [\d.]+ MB, on disk [\d.]+ MB/],
  [
    "a layer's name",
    ({ layers }) => layers[0]!.name = "blocks.7.fc",
    /says no layer "blocks\.0\.fc", which is on disk: 2 figures in all/,
  ],
  [
    "a layer too many",
    ({ layers }) => layers.push({ ...layers[0]!, name: "blocks.7.fc" }),
    /says a layer "blocks\.7\.fc", which is not on disk: 1 figure in all/,
  ],
];

interface Report {
  layers: { name: string; sqnr_db: number; cosine_similarity: number }[];
  sqnr_db: number;
  cosine_similarity: number;
  model_size_mb: number;
}

Deno.test("verify --report exits with 2 when the report says something else than the disk", async () => {
  await withReport(smallModel(), ["--bit-width", "4"], async (verify, path) => {
    const text = Deno.readTextFileSync(path);
    for (const [what, change, said] of CHANGES) {
      const report = JSON.parse(text) as Report;
      change(report);
      Deno.writeTextFileSync(path, JSON.stringify(report));
      const { code, stdout, stderr } = await runMain(...verify);
      assert.deepEqual([code, stdout], [2, ""], what);
      assert.match(stderr.trimEnd(), said, what);
      assert.match(stderr, /^error: Verification failed: the report "/, what);
    }
  });
});

Deno.test("checkReport() takes errors that are next to nothing for none", () => {
  const quality = (sqnr_db: number | null) => ({ cosine_similarity: 1, sqnr_db });
  const check = (said: number | null, found: number | null) => {
    const report = { ...quality(50), layers: [{ name: "a", ...quality(said) }], model_size_mb: 1 };
    const verification = {
      ...quality(50),
      model_name: "out",
      format: "compressed-tensors" as const,
      layers: [{ name: "a", ...quality(found) }],
      copied_tensor_count: 0,
      schedule_count: null,
    };
    checkReport(report, verification, { name: "r.json", byteLength: 1e6 });
  };
  for (const [said, found] of [[null, null], [null, 130], [121, null], [125, 150], [40, 40.009]]) {
    check(said!, found!);
  }
  for (const [said, found] of [[null, 119], [119, null], [119, 150], [40, 40.011], [40, null]]) {
    assert.throws(() => check(said!, found!), { name: "BadInputError" }, `${said} ${found}`);
  }
});

Deno.test("verify --report notices a changed code on disk", async () => {
  await withReport(smallModel(), ["--bit-width", "4"], async (verify, _report, root) => {
    const path = join(root, "out/model.safetensors");
    const bytes = Deno.readFileSync(path);
    const header = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const tensors = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + header)));
    const [begin] = tensors["blocks.0.fc.weight_packed"].data_offsets;
    bytes[8 + header + begin]! ^= 0x88;
    Deno.writeFileSync(path, bytes);
    const { code, stderr } = await runMain(...verify);
    assert.equal(code, 2);
    assert.match(stderr, /says for layer "blocks\.0\.fc" /);
  });
});

Deno.test("verify shows how far it is and how long it will take", async () => {
  await withReport(smallModel(), [], async (verify) => {
    let now = 0;
    let written = "";
    const world = { now: () => now += 11_000, stderr: (text: string) => written += text };
    const { code } = await runIn(world, ...verify);
    assert.equal(code, 0);
    assert.match(written, /^Progress: \d+% \d+ MB\/s \d+ s left, /m);
  });
});
