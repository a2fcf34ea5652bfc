/** Calibration files: what is read of them, and every reason to refuse one. */

import assert from "node:assert/strict";
import { isUnchanged } from "../lib/base/file_version.ts";
import { join } from "node:path";
import {
  encodeCalibration,
  type RecordedCalibration,
} from "../lib/calibration/encode_calibration.ts";
import { matchCalibration } from "../lib/calibration/match_calibration.ts";
import {
  type CalibrationContents,
  checkCalibration,
  openCalibration,
} from "../lib/calibration/open_calibration.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import {
  calibrationFile,
  f32,
  HOSTILE_CALIBRATIONS,
  i32,
  METADATA,
  TENSORS,
  zeros,
} from "./hostile_calibrations.ts";
import { HOSTILE_HEADERS } from "./hostile_headers.ts";
import { encodeFile, rawFile, type TestTensor, withFiles } from "./make_model.ts";

function read(file: Uint8Array): CalibrationContents {
  const source = {
    byteLength: file.length,
    readInto: (offset: number, out: Uint8Array) =>
      out.set(file.subarray(offset, offset + out.length)),
    close: () => {},
  };
  return checkCalibration(source, "c.safetensors");
}

Deno.test("checkCalibration() reads time axis and layers", () => {
  const contents = read(calibrationFile([], { same_input: '{"b":"a","c d":"a"}', model: "m" }));
  const { layers, ...axis } = contents;
  assert.deepEqual(axis, {
    version: 2,
    timesteps: [0, 10, 20, 30],
    weights: [1, 0, 2, 3],
    segments: 2,
  });
  assert.deepEqual([...layers.keys()], ["a", "b", "c d"]);
  const layer = layers.get("a")!;
  assert.equal(layers.get("b"), layer);
  const { name, columns, rank, segments, min, max, histogram, square, sketch } = layer;
  assert.deepEqual({ name, columns, rank, segments }, {
    name: "a",
    columns: 3,
    rank: 2,
    segments: 2,
  });
  assert.deepEqual(
    [min, max, histogram, square, sketch].map((tensor) => tensor?.shape),
    [[4], [4], [4, 2], [2, 3], [2, 3, 2]],
  );
});

// What is recorded beside the time axis; columns, rank, segments of the layer, segments of the file.
const LAYOUTS: [string, TestTensor[], (number | undefined)[]][] = [
  ["ranges alone", [f32("a.input_min", [0, 0, 0, 0]), f32("a.input_max", [0, 0, 0, 0])], [
    undefined,
    undefined,
    1,
    1,
  ]],
  ["squares", [f32("a.input_square", [1, 0, 2])], [3, undefined, 1, 1]],
  ["squares by timestep", [zeros("a.input_square", [4, 3])], [3, undefined, 4, 1]],
  ["squares by segment", [zeros("a.input_square", [2, 3])], [3, undefined, 2, 2]],
  ["one sketch", [zeros("a.input_square", [3]), zeros("a.input_sketch", [3, 3])], [3, 3, 1, 1]],
  ["a segment with its dimension", [
    zeros("a.input_square", [1, 3]),
    zeros("a.input_sketch", [1, 3, 2]),
  ], [3, 2, 1, 1]],
  ["one sketch and squares by timestep", [
    zeros("a.input_square", [4, 3]),
    zeros("a.input_sketch", [3, 2]),
  ], [3, 2, 1, 1]],
  ["two segments and squares by timestep", [
    zeros("a.input_square", [4, 3]),
    zeros("a.input_sketch", [2, 3, 2]),
  ], [3, 2, 2, 2]],
  ["sketches by timestep", [
    zeros("a.input_square", [4, 3]),
    zeros("a.input_sketch", [4, 3, 2]),
  ], [3, 2, 4, 4]],
];

for (const [what, tensors, expected] of LAYOUTS) {
  Deno.test(`checkCalibration() reads ${what}`, () => {
    const entries = new Map(Object.entries(METADATA));
    const { layers, segments } = read(encodeFile([TENSORS[0]!, ...tensors], entries));
    const layer = layers.get("a")!;
    assert.deepEqual([layer.columns, layer.rank, layer.segments, segments], expected);
  });
}

Deno.test("checkCalibration() reads version 1: levels, or timesteps of I32 or F32", () => {
  const layer = [f32("l.a.input_square", [1, 2]), i32("x.input_histogram", [1, 2, 3, 4], [2, 2])];
  const range = [f32("x.input_min", [-1, 0]), f32("x.input_max", [1, 0])];
  const axes: [TestTensor, number[]][] = [
    [f32("levels", [0.25, 0.5]), [0.25, 0.5]],
    [i32("timesteps", [5, 995]), [5, 995]],
    [f32("timesteps", [5, 995]), [5, 995]],
  ];
  const metadata = [
    new Map<string, string>(),
    new Map([["format", METADATA.format], ["version", "1"]]),
  ];
  for (const [axis, timesteps] of axes) {
    for (const entries of metadata) {
      const contents = read(encodeFile([axis, ...layer, ...range], entries));
      assert.deepEqual({ ...contents, layers: [...contents.layers.keys()].sort() }, {
        version: 1,
        timesteps,
        weights: undefined,
        segments: 1,
        layers: ["l.a", "x"],
      });
      assert.equal(contents.layers.get("l.a")!.columns, 2);
    }
  }
});

