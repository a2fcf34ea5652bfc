/** Layers by slices that are worked through in several pieces: as if it were one. */

import assert from "node:assert/strict";
import type { Backend } from "../lib/jobs/backend.ts";
import { createInline } from "../lib/jobs/inline.ts";
import { createWasmKernels } from "../lib/compute/wasm_kernels.ts";
import { optimizeLayer } from "../lib/layer/optimize_layer.ts";
import { schemeOf, sliceRows } from "../lib/layer/slice_layer.ts";
import { smoothLayer } from "../lib/layer/smooth_layer.ts";
import { addSums } from "../lib/params/measure_quality.ts";
import { trackOf } from "../lib/params/score_track.ts";
import {
  cutSegments,
  planSegments,
  smoothParams,
  smoothSegments,
} from "../lib/params/smooth_params.ts";
import type { LayerParams } from "../lib/types.ts";
import { noise } from "./make_model.ts";
import { DTYPES } from "./open_contenders.ts";
import { layerJobOf, silent, withSlice } from "./open_slice.ts";

Deno.test("optimizeLayer() gives a layer of several jobs what a single job gives", async () => {
  const shape = {
    rows: 512,
    columns: 16 * 300,
    blockColumns: 16,
    bits: 2 as const,
    dtype: "BF16" as const,
  };
  await withSlice(shape, async (slice) => {
    const backend = createInline("wasm", "", createWasmKernels(), silent.onBytes);
    const jobs: string[] = [];
    const watched = {
      ...backend,
      run: (job: Parameters<Backend["run"]>[0]) => {
        jobs.push(job.verb);
        return backend.run(job);
      },
    } as Backend;
    const bands = [0, 200, 512];
    const job = layerJobOf(slice, bands);
    const found = await optimizeLayer(job, watched, bands, 1);
    assert.deepEqual(jobs, ["optimize", "optimize", "encode", "encode"]);
    const whole = (await backend.run({
      ...{ verb: "optimize", bands, weight: 1 },
      slice: sliceRows(job, 0, 512, 512).slice,
      ...schemeOf(job.layer),
    }))!;
    backend.close();
    const { scale, code_scale, zero_point } = found.params;
    assert.deepEqual({ scale, code_scale, zero_point }, whole.params);
    assert.deepEqual([found.baseline.params.scale, found.baseline.params.zero_point], [
      whole.own.scale,
      whole.own.zero_point,
    ]);
    for (const key of ["signal", "decoded", "error"] as const) {
      const sum = whole.ownSums![key].reduce((a, b) => a + b);
      assert.ok(Math.abs(found.baseline.sums[key] / sum - 1) < 1e-9, key);
    }
  });
});

Deno.test("optimizeLayer() tells the energies of its choice and of phase baseline's, of every dtype and block", async () => {
  const bands = [0, 130, 400];
  const sample = noise(8);
  // Roughly normal, so that a range is not the best choice.
  const value = (i: number) => sample(3 * i) + sample(3 * i + 1) + sample(3 * i + 2);
  for (const dtype of DTYPES) {
    for (const blockColumns of [48, 16]) {
      const shape = { rows: 400, columns: 48, blockColumns, bits: 2 as const, dtype, value };
      await withSlice(shape, async (slice) => {
        const backend = createInline("wasm", "", createWasmKernels(), silent.onBytes);
        const { params, sums, baseline } = await optimizeLayer(
          layerJobOf(slice, bands),
          backend,
          bands,
          1,
        );
        assert.notDeepEqual(params.scale, baseline.params.scale);
        for (const [found, of] of [[sums, params], [baseline.sums, baseline.params]] as const) {
          const own = { slice, bands, bits: slice.bits, params: of };
          const expected = addSums(await backend.run({ verb: "assess", ...own }));
          for (const key of ["signal", "decoded", "error"] as const) {
            const off = Math.abs(found[key] / expected[key] - 1);
            assert.ok(off < 1e-6, `${dtype} ${blockColumns} ${key}: ${off}`);
          }
        }
        backend.close();
      });
    }
  }
});

