/** What the digits DiT of the examples is made of: functions, noise, pictures. */

import assert from "node:assert/strict";
import { softmax } from "../examples/forward/activations.ts";
import { DIT } from "../examples/digits-dit-denoiser/dimensions.ts";
import { drawSamples } from "../examples/digits-dit-denoiser/draw_samples.ts";
import { addNoise, SIGNAL_LEFT } from "../examples/digits-dit-denoiser/noise_schedule.ts";
import { drawNoise } from "../examples/forward/random.ts";
import { toGrey, toModel } from "../examples/digits-dit-denoiser/read_digits.ts";

function near(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what} is ${actual}, expected ${expected}`);
}

Deno.test("softmax() makes shares of a run of scores, however large, and leaves the others", () => {
  const scores = Float64Array.of(7, 1000, 1000 + Math.log(3), 7);
  softmax(scores, 1, 2);
  assert.deepEqual([...scores].map((x) => Math.round(x * 1e9) / 1e9), [7, 0.25, 0.75, 7]);
});

Deno.test("addNoise() leaves a share of the image that falls from nearly 1 to nearly 0", () => {
  near(SIGNAL_LEFT[0]!, 0.9999, 1e-12, "first");
  near(SIGNAL_LEFT[999]!, 4.0358e-5, 1e-8, "last");
  const [image, spread] = [Float32Array.of(1), Float32Array.of(1)];
  for (const t of [0, 500, 999]) {
    const left = SIGNAL_LEFT[t]!;
    near(addNoise(image, spread, t)[0]!, Math.sqrt(left) + Math.sqrt(1 - left), 1e-6, `t=${t}`);
  }
});

Deno.test("drawNoise() is standard normal, and the same for the same seed", () => {
  const values = drawNoise(20_001, 3);
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
  near(mean, 0, 0.03, "mean");
  near(variance, 1, 0.03, "variance");
  near(values.filter((x) => Math.abs(x) < 1).length / values.length, 0.683, 0.01, "within 1");
  assert.deepEqual(drawNoise(20_001, 3), values);
  assert.notDeepEqual(drawNoise(20_001, 4), values);
});

Deno.test("toModel() and toGrey() are each other's inverse", () => {
  const levels = Uint8Array.from({ length: 17 }, (_, i) => i);
  assert.deepEqual(toGrey(toModel(levels)), levels);
  assert.deepEqual([...toGrey(Float32Array.of(-3, 3))], [0, 16]);
});

Deno.test("drawSamples() draws 20 digits in less than 20 kB, whatever they look like", () => {
  const worst = Uint8Array.from({ length: 20 * DIT.pixels }, (_, i) => 1 + (i * 7) % 16);
  const picture = drawSamples(worst, 20, 'digits of "<model> & co"');
  assert.ok(picture.length < 20_000, `${picture.length} characters`);
  assert.match(picture, /aria-label="digits of &quot;&lt;model&gt; &amp; co&quot;"/);
  assert.match(picture, /viewBox="0 0 179 8"/);
});

Deno.test("drawSamples() makes a stroke of each run of equal pixels", () => {
  const image = new Uint8Array(DIT.pixels);
  image.set([0, 16, 16, 8], DIT.pixels - 8);
  assert.match(
    drawSamples(image, 1, "one"),
    /<path stroke="#808080" d="M3 7.5h1"\/><path stroke="#000000" d="M1 7.5h2"\/><\/svg>$/,
  );
});
