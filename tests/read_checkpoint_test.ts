/** Checkpoints that were changed after they were written: each is refused with the tensor and what is wrong with it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { isCheckpoint } from "../lib/format/open_checkpoint.ts";
import { encodeFloats, type FloatDtype } from "../lib/safetensors/dtype.ts";
import {
  DEFAULT_SETTINGS,
  quantizeModel,
  type QuantizeSettings,
  verifyCheckpoint,
} from "../mod.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import { encodeFile, matrix, noise, type TestTensor, withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";
import { changeTensors, floatsOf } from "./stored_tensors.ts";

const SOURCE = [
  matrix("a.weight", 8, 96, noise(1), "BF16"),
  matrix("b.weight", 5, 64, noise(2)),
  { ...matrix("a.bias", 1, 8, noise(3)), shape: [8] },
  matrix("embed.weight", 4, 16, noise(4)),
];

/** Writes a checkpoint, then calls `use` with its files. */
function withCheckpoint(
  settings: Partial<QuantizeSettings>,
  use: (paths: { model: string; output: string; weights: string; config: string }) => Promise<void>,
): Promise<void> {
  const files = { "model/config.json": "{}", "model/model.safetensors": encodeFile(SOURCE) };
  return withFiles(files, async (root) => {
    const [model, output] = [join(root, "model"), join(root, "out")];
    await quantizeModel(model, output, { ...DEFAULT_SETTINGS, ...settings });
    const [weights, config] = ["model.safetensors", "config.json"].map((name) =>
      join(output, name)
    );
    await use({ model, output, weights: weights!, config: config! });
  });
}

type Tensors = Map<string, TestTensor>;

/** A change of the tensors of a checkpoint, and what is then said. */
type Case = [change: (tensors: Tensors) => void, line: string];

const remove = (name: string) => (tensors: Tensors) => {
  assert.ok(tensors.delete(name), name);
};

const retype = (name: string, dtype: string, shape?: number[]) => (tensors: Tensors) => {
  const tensor = tensors.get(name)!;
  tensors.set(name, { ...tensor, dtype, shape: shape ?? tensor.shape });
};

/** Floats in another dtype. */
const recast = (name: string, dtype: FloatDtype) => (tensors: Tensors) => {
  const tensor = tensors.get(name)!;
  tensors.set(name, { ...tensor, dtype, data: encodeFloats(floatsOf(tensor), dtype) });
};

const add = (name: string) => (tensors: Tensors) => {
  tensors.set(name, { name, dtype: "U8", shape: [1], data: new Uint8Array(1) });
};

const cut = (name: string, shape: number[], bytes: number) => (tensors: Tensors) => {
  const tensor = tensors.get(name)!;
  const data = new Uint8Array(bytes);
  data.set(tensor.data.subarray(0, bytes));
  tensors.set(name, { ...tensor, shape, data });
};

async function assertCases(settings: Partial<QuantizeSettings>, cases: Case[]): Promise<void> {
  await withCheckpoint(settings, async ({ model, output, weights }) => {
    const whole = Deno.readFileSync(weights);
    for (const [change, line] of cases) {
      changeTensors(weights, change);
      const { code, stdout, stderr } = await runMain("verify", output, "--against", model);
      assert.deepEqual([code, stdout, stderr], [2, "", `error: ${line}\n`]);
      Deno.writeFileSync(weights, whole);
    }
    await verifyCheckpoint(output, model);
  });
}

const verifying = (what: string) => `Cannot verify tensor "a.weight": ${what}`;

