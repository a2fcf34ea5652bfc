/** Quality that cannot be measured is never shown as good. */

import assert from "node:assert/strict";
import { addSums } from "../lib/params/measure_quality.ts";
import { join } from "node:path";
import { COMPRESSED_TENSORS } from "../lib/format/compressed_tensors/format.ts";
import type { Backend } from "../lib/jobs/backend.ts";
import { quantizeLayer } from "../lib/layer/quantize_layer.ts";
import { selectLayers } from "../lib/plan/select_layers.ts";
import { GRANULARITIES } from "../lib/settings/settings.ts";
import {
  type Bits,
  DEFAULT_SETTINGS,
  type FloatDtype,
  measureQuality,
  type Phase,
  quantizeModel,
  type QuantizeSettings,
} from "../mod.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";

Deno.test("measureQuality() refuses energies that are no finite numbers, negative, or an error of nothing", () => {
  const good = { signal: 2, decoded: 2, error: 1 };
  for (
    const bad of [
      { signal: NaN },
      { decoded: NaN },
      { error: NaN },
      { error: Infinity },
      { signal: Infinity },
      { error: -1 },
      { signal: 0, decoded: 0 },
    ]
  ) {
    assert.throws(() => measureQuality({ ...good, ...bad }), {
      name: "BadInputError",
      message: /^Cannot measure quality: the energies are /,
    });
  }
  assert.deepEqual(measureQuality({ signal: 0, decoded: 0, error: 0 }), {
    cosine_similarity: 1,
    sqnr_db: null,
  });
});

const PHASES: Phase[] = ["baseline", "smooth", "optimize"];

/** Each phase, and whether what it begins with can be measured: smoothing comes after another phase. */
const STOPPED: [Phase, boolean][] = [...PHASES.map((phase): [Phase, boolean] => [phase, false])];
STOPPED.push(["smooth", true]);

for (const granularity of GRANULARITIES) {
  for (const [phase, isFirstGood] of STOPPED) {
    const when = isFirstGood ? "only after smoothing" : `in phase ${phase}`;
    Deno.test(`quantizeLayer() stops with the layer's name when a quality by ${granularity}s is NaN ${when}`, () =>
      assertStops({ ...DEFAULT_SETTINGS, granularity, phase }, isFirstGood));
  }
}

Deno.test("quantizeLayer() stops by rows when only the quality by the ranges is NaN", () =>
  assertStops({ ...DEFAULT_SETTINGS, phase: "optimize" }, true));

/** Quantizes with a backend that answers with a NaN: at once, or where the first answer is good, later. */
async function assertStops(settings: QuantizeSettings, isFirstGood: boolean): Promise<void> {
  const tensor = { name: "a.weight", dtype: "F32", shape: [8, 16], begin: 0, end: 512 };
  const { layers: [layer] } = selectLayers(
    [{ name: "model.safetensors", tensors: [tensor] }],
    { ...settings, timeGroups: 2 },
    COMPRESSED_TENSORS.storage,
  );
  const bad = { signal: 1, decoded: 1, error: NaN };
  const first = isFirstGood ? { ...bad, error: 1 } : bad;
  // Of both time groups, which are so small that one job takes them together.
  const range = { lo: Float32Array.of(-1, -1), hi: Float32Array.of(1, 1) };
  const rows = { scale: new Float64Array(8).fill(0.5), zero_point: new Float64Array(8).fill(2) };
  const params = {
    scale: new Float32Array(8).fill(0.5),
    zero_point: new Uint8Array(8).fill(2),
    code_scale: new Float32Array(8).fill(0.5),
  };
  const filled = new Uint32Array(8).fill(1);
  const answers: Record<string, unknown> = {
    quantize: { ...range, sums: [first, first] },
    quantizeRows: { params, filled, rows, sums: first, own: { rows, sums: bad } },
    encode: [bad, bad],
    reencode: { before: bad, after: bad },
    assess: [bad, bad],
    optimize: {
      params: {
        scale: Float32Array.of(1, 1),
        code_scale: Float32Array.of(1, 1),
        zero_point: new Uint8Array(2),
      },
      own: { scale: Float32Array.of(1, 1), zero_point: new Uint8Array(2) },
      ownSums: undefined,
      sums: undefined,
    },
  };
  const backend = {
    run: ({ verb }: { verb: string }) => Promise.resolve(answers[verb]),
  } as unknown as Backend;
  const place = { path: "model.safetensors", label: "model.safetensors", begin: 0 };
  const job = { layer: layer!, source: place, target: place, packing: "words" } as const;
  await assert.rejects(quantizeLayer(job, backend, settings, () => Promise.resolve()), {
    name: "BadInputError",
    message: 'Cannot measure the quality of tensor "a.weight" in "model.safetensors": its errors ' +
      "are no finite numbers: leave it out with --ignore",
  });
}

/** The SQNR of a model of one layer; the weights' dtype and what they are. */
async function sqnrOf(
  dtype: FloatDtype,
  value: (index: number) => number,
  settings: { bits: Bits; phase: Phase },
): Promise<number | null> {
  let found: number | null = NaN;
  const file = encodeFile([matrix("a.fc.weight", 16, 64, value, dtype)]);
  await withFiles({ "model/model.safetensors": file }, async (root) => {
    const all = { ...DEFAULT_SETTINGS, ...settings };
    const report = await quantizeModel(join(root, "model"), join(root, "out"), all);
    found = report.sqnr_db;
  });
  return found;
}

Deno.test("quantizeModel() measures weights just above the subnormal ones in every phase", async () => {
  // All but one in 64 are 0: the sensible scales of such a block are below the least normal F32.
  const value = (i: number) => i % 64 === 63 ? (i % 2 === 0 ? 1.5 : -1.25) * 2 ** -125 : 0;
  for (const phase of PHASES) {
    for (const bits of [2, 4, 8] as const) {
      for (const dtype of ["F32", "BF16"] as const) {
        const found = await sqnrOf(dtype, value, { bits, phase });
        assert.ok(found === null || found > 3, `${phase} INT${bits} ${dtype}: ${found} dB`);
      }
    }
  }
});

Deno.test("quantizeModel() takes weights that are all subnormal for zeros", async () => {
  for (const dtype of ["F32", "BF16"] as const) {
    const found = await sqnrOf(dtype, (i) => noise(3)(i) * 2 ** -127, {
      bits: 4,
      phase: "baseline",
    });
    assert.equal(found, null, dtype);
  }
});

Deno.test("quantizeModel() loses nothing on small F16 weights, whose scales are subnormal", async () => {
  for (const [bits, least] of [[2, 2.5], [4, 18], [8, 41]] as const) {
    const large = await sqnrOf("F16", noise(5), { bits, phase: "baseline" });
    const small = await sqnrOf("F16", (i) => noise(5)(i) * 2 ** -11, { bits, phase: "baseline" });
    assert.ok(large! > least, `INT${bits}: ${large} dB`);
    // At 8 bits the scale has 6 bits left: rounding it costs a little.
    assert.ok(small! > large! - (bits === 8 ? 1.5 : 0.3), `INT${bits}: ${small} of ${large} dB`);
  }
});

Deno.test("energies of outputs are known of a whole only where they are of all its parts", () => {
  const sums = { signal: 1, decoded: 1, error: 0.5 };
  const known = { ...sums, output: { signal: 3, error: 1 } };
  assert.deepEqual(addSums([known, known]).output, { signal: 6, error: 2 });
  assert.equal(addSums([known, sums]).output, undefined);
  assert.equal(addSums([]).output, undefined);
});
