/**
 * Memory of the command line, measured as the most its process ever had: what hostile JSON may take before it is
 * refused, and what a model of 100,000 tensors takes.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeHistoryEntry } from "../lib/history/entry.ts";
import type { Files } from "./directories.ts";
import { calibrationFile } from "./hostile_calibrations.ts";
import { encodeFile, matrix, noise, rawFile, withFiles } from "./make_model.ts";
import { inventReport } from "./invent_report.ts";
import { outcomeOf, spawnCli } from "./run_cli.ts";

const [REPORT_PEAK, EIGHT_CORES] = ["report_peak", "eight_cores"].map((name) =>
  fileURLToPath(new URL(`./peak/${name}.ts`, import.meta.url))
) as [string, string];

/** The peak is read from /proc. */
const ON_LINUX = Deno.build.os === "linux";

/** Most memory until a hostile file is refused, in MB. */
const REFUSED_MB = 300;

/** Runs the command line in a directory; what it said, and its peak in MB. */
async function measure(root: string, argv: string[], preload: string[] = []) {
  const preloads = [REPORT_PEAK, ...preload].flatMap((path) => ["--preload", path]);
  const permissions = [...preloads, "--allow-all"];
  const { code, stderr } = await outcomeOf(spawnCli(argv, { permissions, cwd: root }));
  const [, kb] = /^peak (\d+)$/m.exec(stderr) ?? [];
  assert.ok(kb !== undefined, stderr);
  return { code, stderr: stderr.replace(/^peak \d+\n/m, ""), megabytes: Number(kb) / 1024 };
}

const MB = 2 ** 20;

/** So many bytes of a text again and again, after a beginning. */
function repeat(start: string, part: string, bytes: number): string {
  return start + part.repeat(Math.floor(bytes / part.length));
}

/** So many bytes of parts that are all different, joined by commas. */
function number(part: (i: number) => string, bytes: number): string {
  const parts: string[] = [];
  for (let i = 0, length = 0; length < bytes; i++) {
    parts.push(part(i));
    length += parts[i]!.length + 1;
  }
  return parts.join(",");
}

const LISTS = repeat('{"schema_version":1,"x":[', "[[[]]],", 60 * MB);
const KEYS = `{"schema_version":1,"x":[${number((i) => `{"${i}":0}`, 10 * MB)}]}`;
const LETTERS = [..."abcdefghijklmnopqrstuvwxyz"];
/** Objects whose keys come in another order each, so that an engine shares nothing between them. */
const ORDERS = `{"schema_version":1,"x":[${
  number((i) => {
    const random = noise(i);
    const order = LETTERS.map((letter, k) => ({ letter, rank: random(k) }))
      .sort((a, b) => a.rank - b.rank);
    return `{${order.map(({ letter }) => `"${letter}":1.5`).join(",")}}`;
  }, 5 * MB)
}]}`;
const TOO_MANY = "Too many values: they take more than the 160 MB allowed at byte ";
const TEXT = `{"${"a".repeat(20 * MB)}":0}`;
const WEIGHTS = encodeFile([matrix("a.weight", 4, 16, noise(1))]);
const INVENTED = inventReport({ names: ["a"] });
const REPORT = JSON.stringify(INVENTED);
const ENTRY = JSON.stringify(makeHistoryEntry(INVENTED));

const MILLION = rawFile(
  `{${number((i) => `"${i}":{"dtype":"U8","shape":[],"data_offsets":[${i},${i + 1}]}`, 60 * MB)}}`,
);