Deno.test("verify says what is wrong with a layer of compressed-tensors", async () => {
  const settings = { bits: 4, groupSize: 32, timeGroups: 2 } as const;
  await assertCases(settings, [
    [
      remove("a.weight_packed"),
      verifying('the checkpoint holds neither it nor "a.weight_packed"'),
    ],
    [remove("a.weight_scale"), verifying('the checkpoint holds neither it nor "a.weight_scale"')],
    [
      remove("a.weight_zero_point"),
      verifying('the checkpoint holds neither it nor "a.weight_zero_point"'),
    ],
    [remove("a.weight_shape"), verifying('the checkpoint holds neither it nor "a.weight_shape"')],
    [
      retype("a.weight_packed", "U32"),
      verifying("its weight_packed is U32 [8,12], expected I32 [8,12]"),
    ],
    [
      recast("a.weight_scale", "F32"),
      verifying("its weight_scale is F32 [8,3], expected BF16 [8,3]"),
    ],
    [
      retype("a.weight_zero_point", "I32", [3, 1]),
      verifying("its weight_zero_point is I32 [3,1], expected I32 [1,3]"),
    ],
    [
      cut("a.weight_packed", [8, 11], 8 * 11 * 4),
      verifying("its weight_packed is I32 [8,11], expected I32 [8,12]"),
    ],
    [add("c.weight_packed"), 'Verification failed: the model has no tensor "c.weight_packed"'],
    [
      (tensors) => {
        const shape = tensors.get("a.weight_shape")!;
        shape.data = new Uint8Array(BigInt64Array.of(8n, 95n).buffer);
      },
      verifying("its weight_shape is [8,95], the model has [8,96]"),
    ],
    [
      retype("a.weight_shape", "F64"),
      'Cannot verify tensor "a.weight_shape": it is F64 [2], expected I64 [2]',
    ],
    [
      retype("a.weight_shape", "I64", [1, 2]),
      'Cannot verify tensor "a.weight_shape": it is I64 [1,2], expected I64 [2]',
    ],
    [
      (tensors) => {
        cut("a.weight_scale", [8, 5], 8 * 5 * 2)(tensors);
        cut("a.weight_zero_point", [1, 5], 5 * 4)(tensors);
      },
      verifying("its 5 blocks do not divide 96 columns"),
    ],
    [
      (tensors) => {
        cut("a.weight_scale", [8, 0], 0)(tensors);
        cut("a.weight_zero_point", [1, 0], 0)(tensors);
      },
      verifying("its 0 blocks do not divide 96 columns"),
    ],
    [
      remove("a.bias"),
      'Cannot verify tensor "a.bias": the checkpoint holds neither it nor "a.bias.weight_packed"',
    ],
    [
      recast("a.bias", "BF16"),
      'Verification failed: tensor "a.bias" is BF16 [8], the model has F32 [8]',
    ],
    [
      (tensors) => tensors.get("embed.weight")!.data[255]! ^= 128,
      'Verification failed: tensor "embed.weight" differs from the model\'s at byte 255',
    ],
    [
      (tensors) => tensors.get("a.weight_scale")!.data.fill(255, 0, 2),
      'Verification failed: the quality of tensor "a.weight" in "model.safetensors" cannot be ' +
      "measured: its weights or scales are no finite numbers",
    ],
  ]);
});

Deno.test("verify holds the tensors of SDNQ against its config.json", async () => {
  const settings = { ...DEFAULT_SETTINGS, format: "sdnq", bits: 4, groupSize: 32 } as const;
  const files = {
    "m/model.safetensors": encodeFile([
      matrix("a.weight", 8, 96, noise(1), "BF16"),
      matrix("b.weight", 8, 32, noise(2), "BF16"),
      matrix("embed.weight", 4, 32, noise(3), "BF16"),
    ]),
  };
  const changes: [change: (text: string) => string, message: string][] = [
    [
      (text) => text.replace('"uint4"', '"uint2"'),
      'Cannot verify tensor "a.weight": config.json says uint2 in blocks of 32, its tensors are ' +
      "uint4 in blocks of 32",
    ],
    [
      (text) => text.replace('"group_size": 32', '"group_size": 48'),
      'Cannot verify tensor "a.weight": config.json says uint4 in blocks of 48, its tensors are ' +
      "uint4 in blocks of 32",
    ],
    [
      (text) => text.replace('"embed.weight"', '"a.weight"'),
      'Cannot verify tensor "a.weight": config.json says that it is not quantized',
    ],
    [
      (text) => text.replace('"embed.weight"', '"other.weight"'),
      'Cannot verify tensor "embed.weight": it is not quantized, and config.json does not list it ' +
      "under modules_to_not_convert",
    ],
  ];
  await withFiles(files, async (root) => {
    const [model, output] = [join(root, "m"), join(root, "out")];
    await quantizeModel(model, output, settings);
    await verifyCheckpoint(output, model);
    const path = join(output, "config.json");
    const text = Deno.readTextFileSync(path);
    for (const [change, message] of changes) {
      assert.notEqual(change(text), text);
      Deno.writeTextFileSync(path, change(text));
      await assert.rejects(verifyCheckpoint(output, model), { message });
    }
  });
});

