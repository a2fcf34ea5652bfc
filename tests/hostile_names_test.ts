import assert from "node:assert/strict";
import { join } from "node:path";
import { openSource, readHeader } from "../lib/safetensors/read.ts";
import { vector } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

/** Names that show what is not escaped, of layers and of vectors. */
const LAYERS = [
  "<img src=x onerror=alert(1)></script>",
  "ansi\x1b[31m\x1b]0;title\x07\u009b2J",
  "new\nline\r\u2028\u2029",
  "bidi\u202e\u2066\u200f",
  "nul\0",
  "__proto__",
  "constructor",
  "2",
  "10",
  "",
  "../../etc/passwd",
  '"quoted\\"',
  "é",
  "e\u0301",
  "😀",
  "x".repeat(20_000),
];

const VECTORS = ["__proto__", "\x1b[2Jvector", "0"];

/** What may stand in text for a terminal. */
// deno-lint-ignore no-control-regex -- they are what must not be there
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200f\u2028\u2029\u202e\u2066]/;

const MODEL = {
  "model/model.safetensors": encodeFile([
    ...LAYERS.map((name, i) => matrix(`${name}.weight`, 4, 16, noise(i))),
    ...VECTORS.map((name) => vector(name, 4)),
  ]),
};

function tensorNames(path: string): string[] {
  const source = openSource(path, "file");
  try {
    return readHeader(source, "file").tensors.map(({ name }) => name).sort();
  } finally {
    source.close();
  }
}

/** Calls `main` with flags for a run and checks that nothing it shows is unsafe. */
async function safeRun(...argv: string[]) {
  const outcome = await runMain(...argv);
  assert.equal(outcome.code, 0, outcome.stderr);
  for (const line of `${outcome.stdout}${outcome.stderr}`.split("\n")) {
    assert.equal(UNSAFE.exec(line), null, JSON.stringify(line));
    assert.ok(line.length < 2000, `${line.length} characters`);
  }
  return outcome;
}

Deno.test("main() keeps names exact in its files and escapes them when it shows them", async () => {
  await withFiles(MODEL, async (root) => {
    const [model, output] = [join(root, "model"), join(root, "out")];
    const report = join(root, "r.json");
    const flags = ["--no-default-ignore", "--verbose"];
    await safeRun("--model", model, "--output", output, "--report", report, ...flags);
    const log = Deno.readTextFileSync(join(root, "r.log"));
    assert.equal(UNSAFE.exec(log), null);
    assert.ok(log.includes("Quantized ansi\\u{1b}[31m\\u{1b}]0;title\\u{7}\\u{9b}2J [4, 16]\n"));

    const packed = LAYERS.flatMap((name) =>
      ["packed", "scale", "zero_point", "shape"].map((part) => `${name}.weight_${part}`)
    );
    assert.deepEqual(
      tensorNames(join(output, "model.safetensors")),
      [...packed, ...VECTORS].sort(),
    );
    const schedules = LAYERS.flatMap((name) =>
      ["boundaries", "scale", "zero_point"].map((part) => `${name}.${part}`)
    );
    assert.deepEqual(tensorNames(join(output, "time_groups.isotherm")), schedules.sort());

    const { layers, skipped } = JSON.parse(Deno.readTextFileSync(report));
    const names = (list: { name: string }[]) => list.map(({ name }) => name).sort();
    assert.deepEqual(names(layers), [...LAYERS].sort());
    assert.deepEqual(names(skipped), [...VECTORS].sort());
  });
});

Deno.test("main() escapes names when it inspects, verifies and prints JSON", async () => {
  await withFiles(MODEL, async (root) => {
    const [model, output] = [join(root, "model"), join(root, "out")];
    const inspect = await safeRun("inspect", model, "--no-default-ignore");
    assert.ok(inspect.stdout.includes("  new\\u{a}line\\u{d}\\u{2028}\\u{2029} "));
    assert.match(inspect.stdout, /^ {2}not a matrix \(rank 1\) \(3, \d+\.\d% of the bytes\): /m);
    const run = ["--model", model, "--output", output, "--report", join(root, "r.json")];
    await safeRun(...run, "--no-default-ignore");
    const verify = await safeRun("verify", output, "--against", model);
    assert.ok(verify.stdout.includes("16 layers decoded from disk"));
    const json = await runMain("verify", output, "--against", model, "--json");
    const { layers } = JSON.parse(json.stdout);
    assert.deepEqual(
      layers.map(({ name }: { name: string }) => name).sort(),
      [...LAYERS].sort(),
    );
  });
});

