/** A calibration file for tests, and others with something wrong. */

import { encodeFile, type TestTensor } from "./make_model.ts";

/** A tensor of F32. */
export function f32(name: string, values: readonly number[], shape = [values.length]): TestTensor {
  return { name, dtype: "F32", shape, data: new Uint8Array(Float32Array.from(values).buffer) };
}

/** A tensor of I32. */
export function i32(name: string, values: readonly number[], shape = [values.length]): TestTensor {
  return { name, dtype: "I32", shape, data: new Uint8Array(Int32Array.from(values).buffer) };
}

/** A tensor of this shape whose values do not matter. */
export function zeros(name: string, shape: number[], dtype: "F32" | "I32" = "F32"): TestTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return { name, dtype, shape, data: new Uint8Array(count * 4) };
}

/** Metadata of every calibration. */
export const METADATA = { format: "isotherm-calibration", version: "2" };

/** Four timesteps, and layer a of three columns, whose statistics are of two segments. */
export const TENSORS: readonly TestTensor[] = [
  f32("timesteps", [0, 10, 20, 30]),
  f32("weights", [1, 0, 2, 3]),
  f32("a.input_min", [-1, -2, -3, 0]),
  f32("a.input_max", [1, 2, 3, 0]),
  i32("a.input_histogram", [1, 0, 0, 1, 2, 3, 4, 5], [4, 2]),
  f32("a.input_square", [1, 4, 9, 1, 2, 3], [2, 3]),
  f32("a.input_sketch", [1, 0, 0, 2, 3, 0, 0, 1, 1, 1, 1, 0], [2, 3, 2]),
];

/** The file with tensors and metadata replaced by name, or left out. */
export function calibrationFile(
  changed: readonly TestTensor[] = [],
  metadata: Record<string, string> = {},
  without: readonly string[] = [],
): Uint8Array<ArrayBuffer> {
  const all = new Map([...TENSORS, ...changed].map((tensor) => [tensor.name, tensor]));
  for (const name of without) all.delete(name);
  const entries = Object.entries({ ...METADATA, ...metadata });
  return encodeFile([...all.values()], new Map(entries));
}