Deno.test("verify says what is wrong with a layer of SDNQ", async () => {
  const settings = { format: "sdnq", bits: 4, groupSize: 32, timeGroups: 2 } as const;
  await assertCases(settings, [
    [remove("a.weight"), verifying("the checkpoint holds no such tensor")],
    [remove("a.scale"), verifying('the checkpoint holds neither it nor "a.scale"')],
    [remove("a.zero_point"), verifying('the checkpoint holds neither it nor "a.zero_point"')],
    [recast("a.scale", "F32"), verifying("its scale is F32 [8,3,1], expected BF16 [8,3,1]")],
    [
      recast("a.zero_point", "BF16"),
      verifying("its zero_point is BF16 [8,3,1], expected F32 [8,3,1]"),
    ],
    [
      retype("a.zero_point", "F32", [8, 3]),
      verifying("its zero_point is F32 [8,3], expected F32 [8,3,1]"),
    ],
    [
      cut("a.weight", [288], 288),
      verifying("its codes are U8 [288], of 2 or 4 bits none"),
    ],
    [retype("a.weight", "U8", [8, 48]), verifying("its weight is U8 [8,48], expected U8 [384]")],
    [
      retype("a.weight", "I8"),
      verifying("its weight is I8 [384], expected I8 [8,3,32]"),
    ],
    [
      retype("a.weight", "I16", [192]),
      verifying("its weight is I16 [192], expected U8 [384]"),
    ],
    [
      (tensors) => {
        cut("a.scale", [8, 5, 1], 80)(tensors);
        cut("a.zero_point", [8, 5, 1], 160)(tensors);
      },
      verifying("its 5 blocks do not divide 96 columns"),
    ],
    [add("a.bias.scale"), 'Verification failed: the model has no tensor "a.bias.scale"'],
    [add("embed.scale"), 'Verification failed: the model has no tensor "embed.scale"'],
    [add("c.scale"), 'Verification failed: the model has no tensor "c.scale"'],
    [
      (tensors) => tensors.get("a.bias")!.data[7]! ^= 1,
      'Verification failed: tensor "a.bias" differs from the model\'s at byte 7',
    ],
  ]);
  // Of signed codes no zero point is looked for, so that one too many shows.
  await assertCases({ ...settings, bits: 8, symmetric: true }, [
    [
      retype("a.weight", "I8", [8, 96]),
      verifying("its weight is I8 [8,96], expected I8 [8,3,32]"),
    ],
    [
      retype("a.weight", "U8"),
      verifying('the checkpoint holds neither it nor "a.zero_point"'),
    ],
    [add("a.zero_point"), 'Verification failed: the model has no tensor "a.zero_point"'],
  ]);
});

