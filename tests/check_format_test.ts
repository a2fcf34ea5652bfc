/** What each format can hold: every combination of settings that is refused, and what is said of it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { FORMATS, WIDTHS } from "../lib/settings/settings.ts";
import type { FormatName } from "../lib/types.ts";
import { type Bits, DEFAULT_SETTINGS, quantizeModel, type QuantizeSettings } from "../mod.ts";
import { namesIn, withSmallModel } from "./directories.ts";
import { withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

/** Sizes of blocks that are tried; `undefined`: none is given. */
const SIZES = [undefined, "row", 16, 32, 48, 64, 128, 256, 320, 512] as const;

type Size = typeof SIZES[number];

/** What is said of settings; `undefined`: nothing. Written by hand, from what the layouts are. */
function refusalOf(
  format: FormatName,
  bits: Bits,
  symmetric: boolean,
  size: Size,
): string | undefined {
  const given = size === undefined ? "" : ` --group-size ${size}`;
  const head = `Cannot use --format ${format} with --bit-width ${bits}${given}: `;
  if (format === "compressed-tensors") return undefined;
  if (format === "comfy" && bits === 2) {
    return `${head}ComfyUI has no kernel for 2 bits: give --bit-width 4 or 8`;
  }
  if (bits === 8 && !symmetric) {
    const what = format === "gguf" ? "its Q8_0 blocks" : "its int8 codes";
    return `${head}${what} have no zero points: add --symmetric`;
  }
  if (size === undefined || format === "sdnq") return undefined;
  const isWhole = size === "row";
  if (format === "comfy") {
    return bits === 4 || isWhole
      ? undefined
      : `${head}its int8_tensorwise has one scale a row: give --group-size row`;
  }
  const isLarge = isWhole || size === 256 || size === 512;
  if (bits === 2) {
    return isLarge ? undefined : `${head}Q2_K has blocks of 256: give a multiple of 256, or row`;
  }
  if (bits === 4) {
    return isLarge || size === 32
      ? undefined
      : `${head}Q4_1 has blocks of 32, Q4_K of 256: give 32, a multiple of 256, or row`;
  }
  return size === 32
    ? undefined
    : `${head}Q8_0 has blocks of 32: give 32, or leave --group-size out`;
}

/** All settings that are tried. */
const COMBINATIONS = FORMATS.flatMap((format) =>
  WIDTHS.flatMap((bits) =>
    [false, true].flatMap((symmetric) =>
      SIZES.map((size) => ({
        format,
        bits,
        symmetric,
        size,
        line: refusalOf(format, bits, symmetric, size),
      }))
    )
  )
);

Deno.test("a format that cannot hold what is asked for is refused before the model is looked at", async () => {
  assert.equal(COMBINATIONS.filter(({ line }) => line !== undefined).length, 88);
  await withFiles({}, async (root) => {
    const nowhere = join(root, "nowhere");
    for (const { format, bits, symmetric, size, line } of COMBINATIONS) {
      const flags = [
        ...["--format", format, "--bit-width", `${bits}`],
        ...symmetric ? ["--symmetric"] : [],
        ...size === undefined ? [] : ["--group-size", `${size}`],
      ];
      const run = ["--model", nowhere, "--output", join(root, "out")];
      const found = [await runMain(...run, ...flags), await runMain("inspect", nowhere, ...flags)];
      const settings: QuantizeSettings = {
        ...DEFAULT_SETTINGS,
        format,
        bits,
        symmetric,
        groupSize: size,
      };
      for (const { code, stdout, stderr } of found) {
        assert.deepEqual([code, stdout], [2, ""]);
        if (line === undefined) assert.match(stderr, /^error: Model not found: /, flags.join(" "));
        else assert.equal(stderr, `error: ${line}\n`);
      }
      await assert.rejects(
        quantizeModel(nowhere, join(root, "out"), settings),
        line === undefined ? /Model not found/ : { name: "BadInputError", message: line },
      );
    }
    assert.deepEqual(namesIn(root), []);
  });
});

Deno.test("formats and switches are judged by themselves, in the library too", async () => {
  await withSmallModel(async ({ root, model, output, run }) => {
    const before = namesIn(root);
    for (const format of ["GGUF", "ct", "safetensors"]) {
      const { code, stderr } = await runMain(...run, "--format", format);
      assert.deepEqual([code, stderr], [
        2,
        `error: --format is "${format}", must be compressed-tensors, sdnq, gguf or comfy\n`,
      ]);
    }
    const bad: [object, string][] = [
      [
        { format: "x" },
        '--format is the text "x", must be compressed-tensors, sdnq, gguf or comfy',
      ],
      [
        { format: undefined },
        "--format is undefined, must be compressed-tensors, sdnq, gguf or comfy",
      ],
      [
        { format: "__proto__" },
        '--format is the text "__proto__", must be compressed-tensors, sdnq, gguf or comfy',
      ],
      [{ symmetric: 1 }, '--symmetric is "1", must be true or false'],
      [{ modulation: 2 }, '--modulation is "2", must be 8, 4 or keep'],
      [{ modulation: "8" }, '--modulation is the text "8", must be 8, 4 or keep'],
    ];
    for (const [more, message] of bad) {
      const settings: object = { ...DEFAULT_SETTINGS, ...more };
      await assert.rejects(quantizeModel(model, output, settings as QuantizeSettings), {
        name: "BadInputError",
        message,
      });
    }
    assert.deepEqual(namesIn(root), before);
  });
});