// What is hostile, the files, the arguments, a part of what is said.
const HOSTILE: [what: string, files: Files, argv: string[], message: string][] = [
  [
    "lists nested in a header",
    { "m/model.safetensors": rawFile(repeat('{"a":{"x":[', "[],", 60 * MB)) },
    ["inspect", "m"],
    'Cannot read "model.safetensors": invalid JSON in header: Expected a value, but the text ends at byte',
  ],
  [
    "lists nested deeply in a header",
    { "m/model.safetensors": rawFile("[1,".repeat(20 * MB)) },
    ["inspect", "m"],
    "invalid JSON in header: Nesting deeper than 4 at byte 12",
  ],
  [
    "metadata of a header",
    {
      "m/model.safetensors": rawFile(
        `{"__metadata__":{${number((i) => `"${i}":""`, 20 * MB)}}}`,
      ),
    },
    ["inspect", "m"],
    TOO_MANY,
  ],
  [
    "a shape of millions of dimensions",
    {
      "m/model.safetensors": rawFile(
        repeat('{"a":{"dtype":"U8","data_offsets":[0,1],"shape":[', "1,", 60 * MB),
      ),
    },
    ["inspect", "m"],
    TOO_MANY,
  ],
  [
    "a million tensors",
    { "m/model.safetensors": MILLION },
    ["inspect", "m"],
    TOO_MANY,
  ],
  [
    "a name of 20 MB",
    { "m/model.safetensors": rawFile(TEXT) },
    ["inspect", "m"],
    "A text or number longer than 16 MB at byte 1",
  ],
  [
    "an index of nested lists",
    { "m/x.safetensors": WEIGHTS, "m/model.safetensors.index.json": LISTS },
    ["inspect", "m"],
    `Cannot read "model.safetensors.index.json": it is not valid JSON: ${TOO_MANY}`,
  ],
  [
    "an index of objects",
    {
      "m/x.safetensors": WEIGHTS,
      "m/model.safetensors.index.json": repeat('{"metadata":[', "{},", 60 * MB),
    },
    ["inspect", "m"],
    TOO_MANY,
  ],
  [
    "a config of nested lists",
    { "m/model.safetensors": WEIGHTS, "m/config.json": LISTS.slice(0, 15 * MB) },
    ["inspect", "m"],
    `Cannot read "config.json": it is not valid JSON: ${TOO_MANY}`,
  ],
  [
    "metadata of a calibration",
    {
      "m/model.safetensors": WEIGHTS,
      "c.safetensors": calibrationFile([], { same_input: LISTS.slice(0, 15 * MB) }),
    },
    ["inspect", "m", "--calibration", "c.safetensors"],
    'metadata "same_input" is not JSON',
  ],
  ["a report of nested lists", { "a.json": LISTS }, ["gate", "a.json", "a.json"], TOO_MANY],
  ["a report of keys", { "a.json": KEYS }, ["gate", "a.json", "a.json"], TOO_MANY],
  ["a report of orders", { "a.json": ORDERS }, ["gate", "a.json", "a.json"], TOO_MANY],
  [
    "a baseline of lists of numbers",
    { "a.json": repeat('{"schema_version":1,"x":[', "[1.5],", 60 * MB) },
    ["gate", "a.json", "a.json"],
    TOO_MANY,
  ],
  [
    "rules of nested lists",
    { "a.json": REPORT, "rules.json": LISTS.slice(0, 9 * MB) },
    ["gate", "a.json", "a.json", "--rules", "rules.json"],
    `Cannot read the rules "rules.json": it is not JSON: ${TOO_MANY}`,
  ],
  [
    "a history of nested lists",
    { "h.jsonl": LISTS.slice(0, 9 * MB) },
    ["history", "badge", "h.jsonl", "--to", "b.json"],
    `Cannot read the history "h.jsonl": line 1, cut short: it has ${
      9 * MB
    } characters, must have at ` +
    "most 262144",
  ],
  [
    "a history of entries with much that nobody knows",
    {
      "h.jsonl": `${
        `${ENTRY.slice(0, -1)},"x":[${repeat("", "[[[]]],", 2e5)}[]]}\n`.repeat(45)
      }SECRET\n`,
    },
    ["history", "badge", "h.jsonl", "--to", "b.json"],
    "line 46: it is not JSON: Expected a value at byte 0",
  ],
  [
    "a history of lines of unknown keys",
    {
      "h.jsonl": `${
        number((i) => `{"schema_version":2,"${i}":{}}`, 9 * MB).replaceAll(",{", "\n{")
      }\n`,
    },
    ["history", "badge", "h.jsonl", "--to", "b.json"],
    "line 1: its schema_version is 2, this version of Isotherm reads 1",
  ],
];