Deno.test("verify says what is wrong with a layer of ComfyUI's formats", async () => {
  const settings = { format: "comfy", bits: 4, groupSize: 32, timeGroups: 2 } as const;
  const text = (words: string) => (tensors: Tensors) => {
    const data = new TextEncoder().encode(words);
    const quant = tensors.get("a.comfy_quant")!;
    tensors.set("a.comfy_quant", { ...quant, shape: [data.length], data });
  };
  const right = '{"format": "awq_w4a16", "group_size": 32}';
  await assertCases(
    settings,
    [
      [remove("a.weight"), verifying("the checkpoint holds no such tensor")],
      [remove("a.weight_scale"), verifying('the checkpoint holds neither it nor "a.weight_scale"')],
      // Without zeros it is taken for 8 bits.
      [remove("a.weight_zeros"), verifying("its weight is I8 [8,48], expected I8 [8,96]")],
      [
        remove("a.comfy_quant"),
        'Verification failed: tensor "a.weight" is I8 [8,48], the model has BF16 [8,96]',
      ],
      [
        text('{"format": "awq_w4a16", "group_size": 16}'),
        verifying(
          'its comfy_quant is "{\\"format\\": \\"awq_w4a16\\", \\"group_size\\": 16}", ' +
            `expected ${right}`,
        ),
      ],
      [text(`${right} `), verifying("its comfy_quant is U8 [42], expected U8 [41]")],
      [
        recast("a.weight_scale", "F32"),
        verifying("its weight_scale is F32 [3,8], expected BF16 [3,8]"),
      ],
      [
        retype("a.weight_scale", "BF16", [8, 3]),
        verifying("its weight_scale is BF16 [8,3], expected BF16 [8,8]"),
      ],
      [
        recast("a.weight_zeros", "F32"),
        verifying("its weight_zeros is F32 [3,8], expected BF16 [3,8]"),
      ],
      [retype("a.weight", "U8"), verifying("its weight is U8 [8,48], expected I8 [8,48]")],
      [
        (tensors) => {
          cut("a.weight_scale", [5, 8], 80)(tensors);
          cut("a.weight_zeros", [5, 8], 80)(tensors);
        },
        verifying("its 5 blocks do not divide 96 columns"),
      ],
      [
        add("embed.weight_scale"),
        'Verification failed: the model has no tensor "embed.weight_scale"',
      ],
      [add("c.comfy_quant"), 'Verification failed: the model has no tensor "c.comfy_quant"'],
    ],
  );
  await assertCases({ ...settings, bits: 8, symmetric: true, groupSize: "row" }, [
    [
      recast("a.weight_scale", "BF16"),
      verifying("its weight_scale is BF16 [8,1], expected F32 [8,1]"),
    ],
    [
      retype("a.weight_scale", "F32", [1, 8]),
      verifying("its weight_scale is F32 [1,8], expected F32 [8,1]"),
    ],
    [retype("a.weight", "U8"), verifying("its weight is U8 [8,96], expected I8 [8,96]")],
    [
      (tensors) => tensors.get("a.comfy_quant")!.data[2]! ^= 32,
      verifying(
        'its comfy_quant is "{\\"Format\\": \\"int8_tensorwise\\"}", ' +
          'expected {"format": "int8_tensorwise"}',
      ),
    ],
  ]);
});

/** What config.json says of how a checkpoint is quantized, and what is said of that. */
const CONFIGS: [quantization: unknown, line: string][] = [
  [undefined, 'Cannot verify "out": its config.json has no quantization_config'],
  [null, 'Cannot verify "out": its config.json has no quantization_config'],
  [
    {},
    'Cannot verify "out": the quant_method in its config.json is "", expected ' +
    "compressed-tensors or sdnq",
  ],
  [
    { quant_method: "gptq" },
    'Cannot verify "out": the quant_method in its config.json is "gptq", expected ' +
    "compressed-tensors or sdnq",
  ],
  [
    { quant_method: "compressed-tensors", format: "int-quantized" },
    'Cannot verify "out": the format in its config.json is "int-quantized", expected ' +
    '"pack-quantized"',
  ],
  [
    { quant_method: "compressed-tensors", format: "pack-quantized" },
    'Cannot verify "out": its config.json has no config_groups',
  ],
];

/** Config groups that are none. */
const GROUPS: [groups: unknown, line: string][] = [
  [[], "its config.json has no config_groups"],
  [{ g: {} }, "a num_bits is not 2, 4 or 8"],
  [{ g: { weights: { num_bits: 3, symmetric: false } } }, "a num_bits is not 2, 4 or 8"],
  [{ g: { weights: { num_bits: "4", symmetric: false } } }, "a num_bits is not 2, 4 or 8"],
  [{ g: { weights: { num_bits: 4 } } }, "a symmetric is not true or false"],
  [{ g: { weights: { num_bits: 4, symmetric: 0 } } }, "a symmetric is not true or false"],
  [{ g: { weights: { num_bits: 4, symmetric: false } } }, "a config group has no targets"],
];

