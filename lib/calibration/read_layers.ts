/** Sorts the tensors of a calibration file by layer, and checks names, dtypes and shapes: no data yet. */

import { BadInputError } from "../base/errors.ts";
import { countNouns, quote } from "../base/text.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import { JsonSyntaxError } from "../safetensors/json_feed.ts";
import { type JsonValue, scanJson } from "../safetensors/scan_json.ts";
import {
  countSquares,
  type LayerStatistics,
  MAX_BINS,
  MAX_COLUMNS,
  MAX_JOINED,
  MAX_SKETCH,
  STATISTIC_KINDS,
  type StatisticKind,
  SUFFIXES,
} from "./calibration.ts";

/** What is known of the file when its layers are read. */
export interface LayersContext {
  /** Layout of the file. */
  version: 1 | 2;
  /** T, the number of timesteps. */
  timesteps: number;
  /** The metadata entry `same_input`, where there is one. */
  sameInput: string | undefined;
}

/** The layers of a file. */
export interface FileLayers {
  /** By module name, those that share the input of another too. */
  layers: Map<string, LayerStatistics>;
  /** S, segments of the time axis; 1 where there are none. */
  segments: number;
}

type Tensors = Partial<Record<StatisticKind, TensorInfo>>;

/**
 * Reads the layers.
 *
 * @param tensors All but those of the time axis, in the order of the file.
 * @throws {BadInputError} A tensor is of no known kind, or its dtype or shape is not that of its kind, or
 *   those of a layer do not fit together, or `same_input` is not what it should be.
 */
export function readLayers(tensors: readonly TensorInfo[], context: LayersContext): FileLayers {
  const found = new Map<string, Tensors>();
  for (const tensor of tensors) {
    const kind = kindOf(tensor.name, context.version);
    const name = tensor.name.slice(0, -SUFFIXES[kind].length);
    found.set(name, { ...found.get(name), [kind]: tensor });
  }
  const layers = new Map<string, LayerStatistics>();
  let segmented: { layer: LayerStatistics } | undefined;
  for (const [name, parts] of found) {
    const layer = readLayer(name, parts, context);
    layers.set(name, layer);
    // Squares of every timestep are no segments of the file, unless the sketches have as many.
    const isByTimestep = layer.sketch === undefined && layer.segments === context.timesteps;
    if (layer.segments === 1 || isByTimestep) continue;
    segmented ??= { layer };
    checkSameSegments(layer, segmented.layer);
  }
  shareInputs(layers, context.sameInput);
  return { layers, segments: segmented?.layer.segments ?? 1 };
}

function kindOf(name: string, version: 1 | 2): StatisticKind {
  const kinds = STATISTIC_KINDS.filter((kind) => version === 2 || kind !== "sketch");
  const kind = kinds.find((kind) => name.endsWith(SUFFIXES[kind]));
  if (kind !== undefined) return kind;
  const known = kinds.map((kind) => SUFFIXES[kind]).join(" ");
  throw new BadInputError(
    `unknown tensor ${
      quote(name)
    }: in version ${version} the name of a layer's ends in one of ${known}`,
  );
}

function readLayer(name: string, parts: Tensors, context: LayersContext): LayerStatistics {
  const { timesteps, version } = context;
  const { min, max, histogram, square, sketch } = parts;
  const perTimestep = `[${timesteps}]`;
  for (const tensor of [min, max]) {
    if (tensor !== undefined) check(tensor, "F32", perTimestep, isShape(tensor, [timesteps]));
  }
  if ((min === undefined) !== (max === undefined)) {
    const [is, isNot] = min === undefined ? ["max", "min"] as const : ["min", "max"] as const;
    failLayer(name, `it has ${SUFFIXES[is]} but no ${SUFFIXES[isNot]}: record both`);
  }
  if (histogram !== undefined) {
    const fits = isShape(histogram, [timesteps, null]) && histogram.shape[1]! <= MAX_BINS;
    check(histogram, "I32", `[${timesteps}, bins], bins at most ${MAX_BINS}`, fits);
    if (min === undefined) {
      failLayer(
        name,
        `it has ${SUFFIXES.histogram} but no ${SUFFIXES.min}: its bins have no range`,
      );
    }
  }
  if (square !== undefined) {
    const { length } = square.shape;
    const shapes = version === 1 ? "[C]" : "[C], [S, C] or [T, C]";
    check(square, "F32", shapes, length === 1 || (length === 2 && version === 2));
  }
  if (sketch !== undefined) {
    const { length } = sketch.shape;
    check(sketch, "F32", "[C, r] or [S, C, r]", length === 2 || length === 3);
  }
  const sizes = readSizes(name, square, sketch, timesteps);
  return { name, ...sizes, min, max, histogram, square, sketch };
}

type Sizes = Pick<LayerStatistics, "columns" | "rank" | "segments">;