Deno.test("optimizeLayer() tells the error of the outputs where inputs are known, also of whole slices", async () => {
  const bands = [0, 13, 40];
  await withSlice({ rows: 40, columns: 48, bits: 2 }, async (slice) => {
    const backend = createInline("wasm", "", createWasmKernels(), silent.onBytes);
    // Nothing to compensate, and each column counts as much as the others.
    const inputs = {
      rank: 0,
      order: Int32Array.from({ length: 48 }, (_, column) => column),
      sketch: new Float32Array(0),
      gains: new Float32Array(0),
      diagonal: new Float32Array(48).fill(1),
    };
    const { sums } = await optimizeLayer(
      { ...layerJobOf(slice, bands), inputs },
      backend,
      bands,
      1,
    );
    backend.close();
    assert.ok(Math.abs(sums.output!.signal / sums.signal - 1) < 1e-5);
    assert.ok(Math.abs(sums.output!.error / sums.error - 1) < 1e-5);
  });
});

/** Parameters of time groups. */
function groupsOf(bands: number[], blocks: number): LayerParams {
  const size = (bands.length - 1) * blocks;
  const sample = noise(4);
  const scale = Float32Array.from(
    { length: size },
    (_, i) => 1 + Math.round(100 * sample(i)) / 256,
  );
  return {
    ...{ bands, blocks, scale, code_scale: scale.map((scale) => scale / 2) },
    zero_point: Uint8Array.from({ length: size }, (_, i) => i % 4),
  };
}

Deno.test("smoothSegments() of pieces gives what smoothParams() gives of all", () => {
  const groups = groupsOf([0, 7, 30, 31, 64], 3);
  const smoothing = { window: 2, method: "cubic", dtype: "BF16" } as const;
  const whole = smoothParams(groups, smoothing);
  const segments = planSegments(groups.bands, smoothing);
  for (const step of [1, 5, 16, 64]) {
    for (let from = 0; from < 64; from += step) {
      const to = Math.min(from + step, 64);
      const piece = smoothSegments(groups, cutSegments(segments, { from, to }), to, "BF16");
      assert.deepEqual([piece.bands[0], piece.bands.at(-1)], [from, to]);
      for (let row = from; row < to; row++) {
        const at = (params: typeof whole) => {
          const band = params.bands.findLastIndex((start) => start <= row);
          const values = (
            all: Float32Array | Uint8Array,
          ) => [...all.subarray(band * 3, band * 3 + 3)];
          const { scale, zero_point, exact_zero_point, code_scale } = params;
          return [scale, zero_point, exact_zero_point, code_scale!].map(values);
        };
        assert.deepEqual(at(piece), at(whole), `row ${row} of [${from}, ${to})`);
      }
    }
  }
});

Deno.test("smoothLayer() tells of the parameters of all rows in turn, and of one schedule", async () => {
  await withSlice({ rows: 1, columns: 16 }, async (slice) => {
    const [rows, blocks] = [1000, 1024];
    const bands = [0, 130, 400, 401, 1000];
    const shape = { ...slice, rows, columns: 16 * blocks, blockColumns: 16 };
    const encoded: number[] = [];
    const sums = { signal: 10, decoded: 9, error: 8 };
    const backend = {
      run: (job: { row: number; slice: { rows: number } }) => {
        encoded.push(job.row, job.row + job.slice.rows);
        return Promise.resolve({ before: sums, after: { ...sums, error: 7 } });
      },
    } as unknown as Backend;
    const groups = groupsOf(bands, blocks);
    const smoothing = { window: 3, method: "linear", dtype: "BF16" } as const;
    const starts: number[] = [];
    let end = 0;
    const { schedule, sums: after } = await smoothLayer(
      layerJobOf(shape, bands),
      backend,
      { params: groups, sums: { signal: 100, decoded: 100, error: 100 } },
      smoothing,
      (params) => {
        assert.equal(params.bands[0], end);
        end = params.bands.at(-1)!;
        starts.push(params.bands[0]!);
        return Promise.resolve();
      },
    );
    assert.ok(starts.length > 5, `${starts.length} pieces`);
    assert.equal(end, rows);
    assert.deepEqual(encoded, [127, 133]);
    assert.deepEqual(after, { signal: 100, decoded: 100, error: 99 });
    const { scale, zero_point, exact_zero_point, ...whole } = smoothParams(groups, smoothing);
    assert.deepEqual(schedule, {
      exact: trackOf({ ...whole, scale, zero_point, exact_zero_point }),
      stored: trackOf({ ...whole, scale, zero_point }),
    });
  });
});