Deno.test("verify says what is wrong with what config.json says of a checkpoint", async () => {
  await withCheckpoint({ bits: 4, groupSize: 32, timeGroups: 2 }, async (paths) => {
    const { model, output, config } = paths;
    const own = JSON.parse(Deno.readTextFileSync(config)).quantization_config;
    const cases = [
      ...CONFIGS,
      ...GROUPS.map(([config_groups, what]): [unknown, string] => [
        { ...own, config_groups },
        `Cannot verify "out": ${what}`,
      ]),
      [
        {
          ...own,
          config_groups: { g: { weights: { num_bits: 4, symmetric: false }, targets: ["b"] } },
        },
        'Cannot verify tensor "a.weight": no config group targets it',
      ] as const,
      // Another width than that of the codes.
      [
        {
          ...own,
          config_groups: { g: { weights: { num_bits: 8, symmetric: false }, targets: ["Linear"] } },
        },
        'Cannot verify tensor "b.weight": its weight_packed is I32 [5,8], expected I32 [5,16]',
      ] as const,
      [
        {
          ...own,
          config_groups: { g: { weights: { num_bits: 4, symmetric: true }, targets: ["Linear"] } },
        },
        'Verification failed: the model has no tensor "a.weight_zero_point"',
      ] as const,
    ];
    for (const [quantization_config, line] of cases) {
      Deno.writeTextFileSync(config, JSON.stringify({ quantization_config }));
      const { code, stdout, stderr } = await runMain("verify", output, "--against", model);
      assert.deepEqual([code, stdout, stderr], [2, "", `error: ${line}\n`]);
    }
    // The first group that targets a layer by its name goes before the one for all.
    const weights = { num_bits: 4, symmetric: false };
    const config_groups = {
      all: { weights: { num_bits: 8, symmetric: true }, targets: ["Linear"] },
      g: { weights, targets: ["a", "b"] },
      h: { weights: { num_bits: 2, symmetric: false }, targets: ["a"] },
    };
    Deno.writeTextFileSync(
      config,
      JSON.stringify({ quantization_config: { ...own, config_groups } }),
    );
    assert.ok((await verifyCheckpoint(output, model)).sqnr_db! > 15);
  });
});

Deno.test("verify takes no checkpoint of another tool for one of ComfyUI's, whatever its tensors are called", async () => {
  await withCheckpoint({ format: "comfy", bits: 4 }, async ({ model, output, config }) => {
    Deno.writeTextFileSync(config, '{"quantization_config": {"quant_method": "other"}}');
    await assert.rejects(verifyCheckpoint(output, model), {
      message: 'Cannot verify "out": the quant_method in its config.json is "other", expected ' +
        "compressed-tensors or sdnq",
    });
  });
});

Deno.test("isCheckpoint() tells what was written from what it was made from", async () => {
  const all: Partial<QuantizeSettings>[] = [
    {},
    { format: "sdnq" },
    { format: "comfy" },
  ];
  for (const settings of all) {
    await withCheckpoint({ bits: 4, ...settings }, async ({ model, output }) => {
      assert.equal(isCheckpoint(output), true);
      assert.equal(isCheckpoint(model), false);
      await verifyCheckpoint(output, model);
    });
  }
  const config = '{"_class_name": "FluxTransformer2DModel", "quantization_config": null}';
  const files = { "model/config.json": config, "model/m.safetensors": encodeFile(SOURCE) };
  await withFiles(files, async (root) => {
    await quantizeModel(join(root, "model"), join(root, "out"), {
      ...DEFAULT_SETTINGS,
      format: "gguf",
      bits: 4,
    });
    assert.equal(isCheckpoint(join(root, "out")), true);
    assert.equal(isCheckpoint(join(root, "model")), false);
    Deno.mkdirSync(join(root, "empty"));
    assertBadInput(() => isCheckpoint(join(root, "empty")), "No safetensors weights");
  });
});