Deno.test("checkCalibration() takes a sketch a little above the squares, as rounding leaves it", () => {
  const one = (square: number, sketch: number) => {
    const tensors = [
      f32("a.input_square", [square, 1]),
      f32("a.input_sketch", [sketch, 0], [2, 1]),
    ];
    return encodeFile([TENSORS[0]!, ...tensors], new Map(Object.entries(METADATA)));
  };
  read(one(4, 2 * Math.sqrt(1.0009)));
  assertBadInput(() => read(one(4, 2 * Math.sqrt(1.0011))), "its squares in column 0 add up to");
  read(one(0, Math.sqrt(4.9e-7)));
  assertBadInput(() => read(one(0, Math.sqrt(5.1e-7))), "add up to 5.1e-7, more than 0 of");
});

for (const [what, bytes, message] of HOSTILE_CALIBRATIONS) {
  Deno.test(`checkCalibration() refuses ${what}`, () => {
    assertBadInput(() => read(bytes), message);
    assertBadInput(() => read(bytes), 'Cannot read calibration "c.safetensors": ');
  });
}

Deno.test("checkCalibration() refuses every hostile header", () => {
  for (const [, bytes, message] of HOSTILE_HEADERS) assertBadInput(() => read(bytes), message);
});

Deno.test("checkCalibration() refuses a file that is cut short, wherever", () => {
  const whole = calibrationFile();
  for (let length = 0; length < whole.length; length++) {
    assertBadInput(() => read(whole.subarray(0, length)), 'Cannot read "c.safetensors": ');
  }
});

Deno.test("checkCalibration() refuses a sketch too large to hold before it reads any of it", () => {
  // No file has so many bytes: the data is made up as it is asked for.
  const [columns, rank] = [2 ** 20, 2 ** 10];
  const sizes = [4, columns * 4, columns * rank * 4];
  const shapes = ["[1]", `[${columns}]`, `[${columns},${rank}]`];
  let end = 0;
  const entries = ["timesteps", "a.input_square", "a.input_sketch"].map((name, i) => {
    const begin = end;
    end += sizes[i]!;
    return `"${name}":{"dtype":"F32","shape":${shapes[i]},"data_offsets":[${begin},${end}]}`;
  });
  const metadata = `"__metadata__":${JSON.stringify(METADATA)}`;
  const head = rawFile(`{${metadata},${entries.join(",")}}`);
  let asked = 0;
  const source = {
    byteLength: head.length + end,
    readInto: (offset: number, out: Uint8Array) => {
      asked += out.length;
      out.set(head.subarray(offset, offset + out.length));
    },
    close: () => {},
  };
  assertBadInput(
    () => checkCalibration(source, "c"),
    'layer "a": .input_sketch has 1073741824 values, at most 536870912 are allowed',
  );
  assert.equal(asked, head.length + 4);
});

Deno.test("checkCalibration() reads a large sketch in slabs of a megabyte, each byte once", () => {
  const [columns, rank] = [3000, 500];
  const square = new Float32Array(columns).fill(rank);
  const sketch = new Float32Array(columns * rank).fill(1);
  const bytes = encodeCalibration({
    timesteps: [1],
    layers: new Map([["a", { square, sketch, rank }]]),
  });
  const calls: number[] = [];
  const source = {
    byteLength: bytes.length,
    readInto: (offset: number, out: Uint8Array) => {
      calls.push(out.length);
      out.set(bytes.subarray(offset, offset + out.length));
    },
    close: () => {},
  };
  assert.equal(checkCalibration(source, "c").layers.get("a")!.rank, rank);
  assert.ok(Math.max(...calls) <= 2 ** 20);
  // The squares are read once more beside the sketch.
  assert.equal(calls.reduce((sum, length) => sum + length, 0), bytes.length + square.byteLength);
  // A value at the very end of a slab, and one at the very end.
  for (const at of [524 * rank - 1, sketch.length - 1]) {
    const broken = sketch.slice();
    broken[at] = NaN;
    const layers = new Map([["a", { square, sketch: broken, rank }]]);
    assertBadInput(() => read(encodeCalibration({ timesteps: [1], layers })), `value ${at} is NaN`);
  }
});