function readSizes(
  name: string,
  square: TensorInfo | undefined,
  sketch: TensorInfo | undefined,
  timesteps: number,
): Sizes {
  if (square === undefined) {
    if (sketch === undefined) return { columns: undefined, rank: undefined, segments: 1 };
    return failLayer(
      name,
      `it has ${SUFFIXES.sketch} but no ${SUFFIXES.square}: what the sketch leaves out is not known`,
    );
  }
  const columns = square.shape.at(-1)!;
  const rows = countSquares(square);
  if (columns > MAX_COLUMNS) {
    failLayer(name, `it has ${columns} columns, at most ${MAX_COLUMNS} are allowed`);
  }
  if (rows > timesteps) {
    failLayer(
      name,
      `${SUFFIXES.square} has ${countNouns(rows, "segment")} for ${
        countNouns(timesteps, "timestep")
      }`,
    );
  }
  if (sketch === undefined) return { columns, rank: undefined, segments: rows };
  const rank = sketch.shape.at(-1)!;
  const segments = sketch.shape.length === 2 ? 1 : sketch.shape[0]!;
  if (sketch.shape.at(-2) !== columns) {
    failLayer(
      name,
      `${SUFFIXES.sketch} has ${sketch.shape.at(-2)} columns, ${SUFFIXES.square} has ${columns}`,
    );
  }
  if (rank > columns) {
    failLayer(
      name,
      `${SUFFIXES.sketch} is of rank ${rank}, at most ${columns}, its columns, is allowed`,
    );
  }
  if (segments * columns * rank > MAX_SKETCH) {
    failLayer(
      name,
      `${SUFFIXES.sketch} has ${
        segments * columns * rank
      } values, at most ${MAX_SKETCH} are allowed`,
    );
  }
  if (segments > timesteps) {
    failLayer(
      name,
      `${SUFFIXES.sketch} has ${countNouns(segments, "segment")} for ${
        countNouns(timesteps, "timestep")
      }`,
    );
  }
  if (rows !== segments && rows !== timesteps) {
    failLayer(
      name,
      `${SUFFIXES.square} is of ${
        countNouns(rows, "segment")
      }, must be of ${segments} as ${SUFFIXES.sketch}, ` +
        `or of all ${timesteps} timesteps`,
    );
  }
  if (segments > 1 && Math.min(segments * rank, columns) > MAX_JOINED) {
    failLayer(
      name,
      `${SUFFIXES.sketch} has ${segments} segments of rank ${rank}, together at most ` +
        `${MAX_JOINED} can be joined: record fewer`,
    );
  }
  return { columns, rank, segments };
}

function checkSameSegments(layer: LayerStatistics, first: LayerStatistics): void {
  if (layer.segments === first.segments) return;
  failLayer(
    layer.name,
    `its statistics are of ${layer.segments} segments, those of ${quote(first.name)} of ` +
      `${first.segments}: all must be of as many`,
  );
}

/** Adds the layers that share the input of another. */
function shareInputs(layers: Map<string, LayerStatistics>, text: string | undefined): void {
  if (text === undefined) return;
  const pairs = parsePairs(text);
  for (const [name, source] of pairs) {
    const fail = (what: string): never => {
      throw new BadInputError(
        `metadata "same_input" gives ${quote(name)} the input of ${quote(source)}, ${what}`,
      );
    };
    if (pairs.has(source)) fail("which has none of its own: name the layer that has the tensors");
    const shared = layers.get(source) ?? fail("of which there are no tensors");
    if (layers.has(name)) fail("but it has tensors of its own: remove one of the two");
    layers.set(name, shared);
  }
}

function parsePairs(text: string): Map<string, string> {
  let value: JsonValue;
  try {
    value = scanJson(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw new BadInputError('metadata "same_input" is not JSON, must be an object of layer names');
  }
  if (!(value instanceof Map)) {
    throw new BadInputError('metadata "same_input" is no JSON object, must be one of layer names');
  }
  const pairs = new Map<string, string>();
  for (const [name, source] of value) {
    if (typeof source !== "string") {
      throw new BadInputError(
        `metadata "same_input" gives ${quote(name)} something other than a layer name`,
      );
    }
    pairs.set(name, source);
  }
  return pairs;
}

/** Whether a tensor has this shape; `null` stands for any size. */
function isShape({ shape }: TensorInfo, expected: readonly (number | null)[]): boolean {
  return shape.length === expected.length &&
    shape.every((size, i) => expected[i] === null || size === expected[i]);
}

function check(tensor: TensorInfo, dtype: string, shapes: string, fits: boolean): void {
  if (tensor.dtype === dtype && fits && !tensor.shape.includes(0)) return;
  throw new BadInputError(
    `tensor ${quote(tensor.name)} is ${tensor.dtype} [${
      shown(tensor.shape)
    }], must be ${dtype} ${shapes}`,
  );
}

/** A shape in a message: a file may give it any number of dimensions. */
function shown(shape: readonly number[]): string {
  return shape.length <= 8 ? shape.join(", ") : `${shape.slice(0, 8).join(", ")}, …`;
}

function failLayer(name: string, what: string): never {
  throw new BadInputError(`layer ${quote(name)}: ${what}`);
}