for (const [what, files, argv, message] of HOSTILE) {
  Deno.test({
    name: `the command line refuses ${what} in less than ${REFUSED_MB} MB`,
    ignore: !ON_LINUX,
    async fn() {
      await withFiles(files, async (root) => {
        const { code, stderr, megabytes } = await measure(root, argv);
        assert.ok(stderr.includes(message), stderr);
        assert.match(stderr, /^error: [^\n]*\n$/);
        assert.ok(code === 2 || code === 4, `${code}`);
        assert.ok(megabytes < REFUSED_MB, `${megabytes} MB`);
      });
    },
  });
}

/** A file of so many tensors of 16 F32 each, of which the first few are matrices. */
function manyTensors(count: number, matrices: number): Uint8Array {
  const entry = (i: number) =>
    `"blocks.${i}.${i < matrices ? "weight" : "bias"}":{"dtype":"F32","shape":[${
      i < matrices ? "4,4" : "16"
    }],"data_offsets":[${64 * i},${64 * i + 64}]}`;
  const file = rawFile(
    `{${Array.from({ length: count }, (_, i) => entry(i)).join(",")}}`,
    64 * count,
  );
  return file;
}

/** Layers of a model that is quantized: of 100,000 it is 580 MB, now and then 620, and 660 of random weights. */
const FEWER = 80_000;

Deno.test({
  name:
    "the command line takes a model of 100,000 tensors, or of 80,000 layers, in less than 600 MB",
  ignore: !ON_LINUX,
  async fn() {
    const files = {
      "layers/model.safetensors": manyTensors(100_000, 100_000),
      "copies/model.safetensors": manyTensors(100_000, 1),
      "fewer/model.safetensors": manyTensors(FEWER, FEWER),
    };
    await withFiles(files, async (root) => {
      const runs = [
        ["inspect", "layers"],
        ["--model", "copies", "--output", "out", "--report", "r.json"],
        ["--model", "fewer", "--output", "quantized", "--report", "q.json"],
      ];
      for (const argv of runs) {
        const { code, stderr, megabytes } = await measure(root, argv);
        assert.equal(code, 0, stderr);
        assert.ok(megabytes < 600, `${argv[0]}: ${megabytes} MB`);
      }
      // Report and log were written in many pieces.
      const { layers } = JSON.parse(Deno.readTextFileSync(join(root, "q.json")));
      assert.equal(layers.length, FEWER);
      const lines = Deno.readTextFileSync(join(root, "q.log")).split("\n");
      const quantized = lines.filter((line) => /^Quantized blocks\.\d+ \[4, 4\]$/.test(line));
      assert.equal(new Set(quantized).size, FEWER);
    });
  },
});

Deno.test({
  name: "phase optimize of a thousand time groups takes less than 400 MB, however many workers",
  ignore: !ON_LINUX,
  async fn() {
    const layers = Array.from(
      { length: 8 },
      (_, i) => matrix(`blocks.${i}.fc.weight`, 1000, 256, noise(i), "BF16"),
    );
    await withFiles({ "model/model.safetensors": encodeFile(layers) }, async (root) => {
      const paths = ["--model", "model", "--output", "out", "--report", "r.json", "--verbose"];
      const settings = [
        "--granularity",
        "slice",
        "--num-time-groups",
        "1000",
        "--group-size",
        "16",
      ];
      const argv = [...paths, ...settings, "--phase", "optimize"];
      const { code, stderr, megabytes } = await measure(root, argv, [EIGHT_CORES]);
      assert.equal(code, 0, stderr);
      // More have no room.
      assert.match(stderr, /WebAssembly in 7 workers/);
      assert.ok(megabytes < 400, `${megabytes} MB`);
    });
  },
});
