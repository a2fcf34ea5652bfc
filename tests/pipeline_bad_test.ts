/** Bad pipelines and bad outputs of one: each is refused in one line before any work, and nothing is written. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { BadInputError } from "../lib/base/errors.ts";
import { encodeCalibration } from "../lib/calibration/encode_calibration.ts";
import { openSource } from "../lib/model/open_pipeline.ts";
import { DEFAULT_SETTINGS, quantizeModel, verifyCheckpoint } from "../mod.ts";
import { type Files, namesIn, stateOf } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { pipelineFiles, pipelineIndex } from "./pipeline_model.ts";
import { outcomeOf, runMain, spawnCli } from "./run_cli.ts";

/** A pipeline that is changed, and paths for a run. */
function withPipeline(
  change: Files,
  use: (paths: { root: string; pipe: string; out: string; run: string[] }) => Promise<void>,
): Promise<void> {
  return withFiles({ ...pipelineFiles(), ...change }, (root) => {
    const [pipe, out] = [join(root, "pipe"), join(root, "out")];
    const run = ["--model", pipe, "--output", out, "--report", join(root, "r.json")];
    return use({ root, pipe, out, run: [...run, "--bit-width", "4"] });
  });
}

/** Asserts that a run is refused with this line, on the command line as in the library, and leaves nothing. */
async function assertRefused(
  { root, pipe, run }: { root: string; pipe: string; run: string[] },
  flags: readonly string[],
  line: string | RegExp,
): Promise<void> {
  const [names, state] = [namesIn(root), stateOf(pipe)];
  for (const more of [[], ["--dry-run"]]) {
    const { code, stdout, stderr } = await runMain(...run, ...flags, ...more);
    assert.deepEqual([code, stdout], [2, ""], stderr);
    assert.match(stderr, /^error: [^\n]+\n$/);
    // deno-lint-ignore no-control-regex -- none of them may reach a terminal
    assert.doesNotMatch(stderr.trimEnd(), /[\x00-\x1f\x7f\u202e]/);
    if (typeof line === "string") assert.equal(stderr, `error: ${line}\n`);
    else assert.match(stderr, line);
  }
  assert.deepEqual(namesIn(root), names);
  assert.deepEqual(stateOf(pipe), state);
}

const HAS =
  'it has "scheduler", "text_encoder", "tokenizer", "transformer", "transformer_2", "vae"';

/** Flags of a run on the pipeline, and what is said of them. */
const BAD_FLAGS: [flags: string[], line: string][] = [
  [["--component", "unet"], `Component not found: "unet" in the pipeline "PIPE": ${HAS}`],
  // Left out of the index, though there may be a folder of that name; and a folder that is no component.
  [
    ["--component", "feature_extractor"],
    `Component not found: "feature_extractor" in the pipeline "PIPE": ${HAS}`,
  ],
  [["--component", "assets"], `Component not found: "assets" in the pipeline "PIPE": ${HAS}`],
  // A plain entry of the index.
  [
    ["--component", "boundary_ratio"],
    `Component not found: "boundary_ratio" in the pipeline "PIPE": ${HAS}`,
  ],
  [
    ["--component", "tokenizer"],
    'No safetensors weights in "PIPE/tokenizer": expected model.safetensors, ' +
    "diffusion_pytorch_model.safetensors or shards with an index",
  ],
  [
    ["--component", "../vae"],
    '--component is "../vae", must be the name of a folder of the pipeline',
  ],
  [["--component", "."], '--component is ".", must be the name of a folder of the pipeline'],
  [["--component", ".."], '--component is "..", must be the name of a folder of the pipeline'],
  [["--component", "a/b"], '--component is "a/b", must be the name of a folder of the pipeline'],
  [["--component", "a\\b"], '--component is "a\\b", must be the name of a folder of the pipeline'],
  [["--component", "/vae"], '--component is "/vae", must be the name of a folder of the pipeline'],
  [
    ["--component", "v\u001bae"],
    '--component is "v\\u{1b}ae", must be the name of a folder of the pipeline',
  ],
  [
    ["--component", "vae", "--component", "vae"],
    '--component "vae" is given twice: give it once',
  ],
];