Deno.test("main() escapes names when a message, a directory or a pattern holds them", async () => {
  const damaged = encodeFile([matrix("a\x1b[31m\n.weight", 4, 16, () => NaN)]);
  const folder = "m\x1b[2J\u202e";
  await withFiles({ [`${folder}/model.safetensors`]: damaged }, async (root) => {
    const { code, stderr } = await runMain(
      ...["--model", join(root, folder), "--output", join(root, "out"), "--ignore", "b\n\x07"],
      ...["--report", join(root, "r.json")],
    );
    assert.equal(code, 2);
    assert.deepEqual(stderr.split("\n"), [
      'Warning: --ignore "b\\u{a}\\u{7}" matches no tensor',
      "Warning: --group-size 128, the default, does not suit the columns of 1 layer: " +
      'the first, "a\\u{1b}[31m\\u{a}", takes one block a row',
      "Quantizing m\\u{1b}[2J\\u{202e}: 1 layer to INT2, 4 time groups, by rows, blocks of 128, " +
      "0 tensors left as they are, for compressed-tensors",
      'error: Cannot quantize tensor "a\\u{1b}[31m\\u{a}.weight" in "model.safetensors": ' +
      "64 NaN of 64 values, the first at [0, 0]: repair the weights, or leave it out with --ignore",
      "",
    ]);
  });
});

Deno.test("main() keeps names exact in the index when a sharded model has hostile ones", async () => {
  const [first, second] = ["a-00001-of-00002.safetensors", "a-00002-of-00002.safetensors"];
  const map = LAYERS.map((name, i) => [`${name}.weight`, i % 2 === 0 ? first : second] as const);
  const shard = (file: string) =>
    encodeFile(
      map.flatMap(([name, home], i) => home === file ? [matrix(name, 4, 16, noise(i))] : []),
    );
  // Written by hand: an object literal cannot hold a key `__proto__`.
  const entries = map.map(([name, file]) => `${JSON.stringify(name)}: ${JSON.stringify(file)}`);
  const metadata = '{"total_size": 1, "__proto__": "mine", "note": "\\u001b[31m"}';
  const index = `{"metadata": ${metadata}, "weight_map": {${entries.join(",")}}}`;
  const files = {
    [`model/${first}`]: shard(first),
    [`model/${second}`]: shard(second),
    "model/model.safetensors.index.json": index,
  };
  await withFiles(files, async (root) => {
    const [model, output] = [join(root, "model"), join(root, "out")];
    const run = ["--model", model, "--output", output, "--report", join(root, "r.json")];
    await safeRun(...run, "--no-default-ignore");
    const written = JSON.parse(
      Deno.readTextFileSync(join(output, "model.safetensors.index.json")),
    );
    const expected = map.flatMap(([name, file]) =>
      ["packed", "scale", "zero_point", "shape"].map((part) => [`${name}_${part}`, file])
    );
    assert.deepEqual(Object.entries(written.weight_map).sort(), expected.sort());
    assert.deepEqual(Object.keys(written.metadata), ["total_size", "__proto__", "note"]);
    assert.equal(written.metadata.note, "\x1b[31m");
    const bytes = [first, second].map((name) => tensorBytes(join(output, name)));
    assert.equal(written.metadata.total_size, bytes[0]! + bytes[1]!);
    await safeRun("verify", output, "--against", model);
  });
});

/** Bytes of all tensors of a file. */
function tensorBytes(path: string): number {
  const source = openSource(path, "file");
  try {
    return readHeader(source, "file").tensors
      .reduce((sum, { begin, end }) => sum + end - begin, 0);
  } finally {
    source.close();
  }
}