/** What is wrong, the file, and what is said. */
export const HOSTILE_CALIBRATIONS: [string, Uint8Array, string][] = [
  [
    "another format",
    calibrationFile([], { format: "pt" }),
    'metadata "format" is "pt", must be "isotherm-calibration": it is no calibration file',
  ],
  [
    "no format",
    encodeFile([...TENSORS], new Map([["version", "2"]])),
    'metadata "format" is missing',
  ],
  [
    "another version",
    calibrationFile([], { version: "3" }),
    'metadata "version" is "3", must be "1" or "2"',
  ],
  [
    "no version",
    encodeFile([...TENSORS], new Map([["format", METADATA.format]])),
    'metadata "version" is missing',
  ],
  ["a strange version", calibrationFile([], { version: "2\u202e\n" }), 'is "2\\u{202e}\\u{a}"'],
  [
    "no timesteps",
    calibrationFile([], {}, ["timesteps"]),
    'it has no tensor "timesteps": it is no calibration file',
  ],
  [
    "no timesteps or levels",
    encodeFile([f32("x", [1])], new Map()),
    'it has no tensor "timesteps" and no "levels"',
  ],
  [
    "both in version 1",
    encodeFile([f32("timesteps", [1]), f32("levels", [1])], new Map()),
    'it has both "timesteps" and "levels"',
  ],
  [
    "levels in version 2",
    calibrationFile([f32("levels", [1, 2, 3, 4])]),
    'unknown tensor "levels"',
  ],
  [
    "timesteps of I32 in version 2",
    calibrationFile([i32("timesteps", [1, 2, 3, 4])]),
    'tensor "timesteps" is I32 [4], must be F32 [T], T from 1 to 65536',
  ],
  [
    "levels of I32",
    encodeFile([i32("levels", [0, 1])], new Map()),
    'tensor "levels" is I32 [2], must be F32',
  ],
  [
    "empty timesteps",
    calibrationFile([f32("timesteps", [])]),
    'tensor "timesteps" is F32 [0], must be F32 [T]',
  ],
  [
    "a matrix of timesteps",
    calibrationFile([zeros("timesteps", [2, 2])]),
    'tensor "timesteps" is F32 [2,2], must be',
  ],
  ["too many timesteps", calibrationFile([zeros("timesteps", [65537])]), "is F32 [65537], must be"],
  [
    "equal timesteps",
    calibrationFile([f32("timesteps", [0, 1, 1, 2])]),
    'tensor "timesteps": value 2 is 1, must be above the one before, 1',
  ],
  [
    "falling timesteps",
    calibrationFile([f32("timesteps", [0, 3, 2, 4])]),
    "value 2 is 2, must be above the one before, 3",
  ],
  [
    "a timestep that is NaN",
    calibrationFile([f32("timesteps", [0, 1, NaN, 4])]),
    "value 2 is NaN, must be finite",
  ],
  [
    "an infinite timestep",
    calibrationFile([f32("timesteps", [0, 1, 2, Infinity])]),
    "value 3 is Infinity, must be finite",
  ],
  [
    "another number of weights",
    calibrationFile([f32("weights", [1, 1, 1])]),
    'tensor "weights" is F32 [3], must be F32 [4]',
  ],
  [
    "weights of I32",
    calibrationFile([i32("weights", [1, 1, 1, 1])]),
    'tensor "weights" is I32 [4], must be F32 [4]',
  ],
  [
    "a weight below 0",
    calibrationFile([f32("weights", [1, -1, 1, 1])]),
    'tensor "weights": value 1 is -1, must be finite and at least 0',
  ],
  [
    "an infinite weight",
    calibrationFile([f32("weights", [Infinity, 1, 1, 1])]),
    "value 0 is Infinity, must be finite",
  ],
  ["a weight that is NaN", calibrationFile([f32("weights", [1, 1, NaN, 1])]), "value 2 is NaN"],
  [
    "no weight above 0",
    calibrationFile([f32("weights", [0, 0, 0, 0])]),
    'tensor "weights": all weights are 0, one must be above',
  ],
  [
    "an unknown tensor",
    calibrationFile([f32("a.input_mean", [1, 1, 1, 1])]),
    'unknown tensor "a.input_mean": in version 2 the name of a layer\'s ends in one of .input_min .input_max .input_histogram .input_square .input_sketch',
  ],
  [
    "a name that could end a line",
    calibrationFile([f32("a\n\u202e.weight", [1])]),
    'unknown tensor "a\\u{a}\\u{202e}.weight"',
  ],
  [
    "a sketch in version 1",
    calibrationFile([], { version: "1" }, ["weights"]),
    'unknown tensor "a.input_sketch": in version 1',
  ],
  [
    "weights in version 1",
    calibrationFile([], { version: "1" }, ["a.input_sketch"]),
    'unknown tensor "weights": in version 1',
  ],
  [
    "squares by segment in version 1",
    calibrationFile([], { version: "1" }, ["weights", "a.input_sketch"]),
    'tensor "a.input_square" is F32 [2, 3], must be F32 [C]',
  ],
  [
    "a range of another length",
    calibrationFile([f32("a.input_min", [1, 1])]),
    'tensor "a.input_min" is F32 [2], must be F32 [4]',
  ],
  [
    "a range of I32",
    calibrationFile([i32("a.input_max", [1, 2, 3, 4])]),
    'tensor "a.input_max" is I32 [4], must be F32 [4]',
  ],
  [
    "a min alone",
    calibrationFile([], {}, ["a.input_max", "a.input_histogram"]),
    'layer "a": it has .input_min but no .input_max: record both',
  ],
  [
    "a max alone",
    calibrationFile([], {}, ["a.input_min", "a.input_histogram"]),
    'layer "a": it has .input_max but no .input_min: record both',
  ],
  [
    "a histogram without range",
    calibrationFile([], {}, ["a.input_min", "a.input_max"]),
    'layer "a": it has .input_histogram but no .input_min: its bins have no range',
  ],
  [
    "a histogram of F32",
    calibrationFile([zeros("a.input_histogram", [4, 2])]),
    'tensor "a.input_histogram" is F32 [4, 2], must be I32 [4, bins]',
  ],
  [
    "a histogram of other timesteps",
    calibrationFile([zeros("a.input_histogram", [2, 4], "I32")]),
    "is I32 [2, 4], must be I32 [4, bins]",
  ],
  [
    "a histogram of no bins",
    calibrationFile([zeros("a.input_histogram", [4, 0], "I32")]),
    "is I32 [4, 0], must be I32 [4, bins]",
  ],
  [
    "too many bins",
    calibrationFile([zeros("a.input_histogram", [4, 65537], "I32")]),
    "is I32 [4, 65537], must be I32 [4, bins], bins at most 65536",
  ],
  [
    "a negative count",
    calibrationFile([i32("a.input_histogram", [1, 0, 0, 1, 2, -3, 4, 5], [4, 2])]),
    'tensor "a.input_histogram": value 5 is -3, must be at least 0',
  ],
  [
    "a min that is NaN",
    calibrationFile([f32("a.input_min", [-1, NaN, -3, 0])]),
    'tensor "a.input_min": value 1 is NaN, must be finite',
  ],
  [
    "an infinite max",
    calibrationFile([f32("a.input_max", [1, 2, 3, Infinity])]),
    'tensor "a.input_max": value 3 is Infinity, must be finite',
  ],
  [
    "a min above the max",
    calibrationFile([f32("a.input_min", [-1, 2.5, -3, 0])]),
    'tensor "a.input_min": value 1 is 2.5, must be at most that of "a.input_max", 2',
  ],
  [
    "squares of three dimensions",
    calibrationFile([zeros("a.input_square", [1, 2, 3])]),
    'tensor "a.input_square" is F32 [1, 2, 3], must be F32 [C], [S, C] or [T, C]',
  ],
  [
    "squares of 40 dimensions",
    calibrationFile([zeros("a.input_square", Array(40).fill(1))]),
    "is F32 [1, 1, 1, 1, 1, 1, 1, 1, …], must be",
  ],
  [
    "a scalar of squares",
    calibrationFile([zeros("a.input_square", [])]),
    "is F32 [], must be F32 [C]",
  ],
  [
    "squares of no columns",
    calibrationFile([zeros("a.input_square", [2, 0])]),
    "is F32 [2, 0], must be",
  ],
  [
    "squares of F16",
    calibrationFile([{ ...zeros("a.input_square", [3]), dtype: "F16", shape: [6] }]),
    "is F16 [6], must be F32",
  ],
  [
    "too many columns",
    calibrationFile([zeros("b.input_square", [2 ** 20 + 1])]),
    'layer "b": it has 1048577 columns, at most 1048576 are allowed',
  ],
  [
    "more segments of squares than timesteps",
    calibrationFile([zeros("b.input_square", [5, 2])]),
    'layer "b": .input_square has 5 segments for 4 timesteps',
  ],
  [
    "a square below 0",
    calibrationFile([f32("a.input_square", [1, 4, 9, 1, -2, 3], [2, 3])]),
    'tensor "a.input_square": value 4 is -2, must be finite and at least 0',
  ],
  [
    "a square that is NaN",
    calibrationFile([f32("a.input_square", [1, NaN, 9, 1, 2, 3], [2, 3])]),
    "value 1 is NaN",
  ],
  [
    "an infinite square",
    calibrationFile([f32("a.input_square", [1, 4, 9, 1, 2, Infinity], [2, 3])]),
    "value 5 is Infinity",
  ],
  [
    "a sketch of one dimension",
    calibrationFile([zeros("a.input_sketch", [3])]),
    'tensor "a.input_sketch" is F32 [3], must be F32 [C, r] or [S, C, r]',
  ],
  [
    "a sketch of rank 0",
    calibrationFile([zeros("a.input_sketch", [2, 3, 0])]),
    "is F32 [2, 3, 0], must be F32 [C, r]",
  ],
  [
    "a sketch without squares",
    calibrationFile([], {}, ["a.input_square"]),
    'layer "a": it has .input_sketch but no .input_square: what the sketch leaves out is not known',
  ],
  [
    "a sketch of other columns",
    calibrationFile([zeros("a.input_sketch", [2, 4, 2])]),
    'layer "a": .input_sketch has 4 columns, .input_square has 3',
  ],
  [
    "a rank above the columns",
    calibrationFile([zeros("a.input_sketch", [2, 3, 4])]),
    'layer "a": .input_sketch is of rank 4, at most 3, its columns, is allowed',
  ],
  [
    "more segments than timesteps",
    calibrationFile([zeros("a.input_square", [3]), zeros("a.input_sketch", [5, 3, 1])]),
    'layer "a": .input_sketch has 5 segments for 4 timesteps',
  ],
  [
    "squares of fewer segments than the sketch",
    calibrationFile([zeros("a.input_square", [3])]),
    'layer "a": .input_square is of 1 segment, must be of 2 as .input_sketch, or of all 4 timesteps',
  ],
  [
    "squares of more segments than the sketch",
    calibrationFile([zeros("a.input_sketch", [3, 1])]),
    ".input_square is of 2 segments, must be of 1 as .input_sketch",
  ],
  [
    "too many columns to join",
    calibrationFile([zeros("b.input_square", [2, 1025]), zeros("b.input_sketch", [2, 1025, 513])]),
    'layer "b": .input_sketch has 2 segments of rank 513, together at most 1024 can be joined',
  ],
  [
    "layers of other segments",
    calibrationFile([zeros("b.input_square", [3, 2])]),
    'layer "b": its statistics are of 3 segments, those of "a" of 2: all must be of as many',
  ],
  [
    "a sketch that is NaN",
    calibrationFile([f32("a.input_sketch", [1, 0, 0, 2, 3, 0, 0, 1, 1, NaN, 1, 0], [2, 3, 2])]),
    'tensor "a.input_sketch": value 9 is NaN, must be finite',
  ],
  [
    "an infinite sketch",
    calibrationFile([
      f32("a.input_sketch", [1, -Infinity, 0, 2, 3, 0, 0, 1, 1, 1, 1, 0], [2, 3, 2]),
    ]),
    "value 1 is -Infinity",
  ],
  [
    "a sketch above its squares",
    calibrationFile([f32("a.input_sketch", [1, 0, 0, 2, 3, 0, 0, 1, 1, 1.5, 1, 0], [2, 3, 2])]),
    'tensor "a.input_sketch": its squares in column 1 of segment 1 add up to 3.25, more than 2 of "a.input_square": the two are of different inputs',
  ],
  [
    "a segment that weighs nothing",
    calibrationFile([f32("weights", [0, 0, 1, 1]), zeros("a.input_square", [4, 3])]),
    'layer "a": all timesteps of segment 0 weigh 0, one must weigh more',
  ],
  [
    "a same_input that is no JSON",
    calibrationFile([], { same_input: "SECRET{" }),
    'metadata "same_input" is not JSON, must be an object of layer names',
  ],
  [
    "a same_input of equal keys",
    calibrationFile([], { same_input: '{"b":"a","b":"a"}' }),
    'metadata "same_input" is not JSON',
  ],
  [
    "a same_input that is a list",
    calibrationFile([], { same_input: '["a"]' }),
    'metadata "same_input" is no JSON object, must be one of layer names',
  ],
  [
    "a same_input of numbers",
    calibrationFile([], { same_input: '{"b":1}' }),
    'metadata "same_input" gives "b" something other than a layer name',
  ],
  [
    "a chain",
    calibrationFile([], { same_input: '{"b":"a","c":"b"}' }),
    'metadata "same_input" gives "c" the input of "b", which has none of its own: name the layer that has the tensors',
  ],
  [
    "a layer that has its own input from itself",
    calibrationFile([], { same_input: '{"b":"b"}' }),
    'gives "b" the input of "b", which has none of its own',
  ],
  [
    "an input of a layer without tensors",
    calibrationFile([], { same_input: '{"b":"c"}' }),
    'gives "b" the input of "c", of which there are no tensors',
  ],
  [
    "a layer with tensors and the input of another",
    calibrationFile([f32("b.input_square", [1])], { same_input: '{"b":"a"}' }),
    'gives "b" the input of "a", but it has tensors of its own: remove one of the two',
  ],
];