Deno.test("openCalibration() names the file, and its version changes with it", async () => {
  await withFiles(
    { "c.safetensors": calibrationFile(), "model.safetensors": rawFile("{}") },
    (directory) => {
      const path = join(directory, "c.safetensors");
      const before = openCalibration(path);
      assert.deepEqual([before.path, before.label, before.layers.size], [path, path, 1]);
      assert.deepEqual(openCalibration(path).fileVersion, before.fileVersion);
      Deno.writeFileSync(path, calibrationFile([], { same_input: '{"b":"a"}' }));
      assert.equal(isUnchanged(before.fileVersion, openCalibration(path).fileVersion), false);
      assertBadInput(() => openCalibration(join(directory, "none")), "no such file or directory");
      assertBadInput(() => openCalibration(directory), "it is not a regular file");
      assertBadInput(() => openCalibration(join(directory, "model.safetensors")), "no calibration");
    },
  );
});

Deno.test("matchCalibration() lists names of one side, and refuses other columns", () => {
  const range = [zeros("r.input_min", [4]), zeros("r.input_max", [4])];
  const contents = read(calibrationFile(range, { same_input: '{"b":"a","__proto__":"a"}' }));
  const calibration = { ...contents, label: "c.safetensors" };
  const layer = (name: string, columns = 3) => ({ name, columns });
  assert.deepEqual(
    matchCalibration(calibration, [layer("z"), layer("b"), layer("r", 7), layer("y")]),
    {
      missing: ["z", "y"],
      strange: ["a", "__proto__"],
    },
  );
  assert.deepEqual(matchCalibration(calibration, []), {
    missing: [],
    strange: ["a", "r", "b", "__proto__"],
  });
  for (const name of ["a", "b", "__proto__"]) {
    assertBadInput(
      () => matchCalibration(calibration, [layer("y"), layer(name, 4)]),
      `Cannot use calibration "c.safetensors": its statistics of layer "${name}" are of 3 columns, must be of 4: it was recorded on another model`,
    );
  }
});

Deno.test("encodeCalibration() writes what is read, byte for byte in any order", () => {
  const values = (name: string) => {
    const { data } = TENSORS.find((tensor) => tensor.name === name)!;
    return new Float32Array(data.slice().buffer);
  };
  const recorded: RecordedCalibration = {
    timesteps: [0, 10, 20, 30],
    weights: [1, 0, 2, 3],
    sameInput: new Map([["b", "a"], ["__proto__", "a"]]),
    model: "m",
    layers: new Map([["a", {
      min: values("a.input_min"),
      max: values("a.input_max"),
      histogram: Int32Array.of(1, 0, 0, 1, 2, 3, 4, 5),
      square: values("a.input_square"),
      sketch: values("a.input_sketch"),
      rank: 2,
      segments: 2,
    }]]),
  };
  const expected = calibrationFile([], { same_input: '{"b":"a","__proto__":"a"}', model: "m" });
  assert.deepEqual(encodeCalibration(recorded), expected);
});

Deno.test("encodeCalibration() gives squares the dimensions they have", () => {
  const shapes = (layer: object, timesteps = [1, 2, 3, 4]) => {
    const { layers } = read(encodeCalibration({ timesteps, layers: new Map([["a", layer]]) }));
    const { square, sketch } = layers.get("a")!;
    return [square?.shape, sketch?.shape];
  };
  const [six, twelve] = [new Float32Array(6), new Float32Array(12)];
  assert.deepEqual(shapes({ square: six }), [[6], undefined]);
  assert.deepEqual(shapes({ square: six, segments: 2 }), [[2, 3], undefined]);
  assert.deepEqual(shapes({ square: twelve, segments: 4 }), [[4, 3], undefined]);
  assert.deepEqual(shapes({ square: twelve, sketch: six, rank: 2 }), [[4, 3], [3, 2]]);
  assert.deepEqual(shapes({ square: twelve, sketch: twelve, rank: 2, segments: 2 }), [[4, 3], [
    2,
    3,
    2,
  ]]);
  assert.deepEqual(shapes({ square: six, sketch: twelve, rank: 2 }, [1]), [[6], [6, 2]]);
});

Deno.test("encodeCalibration() refuses lengths that fit no shape", () => {
  const wrong: [object, string][] = [
    [
      { min: new Float32Array(3) },
      'Cannot encode tensor "a.input_min": 3 values, [2] was expected',
    ],
    [
      { square: new Float32Array(5), segments: 2 },
      '"a.input_square": 5 values, [2,2] was expected',
    ],
    [
      { square: new Float32Array(3), sketch: new Float32Array(4), rank: 2 },
      '"a.input_square": 3 values',
    ],
    [{ sketch: new Float32Array(5), rank: 2 }, '"a.input_sketch": 5 values, [2,2] was expected'],
    [{ sketch: new Float32Array(5) }, '"a.input_sketch": 5 values'],
    [{ histogram: new Int32Array(5) }, '"a.input_histogram": 5 values, [2,2] was expected'],
  ];
  for (const [layer, message] of wrong) {
    assertBadInput(
      () => encodeCalibration({ timesteps: [1, 2], layers: new Map([["a", layer]]) }),
      message,
    );
  }
});