Deno.test("a component that is none is refused, whatever its name", async () => {
  await withPipeline({}, async (paths) => {
    for (const [flags, line] of BAD_FLAGS) {
      await assertRefused(paths, flags, line.replaceAll("PIPE", paths.pipe));
    }
    const chosen = ["--model", join(paths.pipe, "vae"), "--component", "vae"];
    await assertRefused(
      { ...paths, run: [...paths.run.slice(2)] },
      chosen,
      [
        `Cannot choose component "vae" of "${paths.pipe}/vae": it has no model_index.json, `,
        "so it is a model of its own: leave --component out",
      ].join(""),
    );
  });
});

Deno.test("quantizeModel() judges components as the command line does", async () => {
  await withPipeline({}, async ({ root, pipe, out }) => {
    const bad: [components: unknown, message: string][] = [
      ["vae", '--component is the text "vae", must be a list of texts, each a name'],
      [[1], "--component is a list, must be a list of texts, each a name"],
      [["../vae"], '--component is "../vae", must be the name of a folder of the pipeline'],
      [[""], '--component is "", must be the name of a folder of the pipeline'],
      [["vae", "vae"], '--component "vae" is given twice: give it once'],
    ];
    for (const [components, message] of bad) {
      const settings: object = { ...DEFAULT_SETTINGS, components };
      await assert.rejects(
        quantizeModel(pipe, out, settings as typeof DEFAULT_SETTINGS),
        { name: "BadInputError", message },
      );
    }
    assert.deepEqual(namesIn(root), ["pipe"]);
  });
});

/** What stands in model_index.json, and what is said of it. */
const BAD_INDEXES: [text: string, line: RegExp][] = [
  ["", /^error: Cannot read "model_index\.json": it is not valid JSON: /],
  ["{", /^error: Cannot read "model_index\.json": it is not valid JSON: /],
  ["[]", /^error: Cannot read "model_index\.json": it is not a JSON object$/m],
  ["null", /^error: Cannot read "model_index\.json": it is not a JSON object$/m],
  ['"transformer"', /^error: Cannot read "model_index\.json": it is not a JSON object$/m],
  [
    "{}",
    /^error: Cannot tell what predicts noise in the pipeline "[^"]+": it has no folder of a component that model_index\.json names, none of them/,
  ],
  [
    '{"transformer": ["diffusers", "T"], "transformer": [null, null]}',
    /^error: Cannot read "model_index\.json": it is not valid JSON: /,
  ],
  // A denoiser must be a list that names a class.
  ['{"transformer": "T", "vae": ["d", "V"]}', /it has "vae", none of them transformer, /],
  ['{"transformer": [], "vae": ["d", "V"]}', /it has "vae", none of them transformer, /],
  [
    '{"unet": ["diffusers", "UNet2DConditionModel"]}',
    /^error: Component not found: "unet" in the pipeline "[^"]+": model_index\.json names it, but its folder holds no file: download it again$/m,
  ],
];

Deno.test("an index of a pipeline that is none is refused", async () => {
  for (const [text, line] of BAD_INDEXES) {
    await withPipeline(
      { "pipe/model_index.json": text },
      (paths) => assertRefused(paths, [], line),
    );
  }
  const latin = new Uint8Array([0x7b, 0xff, 0x7d]);
  await withPipeline(
    { "pipe/model_index.json": latin },
    (paths) =>
      assertRefused(
        paths,
        [],
        'Cannot read "model_index.json": it is not valid JSON: Invalid UTF-8 at byte 1',
      ),
  );
});

