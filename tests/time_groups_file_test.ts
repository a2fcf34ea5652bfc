/** The file of schedules: what a run writes into it is read back, and a malformed one is refused. */

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  DEFAULT_SETTINGS,
  quantizeModel,
  type QuantizeSettings,
  readTimeGroups,
  verifyCheckpoint,
} from "../mod.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import { smallModel } from "./directories.ts";
import { encodeFile, rawFile, type TestTensor, withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

const MARK = "time_groups.isotherm";

function floats(name: string, ...values: number[]): TestTensor {
  const data = new Uint8Array(Float32Array.from(values).buffer);
  return { name, dtype: "F32", shape: [values.length], data };
}

function integers(name: string, ...values: number[]): TestTensor {
  const data = new Uint8Array(Int32Array.from(values).buffer);
  return { name, dtype: "I32", shape: [values.length], data };
}

const METADATA = new Map([
  ["format", "isotherm-time-groups"],
  ["version", "1"],
  ["source", "positional"],
  ["phase", "smooth"],
]);

/** A file of schedules. */
function schedules(tensors: TestTensor[], metadata = METADATA): Record<string, Uint8Array> {
  return { [MARK]: encodeFile(tensors, metadata) };
}

/** The schedule of a layer of three groups over six steps. */
const LAYER = [
  integers("a.boundaries", 0, 2, 4, 6),
  floats("a.scale", 0.5, 0.25, 1),
  integers("a.zero_point", 1, 2, 3),
];

Deno.test("readTimeGroups() reads a schedule of groups or of single steps, in the order of names", async () => {
  const files = schedules([
    integers("b.c.boundaries", 0, 1, 3),
    floats("b.c.scale", 0.5, 0.75, 2),
    integers("b.c.zero_point", -1, 0, 255),
    ...LAYER,
    // A name may hold anything, a line feed as well.
    integers("\n.boundaries", 0, 5),
    floats("\n.scale", 3),
    integers("\n.zero_point", 7),
  ]);
  await withFiles(files, (directory) => {
    assert.deepEqual(readTimeGroups(directory), {
      source: "positional",
      phase: "smooth",
      layers: [
        { name: "\n", boundaries: [0, 5], scale: [3], zero_point: [7] },
        { name: "a", boundaries: [0, 2, 4, 6], scale: [0.5, 0.25, 1], zero_point: [1, 2, 3] },
        { name: "b.c", boundaries: [0, 1, 3], scale: [0.5, 0.75, 2], zero_point: [-1, 0, 255] },
      ],
    });
  });
});

Deno.test("readTimeGroups() finds nothing where no file is", async () => {
  await withFiles({ "config.json": "{}" }, (directory) => {
    assert.equal(readTimeGroups(directory), undefined);
    assert.equal(readTimeGroups(join(directory, "nowhere")), undefined);
    Deno.mkdirSync(join(directory, MARK));
    assert.equal(readTimeGroups(directory), undefined);
  });
});

const other = (key: string, value: string) => new Map([...METADATA, [key, value]]);

/** A file, and what is said of it. */
const MALFORMED: [files: Record<string, Uint8Array>, part: string][] = [
  [
    schedules(LAYER, other("format", "pt")),
    `Cannot read the schedules "${MARK}": their format is "pt", expected "isotherm-time-groups"`,
  ],
  [
    schedules(LAYER, new Map([["version", "1"]])),
    'their format is "", expected "isotherm-time-groups"',
  ],
  [schedules(LAYER, other("version", "2")), 'their version is "2", expected "1"'],
  [{ [MARK]: new Uint8Array(0) }, `Cannot read "${MARK}"`],
  [{ [MARK]: rawFile("{") }, `Cannot read "${MARK}"`],
  [
    { [MARK]: rawFile('{"a.boundaries":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}', 3) },
    MARK,
  ],
  [schedules(LAYER.slice(0, 2)), 'they hold no "a.zero_point"'],
  [schedules([LAYER[0]!, LAYER[2]!]), 'they hold no "a.scale"'],
  [
    schedules([LAYER[0]!, integers("a.scale", 1, 2, 3), LAYER[2]!]),
    '"a.scale" is I32 [3], expected F32 of one dimension',
  ],
  [
    schedules([LAYER[0]!, LAYER[1]!, floats("a.zero_point", 1, 2, 3)]),
    '"a.zero_point" is F32 [3], expected I32 of one dimension',
  ],
  [
    schedules([floats("a.boundaries", 0, 2, 4, 6), LAYER[1]!, LAYER[2]!]),
    '"a.boundaries" is F32 [4], expected I32 of one dimension',
  ],
  [
    schedules([LAYER[0]!, { ...LAYER[1]!, shape: [1, 3] }, LAYER[2]!]),
    '"a.scale" is F32 [1,3], expected F32 of one dimension',
  ],
  // Neither as many as groups, 3, nor as steps, 6.
  ...[2, 4, 5, 7].map((count): [Record<string, Uint8Array>, string] => [
    schedules([
      LAYER[0]!,
      floats("a.scale", ...Array(count).fill(1)),
      integers("a.zero_point", ...Array(count).fill(1)),
    ]),
    `"a" has ${count} scales and ${count} zero points`,
  ]),
  [
    schedules([LAYER[0]!, LAYER[1]!, integers("a.zero_point", 1, 2)]),
    '"a" has 3 scales and 2 zero points',
  ],
  // Boundaries ascend from 0.
  ...[[0], [], [1, 2, 4], [0, 2, 2, 4], [0, 4, 2, 6]].map((
    steps,
  ): [Record<string, Uint8Array>, string] => [
    schedules([
      integers("a.boundaries", ...steps),
      floats("a.scale", ...Array(Math.max(0, steps.length - 1)).fill(1)),
      integers("a.zero_point", ...Array(Math.max(0, steps.length - 1)).fill(1)),
    ]),
    'the boundaries of "a" do not ascend from 0',
  ]),
];

Deno.test("readTimeGroups() refuses what is no file of schedules, and says what is wrong", async () => {
  for (const [files, part] of MALFORMED) {
    await withFiles(files, (directory) => assertBadInput(() => readTimeGroups(directory), part));
  }
});

Deno.test("readTimeGroups() reads what each phase writes: the report's groups, or every step", async () => {
  const cases: [Partial<QuantizeSettings>, boolean][] = [
    [{}, false],
    [{ granularity: "slice" }, false],
    [{ phase: "smooth" }, true],
    [{ phase: "smooth", granularity: "slice" }, true],
    [{ phase: "optimize" }, false],
    [{ phase: "optimize", granularity: "slice" }, false],
    [{ phase: "optimize", smoothingWindow: 2 }, true],
  ];
  await withFiles(smallModel(), async (root) => {
    const [model, output] = [join(root, "model"), join(root, "out")];
    for (const [settings, isByStep] of cases) {
      const what = JSON.stringify(settings);
      const { layers, phase } = await quantizeModel(model, output, {
        ...DEFAULT_SETTINGS,
        bits: 4,
        ...settings,
        overwrite: true,
      });
      const groups = readTimeGroups(output)!;
      assert.deepEqual([groups.source, groups.phase], ["positional", phase]);
      assert.deepEqual(
        groups.layers.map(({ name }) => name),
        layers.map(({ name }) => name),
      );
      for (const [i, { boundaries, scale, zero_point }] of groups.layers.entries()) {
        const own = layers[i]!;
        assert.deepEqual(boundaries, own.boundaries, what);
        assert.equal(scale.length, isByStep ? own.rows : 4, what);
        assert.equal(zero_point.length, scale.length, what);
        if (isByStep) {
          // Steps far from every boundary have the parameters of their group.
          assert.equal(scale[0], Math.fround(own.scale[0]!), what);
          assert.equal(scale.at(-1), Math.fround(own.scale.at(-1)!), what);
          continue;
        }
        assert.deepEqual(scale, own.scale.map(Math.fround), what);
        assert.deepEqual(zero_point, own.zero_point.map(Math.round), what);
      }
    }
  });
});

Deno.test("verify counts schedules, and refuses one of a layer that is not there or is not quantized", async () => {
  await withFiles(smallModel(), async (root) => {
    const [model, output] = [join(root, "model"), join(root, "out")];
    await quantizeModel(model, output, { ...DEFAULT_SETTINGS, bits: 4 });
    assert.equal((await verifyCheckpoint(output, model)).schedule_count, 2);
    const one = [
      integers("blocks.0.fc.boundaries", 0, 8),
      floats("blocks.0.fc.scale", 1),
      integers("blocks.0.fc.zero_point", 0),
    ];
    for (const name of ["blocks.7.fc", "embed_tokens", "fc"]) {
      const tensors = [
        ...one,
        integers(`${name}.boundaries`, 0, 8),
        floats(`${name}.scale`, 1),
        integers(`${name}.zero_point`, 0),
      ];
      Deno.writeFileSync(join(output, MARK), encodeFile(tensors, METADATA));
      const { code, stdout, stderr } = await runMain("verify", output, "--against", model);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.equal(
        stderr,
        `error: Verification failed: "${MARK}" has a schedule of "${name}", ` +
          "which is no quantized layer\n",
      );
    }
    Deno.writeFileSync(join(output, MARK), encodeFile(one, METADATA));
    assert.equal((await verifyCheckpoint(output, model)).schedule_count, 1);
    Deno.writeTextFileSync(join(output, MARK), "no schedules");
    await assert.rejects(verifyCheckpoint(output, model), { name: "BadInputError" });
    Deno.removeSync(join(output, MARK));
    const { schedule_count, layers } = await verifyCheckpoint(output, model);
    assert.deepEqual([schedule_count, layers.length], [null, 2]);
  });
});
