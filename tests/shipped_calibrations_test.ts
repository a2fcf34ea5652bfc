/** The calibrations that ship beside the models of the examples are what their recorder gives, and fit. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { recordDigits, snrWeights } from "../examples/calibration/record_digits.ts";
import { recordSmallDlm } from "../examples/calibration/record_small_dlm.ts";
import type { Calibration } from "../lib/calibration/calibration.ts";
import { matchCalibration } from "../lib/calibration/match_calibration.ts";
import { openCalibration } from "../lib/calibration/open_calibration.ts";
import { hasHistogram, withHistograms } from "../lib/calibration/read_histograms.ts";
import { readInputs } from "../lib/calibration/read_inputs.ts";
import { openSource, readHeader } from "../lib/safetensors/read.ts";
import { withFiles } from "./make_model.ts";

const EXAMPLES = fileURLToPath(new URL("../examples/", import.meta.url));

const pathOf = (model: string) => `${EXAMPLES}${model}-data/calibration.safetensors`;

/** Opens the one of a model, after its size: sketches, squares, ranges, histograms and a header. */
function open(model: string, mostBytes: number): Calibration {
  assert.ok(Deno.statSync(pathOf(model)).size <= mostBytes);
  return openCalibration(pathOf(model));
}

/** Each layer has squares and a sketch of rank 64 of the weight's columns, ranges, and histograms of so many rows. */
function checkLayers(model: string, calibration: Calibration, rows: number): void {
  const path = `${EXAMPLES}${model}/model.safetensors`;
  const source = openSource(path, path);
  const matrices = readHeader(source, path).tensors
    .filter(({ name, shape }) => name.endsWith(".weight") && shape.length === 2)
    .map(({ name, shape }) => ({ name: name.slice(0, -".weight".length), columns: shape[1]! }));
  source.close();
  // It would throw for columns that differ.
  assert.deepEqual(matchCalibration(calibration, matrices).strange, []);
  assert.equal(calibration.segments, 1);
  const steps = calibration.timesteps.length;
  for (const [name, layer] of calibration.layers) {
    assert.ok(hasHistogram(layer), name);
    const { columns, rank, sketch, square, min, max, histogram } = layer;
    assert.deepEqual([rank, square!.shape, sketch!.shape], [64, [columns], [columns, 64]], name);
    assert.deepEqual(
      [min.shape, max.shape, histogram.shape],
      [[steps], [steps], [steps, 256]],
      name,
    );
    withHistograms(calibration, layer, (all) => {
      all.visit((counts, step) => {
        assert.equal(
          counts.reduce((sum, count) => sum + count, 0),
          rows * columns!,
          `${name} ${step}`,
        );
      });
    });
  }
}

Deno.test("the calibration of the digits model covers its attention and MLP, weighted by SNR", () => {
  const calibration = open("digits-dit", 2_600_000);
  // 48 images of 16 tokens.
  checkLayers("digits-dit", calibration, 48 * 16);
  assert.equal(calibration.layers.size, 16);
  const timesteps = Array.from({ length: 100 }, (_, i) => 5 + 10 * i);
  assert.deepEqual(calibration.timesteps, timesteps);
  assert.deepEqual(calibration.weights, [...Float32Array.from(snrWeights(timesteps))]);
});

Deno.test("the calibration of the language model covers its attention and MLP, levels alike", () => {
  const calibration = open("small-dlm", 1_810_000);
  // 16 sequences of 128 tokens.
  checkLayers("small-dlm", calibration, 16 * 128);
  // Seven of each of four layers, of which four have inputs of their own.
  assert.equal(calibration.layers.size, 28);
  assert.equal(new Set(Array.from(calibration.layers.values(), ({ name }) => name)).size, 16);
  const levels = Float32Array.from({ length: 20 }, (_, i) => (i + 0.5) / 20);
  assert.deepEqual(calibration.timesteps, [...levels]);
  assert.equal(calibration.weights, undefined);
});

Deno.test("recording the digits model again gives the bytes that ship", async () => {
  const bytes = await recordDigits({ weights: "snr" });
  const shipped = Deno.readFileSync(pathOf("digits-dit"));
  assert.equal(bytes.length, shipped.length);
  assert.equal(bytes.findIndex((byte, i) => byte !== shipped[i]), -1);
});

Deno.test("recording a sixteenth of the text gives squares near those that ship", async () => {
  // All of it takes half a minute of a processor.
  const bytes = await recordSmallDlm({ sequences: 1, rank: 1, statistics: "sketch" });
  const shipped = open("small-dlm", Infinity);
  await withFiles({ "c.safetensors": bytes }, (directory) => {
    const { layers, ...again } = openCalibration(`${directory}/c.safetensors`);
    assert.deepEqual([...layers.keys()], [...shipped.layers.keys()]);
    for (const [name, layer] of layers) {
      const found = readInputs(again, layer, undefined)!.square;
      const known = readInputs(shipped, shipped.layers.get(name)!, undefined)!.square;
      const sum = (values: Float64Array) => values.reduce((total, value) => total + value, 0);
      const error = sum(found.map((value, c) => Math.abs(value - known[c]!))) / sum(known);
      assert.ok(error > 0 && error <= 0.3, `${name} differs by ${error}`);
    }
  });
});