Deno.test("hostile names in the index of a pipeline lead nowhere", async () => {
  const hostile = [
    "../outside",
    "/etc",
    "a/b",
    "a\u0000b",
    "\u001b[31m",
    "\u202evae",
    "",
    ".",
    "..",
  ];
  const entries = Object.fromEntries(hostile.map((name) => [name, ["diffusers", "T"]]));
  const more = {
    "pipe/model_index.json": pipelineIndex(entries),
    "pipe/a/b/weights.safetensors": encodeFile([matrix("x.weight", 4, 16, noise(1))]),
    "outside/weights.safetensors": encodeFile([matrix("x.weight", 4, 16, noise(1))]),
  };
  await withPipeline(more, async ({ pipe, out, run }) => {
    const { parts, sideFiles, leftOut } = openSource(pipe, []);
    assert.deepEqual(parts.map(({ component }) => component), ["transformer", "transformer_2"]);
    assert.ok([...sideFiles, ...leftOut].every((name) => !/^[./]|outside|\/\.\./.test(name)));
    assert.ok(leftOut.includes("a/b/weights.safetensors"));
    const { code, stderr } = await runMain(...run);
    assert.equal(code, 0, stderr);
    assert.deepEqual(namesIn(out), [
      "README.md",
      "assets",
      "model_index.json",
      "scheduler",
      "text_encoder",
      "tokenizer",
      "transformer",
      "transformer_2",
      "vae",
    ]);
  });
  // Nor are they repeated raw in a message, and no list of them is endless.
  const many = Object.fromEntries(
    Array.from({ length: 500 }, (_, i) => [`c${i}\u001b[2J`, ["diffusers", "T"]]),
  );
  const folders = Object.fromEntries(
    Object.keys(many).map((name) => [`pipe/${name}/config.json`, "{}"]),
  );
  await withPipeline(
    { ...folders, "pipe/model_index.json": pipelineIndex(many) },
    async (paths) => {
      await assertRefused(paths, ["--component", "unet"], /^error: Component not found: "unet"/);
      const { stderr } = await runMain(...paths.run, "--component", "unet");
      assert.ok(stderr.length < 1500, `${stderr.length} characters`);
    },
  );
});

Deno.test("a component whose folder is gone or empty is named", async () => {
  await withPipeline({}, async (paths) => {
    Deno.removeSync(join(paths.pipe, "transformer_2"), { recursive: true });
    const line = `Component not found: "transformer_2" in the pipeline "${paths.pipe}": ` +
      "model_index.json names it, but its folder holds no file: download it again";
    await assertRefused(paths, [], line);
    Deno.mkdirSync(join(paths.pipe, "transformer_2"));
    await assertRefused(paths, [], line);
    // A file in its place is no folder.
    Deno.removeSync(join(paths.pipe, "transformer_2"));
    Deno.writeTextFileSync(join(paths.pipe, "transformer_2"), "{}");
    await assertRefused(paths, [], line);
  });
});

Deno.test("a component that is quantized already, damaged or empty is named", async () => {
  const config = { quantization_config: { quant_method: "sdnq" } };
  const again = "quantizing twice would lose quality: start from the original model";
  await withPipeline(
    { "pipe/transformer_2/config.json": JSON.stringify(config) },
    (paths) =>
      assertRefused(
        paths,
        [],
        'The model "pipe/transformer_2" is already quantized: its config.json has a ' +
          `quantization_config: ${again}`,
      ),
  );
  await withPipeline(
    { "pipe/transformer/time_groups.isotherm": "" },
    (paths) =>
      assertRefused(
        paths,
        [],
        'The model "pipe/transformer" is already quantized: it holds "time_groups.isotherm", ' +
          `which a run writes: ${again}`,
      ),
  );
  const weights = "pipe/transformer/diffusion_pytorch_model.safetensors";
  for (const name of ["a.weight_packed", "a.qweight", "a.comfy_quant"]) {
    const file = encodeFile([
      matrix("b.weight", 8, 32, noise(1)),
      { ...matrix(name, 1, 4, noise(1)), dtype: "U8", shape: [16] },
    ]);
    await withPipeline(
      { [weights]: file },
      (paths) =>
        assertRefused(
          paths,
          [],
          'The model "pipe/transformer" is already quantized: ' +
            `"diffusion_pytorch_model.safetensors" holds "${name}": ${again}`,
        ),
    );
  }
  await withPipeline(
    { [weights]: new Uint8Array(7) },
    (paths) =>
      assertRefused(paths, [], /^error: Cannot read "diffusion_pytorch_model\.safetensors": /),
  );
  await withPipeline(
    { [weights]: encodeFile([matrix("a.bias", 8, 32, noise(1))]) },
    (paths) =>
      assertRefused(
        paths,
        [],
        'Nothing to quantize in "pipe/transformer": 1 tensor left as it is, as "a.bias" (not named ' +
          "*.weight): layers are matrices named *.weight: rename it if it is one",
      ),
  );
});

Deno.test("links that leave a pipeline are refused", async () => {
  const files = { "secret.txt": "SECRET", "elsewhere/config.json": "{}" };
  await withPipeline(files, async (paths) => {
    const link = join(paths.pipe, "vae/link.json");
    Deno.symlinkSync("../../secret.txt", link);
    await assertRefused(
      paths,
      [],
      'Refused to follow "vae/link.json": the link leaves the model directory: ' +
        "replace it with the file itself",
    );
    Deno.removeSync(link);
    Deno.symlinkSync("../elsewhere", join(paths.pipe, "unet"));
    const { code, stderr } = await runMain(...paths.run);
    assert.equal(code, 2);
    assert.match(stderr, /^error: Refused to follow "unet": the link leaves[^\n]+\n$/);
    Deno.removeSync(join(paths.pipe, "unet"));
    // One that stays in the pipeline and leaves the component is read only where it belongs to none.
    Deno.symlinkSync("../vae/config.json", join(paths.pipe, "transformer/vae.json"));
    await assertRefused(paths, [], /^error: Refused to follow "vae\.json": the link leaves/);
  });
});

Deno.test("an output inside the pipeline is refused, and one that holds it", async () => {
  await withPipeline({}, async ({ root, pipe }) => {
    const before = stateOf(root);
    for (const out of [join(pipe, "out"), join(pipe, "vae"), pipe, root]) {
      const run = ["--model", pipe, "--output", out, "--report", join(root, "r.json")];
      const { code, stderr } = await runMain(...run, "--overwrite");
      assert.equal(code, 2);
      assert.match(stderr, /^error: Cannot write the output "[^\n]+: give another --output$/m);
      assert.deepEqual(stateOf(root), before);
    }
  });
});

/** Runs a program; Deno itself opens nothing below /dev without all permissions. */
function shell(program: string, ...args: string[]): string {
  const { code, stdout } = new Deno.Command(program, { args }).outputSync();
  assert.equal(code, 0, program);
  return new TextDecoder().decode(stdout).trimEnd();
}

Deno.test({
  name: "--link into another file system is refused at once, and nothing stays",
  ignore: Deno.build.os !== "linux", // the others have no /dev/shm
  fn: () =>
    withPipeline({}, async ({ pipe, run }) => {
      const elsewhere = shell("mktemp", "-d", "-p", "/dev/shm");
      try {
        const flags = run.map((text, i) =>
          run[i - 1] === "--output" ? join(elsewhere, "out") : text
        );
        const permissions = ["--allow-all"];
        const refused = await outcomeOf(spawnCli([...flags, "--link"], { permissions }));
        assert.deepEqual([refused.code, refused.stdout], [2, ""]);
        assert.match(
          refused.stderr,
          /^error: Cannot link "README\.md": [^\n]+: leave --link out to copy it\n$/m,
        );
        assert.doesNotMatch(refused.stderr, /os error/);
        assert.equal(shell("ls", "-A", elsewhere), "");
        const copied = await outcomeOf(spawnCli(flags, { permissions }));
        assert.equal(copied.code, 0, copied.stderr);
      } finally {
        shell("rm", "-r", elsewhere);
      }
      assert.equal(Deno.statSync(join(pipe, "README.md")).nlink, 1);
    }),
});

Deno.test("--link without the permission to write to the source is refused at once", async () => {
  await withPipeline({ "made/keep.txt": "" }, async ({ root, pipe }) => {
    const made = join(root, "made");
    const run = ["--model", pipe, "--output", join(made, "out"), "--report", join(made, "r.json")];
    const permissions = ["--allow-read", `--allow-write=${made}`];
    const refused = await outcomeOf(spawnCli([...run, "--link"], { permissions }));
    assert.deepEqual([refused.code, refused.stdout], [2, ""]);
    assert.match(
      refused.stderr,
      /^error: Cannot link "README\.md": Deno was not given the permission: add --allow-write for this path: leave --link out to copy it\n$/m,
    );
    assert.deepEqual(namesIn(made), ["keep.txt"]);
  });
});

Deno.test("quantizeModel() links where it is told to, and refuses what is no switch", async () => {
  await withPipeline({}, async ({ pipe, out }) => {
    const settings = { ...DEFAULT_SETTINGS, bits: 4 as const };
    const odd: object = { ...settings, link: "yes" };
    await assert.rejects(quantizeModel(pipe, out, odd as typeof settings), {
      message: '--link is the text "yes", must be true or false',
    });
    await quantizeModel(pipe, out, { ...settings, link: true });
    const name = "vae/diffusion_pytorch_model.safetensors";
    assert.equal(Deno.statSync(join(out, name)).ino, Deno.statSync(join(pipe, name)).ino);
    await quantizeModel(pipe, out, { ...settings, link: false, overwrite: true });
    assert.notEqual(Deno.statSync(join(out, name)).ino, Deno.statSync(join(pipe, name)).ino);
  });
});

/** Files of a written pipeline and how each is changed, with what `verify` says of it. */
const DAMAGES: [what: string, change: (out: string) => void, line: string][] = [
  [
    "a byte of the VAE's weights",
    (out) => flip(join(out, "vae/diffusion_pytorch_model.safetensors"), -3),
    'the file "vae/diffusion_pytorch_model.safetensors" differs from the model\'s at byte LAST',
  ],
  [
    "a byte of a config that goes along",
    (out) => flip(join(out, "scheduler/scheduler_config.json"), 2),
    'the file "scheduler/scheduler_config.json" differs from the model\'s at byte 2',
  ],
  [
    "a file that is shorter",
    (out) => Deno.truncateSync(join(out, "tokenizer/vocab.json"), 4),
    'the file "tokenizer/vocab.json" has 4 bytes, the model\'s 9',
  ],
  [
    "a file that is gone",
    (out) => Deno.removeSync(join(out, "tokenizer/vocab.json")),
    'the file "tokenizer/vocab.json": no such file or directory',
  ],
  [
    "a component that is gone",
    (out) => Deno.removeSync(join(out, "text_encoder"), { recursive: true }),
    'the file "text_encoder/config.json": no such file or directory',
  ],
  [
    "a bias of a quantized component",
    (out) => flipTensor(out, "transformer_2", "blocks.0.attn.to_q.bias"),
    'tensor "blocks.0.attn.to_q.bias" differs from the model\'s at byte 3',
  ],
];

function flip(path: string, at: number): void {
  const bytes = Deno.readFileSync(path);
  const index = at < 0 ? bytes.length + at : at;
  bytes[index]! ^= 1;
  Deno.writeFileSync(path, bytes);
}

/** Changes the fourth byte of a tensor. */
function flipTensor(out: string, component: string, name: string): void {
  const path = join(out, component, "diffusion_pytorch_model.safetensors");
  const bytes = Deno.readFileSync(path);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  flip(path, 8 + length + header[name].data_offsets[0] + 3);
}

Deno.test("verify finds what differs in a pipeline, in components that were quantized or were not", async () => {
  for (const [what, change, line] of DAMAGES) {
    await withPipeline({}, async ({ pipe, out, run }) => {
      const { code, stderr } = await runMain(...run);
      assert.equal(code, 0, stderr);
      const whole = await runMain("verify", out, "--against", pipe);
      assert.equal(whole.code, 0, whole.stderr);
      assert.match(
        whole.stdout,
        /^Verified out \(compressed-tensors\): 6 layers decoded from disk\n/,
      );
      change(out);
      const found = await runMain("verify", out, "--against", pipe);
      assert.deepEqual([found.code, found.stdout], [2, ""], what);
      const last = Deno.statSync(join(pipe, "vae/diffusion_pytorch_model.safetensors")).size - 3;
      assert.equal(
        found.stderr,
        `error: Verification failed: ${line.replace("LAST", String(last))}\n`,
        what,
      );
    });
  }
});

Deno.test("verify compares large files piece by piece, and leaves what lies at the top alone", async () => {
  const size = 16 * 2 ** 20 + 1000;
  await withPipeline({ "pipe/vae/large.bin": new Uint8Array(size) }, async ({ pipe, out, run }) => {
    const { code, stderr } = await runMain(...run);
    assert.equal(code, 0, stderr);
    // A model card may be written anew.
    Deno.writeTextFileSync(join(out, "README.md"), "quantized\n");
    await verifyCheckpoint(out, pipe);
    flip(join(out, "vae/large.bin"), size - 10);
    await assert.rejects(verifyCheckpoint(out, pipe), {
      message: `Verification failed: the file "vae/large.bin" differs from the model's at byte ${
        size - 10
      }`,
    });
  });
});

Deno.test("verify takes a component of a pipeline against the model's component", async () => {
  await withPipeline({}, async ({ root, pipe, out, run }) => {
    const { code, stderr } = await runMain(...run);
    assert.equal(code, 0, stderr);
    const { layers, copied_tensor_count, schedule_count } = await verifyCheckpoint(
      join(out, "transformer"),
      join(pipe, "transformer"),
    );
    assert.deepEqual(layers.map(({ name }) => name), [
      "blocks.0.adaln",
      "blocks.0.attn.to_q",
      "blocks.0.ff",
    ]);
    assert.deepEqual([copied_tensor_count, schedule_count], [1, 3]);
    const whole = await verifyCheckpoint(out, pipe);
    assert.deepEqual(
      layers.map((layer) => ({ ...layer, name: `transformer/${layer.name}` })),
      whole.layers.slice(0, 3),
    );
    assert.deepEqual([whole.copied_tensor_count, whole.schedule_count], [2, 6]);
    // Against another one its weights are others, which shows in the quality and the copies.
    await assert.rejects(
      verifyCheckpoint(join(out, "transformer"), join(pipe, "vae")),
      /Cannot verify tensor "decoder\.mid\.to_q\.weight": the checkpoint holds neither it nor/,
    );
    await assert.rejects(verifyCheckpoint(out, join(pipe, "transformer")), BadInputError);
    await assert.rejects(
      verifyCheckpoint(pipe, pipe),
      {
        message: `Cannot verify the pipeline "${pipe}": none of its folders holds ` +
          "time_groups.isotherm, so none is quantized",
      },
    );
    assert.deepEqual(namesIn(root), ["out", "pipe", "r.json", "r.log"]);
  });
});

Deno.test("a pipeline's pipes and linked folders are left alone, and never opened", async () => {
  await withPipeline({}, async ({ pipe, out, run }) => {
    const vae = join(pipe, "vae/diffusion_pytorch_model.safetensors");
    Deno.removeSync(vae);
    assert.ok(new Deno.Command("mkfifo", { args: [vae] }).outputSync().success);
    Deno.symlinkSync(join(pipe, "assets"), join(pipe, "text_encoder/linked"));
    for (const flags of [[], ["--link", "--overwrite"]]) {
      const { code, stderr } = await runMain(...run, ...flags);
      assert.equal(code, 0, stderr);
      assert.ok(!namesIn(join(out, "vae")).includes("diffusion_pytorch_model.safetensors"));
      assert.ok(!namesIn(join(out, "text_encoder")).includes("linked"));
    }
  });
});

Deno.test("verify looks at the index of a pipeline and at what lies beside its weights", async () => {
  for (const name of ["model_index.json", "transformer/notes.txt"]) {
    await withPipeline({}, async ({ pipe, out, run }) => {
      const { code, stderr } = await runMain(...run);
      assert.equal(code, 0, stderr);
      await verifyCheckpoint(out, pipe);
      flip(join(out, name), 3);
      await assert.rejects(verifyCheckpoint(out, pipe), {
        message: `Verification failed: the file "${name}" differs from the model's at byte 3`,
      });
    });
  }
});

Deno.test("verify takes what was quantized before for a part of the source", async () => {
  await withPipeline({}, async ({ root, pipe, out, run }) => {
    const first = await runMain(...run, "--component", "text_encoder");
    assert.equal(first.code, 0, first.stderr);
    const second = join(root, "second");
    const { code, stderr } = await runMain(
      ...["--model", out, "--output", second, "--report", join(root, "r2.json")],
    );
    assert.equal(code, 0, stderr);
    const { layers } = await verifyCheckpoint(second, out);
    assert.ok(layers.every(({ name }) => name.startsWith("transformer")), stderr);
    await assert.rejects(verifyCheckpoint(second, join(pipe, "vae")), {
      message: `Cannot verify "${second}" against "${join(pipe, "vae")}": the checkpoint is a ` +
        "pipeline, the model is not: give both as a whole, or the same component of both",
    });
  });
});

Deno.test("a calibration is not used for two components whose layers have the same names", async () => {
  const square = new Float32Array(64).fill(1);
  const file = encodeCalibration({
    timesteps: [1],
    layers: new Map([["blocks.0.attn.to_q", { square }]]),
  });
  await withPipeline({ "c.safetensors": file }, async ({ root, pipe, run }) => {
    const calibration = join(root, "c.safetensors");
    const flags = ["--phase", "optimize", "--calibration", calibration];
    await assertRefused(
      { root, pipe, run },
      flags,
      `Cannot use calibration "${calibration}" for several components: more than one has a layer ` +
        '"blocks.0.attn.to_q": quantize them one by one with --component',
    );
    const { code, stderr } = await runMain(...run, ...flags, "--component", "transformer");
    assert.equal(code, 0, stderr);
  });
});
