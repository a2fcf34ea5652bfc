/** Pipelines: what of one is quantized, what goes along, what the report says of it, and how it is verified. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Report } from "../mod.ts";
import { readTimeGroups } from "../lib/run/read_time_groups.ts";
import { contentOf, stateOf, treeOf } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { pipelineFiles, pipelineIndex } from "./pipeline_model.ts";
import { runMain } from "./run_cli.ts";

/** Files of the pipeline that any run leaves out: of no component, or of another layout. */
const LEFT_OUT = ["assets/lora.safetensors", "flux1.safetensors"];

/** Files of the pipeline without its folder, sorted. */
const ALL = Object.keys(pipelineFiles("")).map((name) => name.slice(1)).sort();

/** What a run that quantizes these components writes. */
function expectedFiles(components: readonly string[]): string[] {
  const inParts = components.flatMap((component) => [`${component}/time_groups.isotherm`]);
  const isLeft = (name: string) =>
    LEFT_OUT.includes(name) || name.endsWith(".bin") && components.includes("transformer");
  return [...ALL.filter((name) => !isLeft(name)), ...inParts].sort();
}

interface Paths {
  root: string;
  pipe: string;
  out: string;
  report: string;
}

/** Makes the pipeline and quantizes it with these flags. */
function withRun(
  flags: readonly string[],
  use: (paths: Paths, report: Report, stderr: string) => void | Promise<void>,
): Promise<void> {
  return withFiles(pipelineFiles(), async (root) => {
    const [pipe, out, report] = ["pipe", "out", "r.json"].map((name) => join(root, name));
    const paths = { root, pipe: pipe!, out: out!, report: report! };
    const before = stateOf(pipe!);
    const { code, stderr } = await runMain(...runOf(paths), ...flags);
    assert.equal(code, 0, stderr);
    assert.deepEqual(stateOf(pipe!), before);
    await use(paths, JSON.parse(Deno.readTextFileSync(report!)), stderr);
  });
}

function runOf({ pipe, out, report }: Omit<Paths, "root">): string[] {
  return ["--model", pipe, "--output", out, "--report", report, "--bit-width", "4"];
}

function filesOf(directory: string): string[] {
  return treeOf(directory).filter((path) => !path.endsWith("/"));
}

/** The files of a run on everything but weights, configs and indexes of its components, which are the model's. */
function assertTakenOver({ pipe, out }: Paths, components: readonly string[]): void {
  const [own, copy] = [contentOf(pipe), contentOf(out)];
  const isChanged = (name: string) =>
    components.some((one) =>
      name.startsWith(`${one}/`) && /(config|index)\.json$|\.safetensors$|\.isotherm$/.test(name)
    );
  for (const [name, content] of copy) {
    assert.equal(own.get(name) === content, !isChanged(name), name);
  }
}

Deno.test("a run on a pipeline quantizes its denoisers and takes over the others", async () => {
  await withRun([], (paths, report, stderr) => {
    const components = ["transformer", "transformer_2"];
    assert.deepEqual(filesOf(paths.out), expectedFiles(components));
    assertTakenOver(paths, components);
    assert.deepEqual(
      report.layers.map(({ name }) => name),
      components.flatMap((one) =>
        ["adaln", "attn.to_q", "ff"].map((layer) => `${one}/blocks.0.${layer}`)
      ),
    );
    assert.deepEqual(
      report.skipped,
      components.map((one) => ({
        name: `${one}/blocks.0.attn.to_q.bias`,
        reason: "not a matrix (rank 1)",
      })),
    );
    assert.equal(report.model_name, "pipe");
    assert.match(
      stderr,
      /^Warning: --group-size 128, the default, does not suit the columns of 2 layers: the first, "transformer\/blocks\.0\.attn\.to_q", takes one block a row\nNot copied: "assets\/lora\.safetensors", "flux1\.safetensors", "transformer\/diffusion_pytorch_model\.bin"\nQuantizing pipe \(transformer, transformer_2\): 6 layers to INT4, 4 time groups, by rows, blocks of 128, 2 tensors left as they are, for compressed-tensors\n/,
    );
    for (const component of components) {
      const groups = readTimeGroups(join(paths.out, component));
      assert.deepEqual(
        groups?.layers.map(({ name }) => name),
        ["blocks.0.adaln", "blocks.0.attn.to_q", "blocks.0.ff"],
      );
      const path = join(paths.out, component, "config.json");
      const config = JSON.parse(Deno.readTextFileSync(path));
      assert.equal(config._class_name, "TinyTransformer2DModel");
      assert.equal(config.quantization_config.quant_method, "compressed-tensors");
    }
  });
});

Deno.test("--component says which components are quantized, sharded ones as well", async () => {
  const components = ["text_encoder", "vae"];
  const flags = components.flatMap((one) => ["--component", one]);
  await withRun(flags, async (paths, report, stderr) => {
    assert.deepEqual(filesOf(paths.out), expectedFiles(components));
    assertTakenOver(paths, components);
    assert.deepEqual(report.layers.map(({ name }) => name), [
      "text_encoder/layers.0.fc",
      "text_encoder/layers.1.fc",
      "vae/decoder.mid.to_q",
    ]);
    assert.deepEqual(report.components?.map(({ name }) => name), components);
    assert.match(stderr, /^Quantizing pipe \(text_encoder, vae\): 3 layers/m);
    const verified = await runMain("verify", paths.out, "--against", paths.pipe, "--json");
    assert.equal(verified.code, 0, verified.stderr);
    const { layers, copied_tensor_count, schedule_count } = JSON.parse(verified.stdout);
    assert.deepEqual(
      [layers.map(({ name }: { name: string }) => name), copied_tensor_count, schedule_count],
      [report.layers.map(({ name }) => name), 0, 3],
    );
  });
});

/** Figures of a whole report that `components` has as well. */
const FIGURES = [
  "parameter_count",
  "quantized_parameter_count",
  "bits_per_weight",
  "compression_ratio",
  "model_size_mb",
  "smoothness_score",
  "violation_count",
  "cosine_similarity",
  "sqnr_db",
] as const;

Deno.test("figures of a component are those of a run on it alone, and the report's those of all", async () => {
  await withRun(["--phase", "smooth"], async (paths, report) => {
    const parts = report.components ?? [];
    assert.deepEqual(parts.map(({ name }) => name), ["transformer", "transformer_2"]);
    const alone: Report[] = [];
    for (const part of parts) {
      const single = join(paths.root, part.name);
      const { code, stderr } = await runMain(
        ...runOf({
          pipe: join(paths.pipe, part.name),
          out: single,
          report: join(paths.root, `${part.name}.json`),
        }),
        ...["--phase", "smooth"],
      );
      assert.equal(code, 0, stderr);
      const path = join(paths.root, `${part.name}.json`);
      const own: Report = JSON.parse(Deno.readTextFileSync(path));
      alone.push(own);
      assert.equal(own.components, undefined);
      for (const key of FIGURES) assert.equal(part[key], own[key], `${part.name}: ${key}`);
      assert.equal(part.layer_count, 3);
      const found = report.layers.filter(({ name }) => name.startsWith(`${part.name}/`));
      // The share of the error is of that of all components.
      const whole = found.reduce((all, { error_share }) => all + error_share!, 0);
      const shares = found.map(({ error_share }) => (error_share! / whole).toFixed(12));
      assert.deepEqual(shares, own.layers.map(({ error_share }) => error_share!.toFixed(12)));
      assert.deepEqual(
        found.map((layer) => ({ ...layer, error_share: 0 })),
        own.layers.map((layer) => ({
          ...layer,
          name: `${part.name}/${layer.name}`,
          error_share: 0,
        })),
      );
      // The same bytes, wherever the component lies.
      assert.deepEqual(
        [...contentOf(single)],
        [...contentOf(join(paths.out, part.name))],
      );
    }
    const sum = (key: "parameter_count" | "quantized_parameter_count" | "model_size_mb") =>
      alone.reduce((total, own) => total + own[key], 0);
    assert.equal(report.parameter_count, 2 * (16 * 64 + 16 + 24 * 128 + 8 * 32));
    assert.equal(report.quantized_parameter_count, 2 * (16 * 64 + 24 * 128 + 8 * 32));
    assert.equal(report.parameter_count, sum("parameter_count"));
    assert.equal(report.quantized_parameter_count, sum("quantized_parameter_count"));
    assert.ok(Math.abs(report.model_size_mb - sum("model_size_mb")) < 1e-12);
    const bytes = ["transformer", "transformer_2"].map((one) =>
      Deno.statSync(join(paths.out, one, "diffusion_pytorch_model.safetensors")).size
    ).reduce((a, b) => a + b);
    const sources = ["transformer", "transformer_2"].map((one) =>
      Deno.statSync(join(paths.pipe, one, "diffusion_pytorch_model.safetensors")).size
    ).reduce((a, b) => a + b);
    assert.equal(report.model_size_mb, bytes / 1e6);
    assert.equal(report.bits_per_weight, bytes * 8 / report.parameter_count);
    assert.equal(report.compression_ratio, sources / bytes);
    // Both have as many elements, so the score of each boundary of all is their mean.
    for (const [i, { scale_jump }] of report.boundary_jumps.entries()) {
      const mean = (alone[0]!.boundary_jumps[i]!.scale_jump +
        alone[1]!.boundary_jumps[i]!.scale_jump) / 2;
      assert.ok(Math.abs(scale_jump - mean) < 1e-12, `${scale_jump} ${mean}`);
    }
    const least = Math.min(...alone.map(({ sqnr_db }) => sqnr_db!));
    const most = Math.max(...alone.map(({ sqnr_db }) => sqnr_db!));
    assert.ok(least < report.sqnr_db! && report.sqnr_db! < most);
  });
});

Deno.test("--link gives the other files the inodes of the source, and copies otherwise", async () => {
  const inode = (directory: string, name: string) => Deno.statSync(join(directory, name)).ino;
  const linked = [
    "README.md",
    "model_index.json",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors.index.json",
    "transformer/notes.txt",
  ];
  const own = ["transformer/config.json", "transformer/diffusion_pytorch_model.safetensors"];
  await withRun(["--link"], async (paths) => {
    assert.deepEqual(filesOf(paths.out), expectedFiles(["transformer", "transformer_2"]));
    for (const name of linked) {
      assert.equal(inode(paths.out, name), inode(paths.pipe, name), name);
      assert.equal(Deno.statSync(join(paths.out, name)).nlink, 2, name);
    }
    for (const name of own) assert.notEqual(inode(paths.out, name), inode(paths.pipe, name), name);
    const { code, stderr } = await runMain("verify", paths.out, "--against", paths.pipe);
    assert.equal(code, 0, stderr);
    // An output of links may be replaced, and the source stays.
    const before = contentOf(paths.pipe);
    const again = await runMain(...runOf(paths), "--overwrite");
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(contentOf(paths.pipe), before);
    for (const name of linked) {
      assert.notEqual(inode(paths.out, name), inode(paths.pipe, name), name);
      assert.equal(Deno.statSync(join(paths.pipe, name)).nlink, 1, name);
    }
  });
});

Deno.test("an earlier output of a pipeline is replaced with --overwrite alone, its report inside", async () => {
  await withRun([], async (paths) => {
    const old = contentOf(paths.out);
    const refused = await runMain(...runOf(paths));
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /it exists and is not empty: give another, or --overwrite/);
    assert.deepEqual(contentOf(paths.out), old);
    const inside = { ...paths, report: join(paths.out, "reports/r.json") };
    const { code, stderr } = await runMain(...runOf(inside), "--overwrite", "--format", "sdnq");
    assert.equal(code, 0, stderr);
    assert.deepEqual(
      filesOf(paths.out),
      [...expectedFiles(["transformer", "transformer_2"]), "reports/r.json", "reports/r.log"]
        .sort(),
    );
    const verified = await runMain(
      ...["verify", paths.out, "--against", paths.pipe, "--report", inside.report],
    );
    assert.equal(verified.code, 0, verified.stderr);
    // Beside a component's files there is room; in the place of one there is none.
    for (const name of ["vae/config.json", "transformer/time_groups.isotherm", "vae"]) {
      const { code, stderr } = await runMain(
        ...runOf({ ...paths, report: join(paths.out, name) }),
        "--overwrite",
      );
      assert.equal(code, 2, name);
      assert.match(stderr, /: the checkpoint's "[^\n]*" goes there: give another --report\n$/);
    }
  });
});

Deno.test("a directory of folders that no run wrote is not replaced", async () => {
  await withFiles(pipelineFiles(), async (root) => {
    const paths = {
      pipe: join(root, "pipe"),
      out: join(root, "out"),
      report: join(root, "r.json"),
    };
    Deno.mkdirSync(join(paths.out, "a/b"), { recursive: true });
    // Two folders deep is no output's.
    Deno.writeTextFileSync(join(paths.out, "a/b/time_groups.isotherm"), "");
    const { code, stderr } = await runMain(...runOf(paths), "--overwrite");
    assert.equal(code, 2);
    assert.match(stderr, /holds no time_groups\.isotherm, so Isotherm did not write it/);
    assert.deepEqual(filesOf(paths.out), ["a/b/time_groups.isotherm"]);
  });
});

Deno.test("every format quantizes the components of a pipeline, or says which it cannot", async () => {
  for (const format of ["sdnq", "comfy", "compressed-tensors"]) {
    await withRun(["--format", format, "--symmetric"], async (paths, report) => {
      const verified = await runMain(
        ...["verify", paths.out, "--against", paths.pipe, "--report", paths.report],
      );
      assert.equal(verified.code, 0, verified.stderr);
      assert.match(verified.stdout, new RegExp(`^Verified out( \\(${format}\\))?: 6 layers`));
      assert.equal(report.format, format);
    });
  }
  const flux = { _class_name: "FluxTransformer2DModel" };
  const files = pipelineFiles();
  await withFiles(files, async (root) => {
    const paths = {
      pipe: join(root, "pipe"),
      out: join(root, "out"),
      report: join(root, "r.json"),
    };
    const flags = ["--format", "gguf"];
    const refused = await runMain(...runOf(paths), ...flags);
    assert.equal(refused.code, 2);
    assert.match(
      refused.stderr,
      /^error: Cannot write "pipe\/transformer" as GGUF: its architecture is none of flux, sd1, /,
    );
    for (const one of ["transformer", "transformer_2"]) {
      Deno.writeTextFileSync(join(paths.pipe, one, "config.json"), JSON.stringify(flux));
    }
    const { code, stderr } = await runMain(...runOf(paths), ...flags);
    assert.equal(code, 0, stderr);
    const gguf = filesOf(paths.out).filter((name) => name.endsWith(".gguf"));
    assert.deepEqual(gguf, ["transformer/transformer.gguf", "transformer_2/transformer_2.gguf"]);
    assert.ok(!filesOf(paths.out).includes("transformer/diffusion_pytorch_model.safetensors"));
    const verified = await runMain(
      ...["verify", paths.out, "--against", paths.pipe, "--report", paths.report],
    );
    assert.equal(verified.code, 0, verified.stderr);
  });
});

Deno.test("a pipeline in the Hugging Face cache is read through its links", async () => {
  const revision = "models--tiny--pipe/snapshots/0123abcd";
  const files = pipelineFiles();
  await withFiles({}, async (root) => {
    const blobs = join(root, "models--tiny--pipe/blobs");
    Deno.mkdirSync(blobs, { recursive: true });
    for (const [i, [name, content]] of Object.entries(files).entries()) {
      const blob = i.toString(16).padStart(40, "0");
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      Deno.writeFileSync(join(blobs, blob), bytes);
      const path = join(root, revision, name.slice("pipe/".length));
      Deno.mkdirSync(join(path, ".."), { recursive: true });
      const up = "../".repeat(name.split("/").length);
      Deno.symlinkSync(`${up}blobs/${blob}`, path);
    }
    const pipe = join(root, revision);
    for (const link of [[], ["--link"]]) {
      const paths = { pipe, out: join(root, `out${link.length}`), report: join(root, "r.json") };
      const { code, stderr } = await runMain(...runOf(paths), ...link, "--overwrite");
      assert.equal(code, 0, stderr);
      const report: Report = JSON.parse(Deno.readTextFileSync(paths.report));
      assert.equal(report.model_name, "tiny/pipe");
      assert.deepEqual(filesOf(paths.out), expectedFiles(["transformer", "transformer_2"]));
      for (const name of filesOf(paths.out)) {
        assert.ok(Deno.lstatSync(join(paths.out, name)).isFile, `${name} is no file of its own`);
      }
      const verified = await runMain(
        ...["verify", paths.out, "--against", pipe, "--report", paths.report],
      );
      assert.equal(verified.code, 0, verified.stderr);
    }
    const vae = "vae/diffusion_pytorch_model.safetensors";
    const blob = Deno.realPathSync(join(pipe, vae));
    assert.equal(Deno.statSync(join(root, "out1", vae)).ino, Deno.statSync(blob).ino);
  });
});

Deno.test("without a denoiser by name a pipeline is refused unless --component names one", async () => {
  const files = pipelineFiles();
  files["pipe/model_index.json"] = pipelineIndex({
    transformer: [null, null],
    transformer_2: undefined,
  });
  await withFiles(files, async (root) => {
    const paths = {
      pipe: join(root, "pipe"),
      out: join(root, "out"),
      report: join(root, "r.json"),
    };
    const { code, stderr } = await runMain(...runOf(paths));
    assert.equal(code, 2);
    assert.equal(
      stderr,
      `error: Cannot tell what predicts noise in the pipeline "${paths.pipe}": it has "scheduler", ` +
        '"text_encoder", "tokenizer", "vae", none of them transformer, transformer_2, unet: ' +
        "give --component\n",
    );
    const named = await runMain(...runOf(paths), "--component", "vae");
    assert.equal(named.code, 0, named.stderr);
    // What the index leaves out is no component, so that its weights stay behind.
    assert.deepEqual(
      filesOf(paths.out).filter((name) => name.startsWith("transformer")),
      ["transformer/config.json", "transformer/notes.txt", "transformer_2/config.json"],
    );
  });
});

Deno.test("of two denoisers the one that is there is quantized, and unet counts as one", async () => {
  const files = pipelineFiles();
  files["pipe/model_index.json"] = pipelineIndex({
    transformer: [null, null],
    transformer_2: undefined,
    unet: ["diffusers", "UNet2DConditionModel"],
  });
  for (const name of Object.keys(files).filter((name) => name.startsWith("pipe/transformer_2/"))) {
    files[name.replace("transformer_2", "unet")] = files[name]!;
  }
  await withFiles(files, async (root) => {
    const paths = {
      pipe: join(root, "pipe"),
      out: join(root, "out"),
      report: join(root, "r.json"),
    };
    const { code, stderr } = await runMain(...runOf(paths));
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^Quantizing pipe \(unet\): 3 layers/m);
  });
});

Deno.test("components may be quantized one run after the other, and are verified together", async () => {
  await withRun(["--component", "text_encoder"], async (paths) => {
    const second = { ...paths, pipe: paths.out, out: join(paths.root, "out2") };
    const { code, stderr } = await runMain(...runOf(second), "--overwrite", "--format", "sdnq");
    assert.equal(code, 0, stderr);
    const verified = await runMain("verify", second.out, "--against", paths.pipe, "--json");
    assert.equal(verified.code, 0, verified.stderr);
    const { layers, schedule_count } = JSON.parse(verified.stdout);
    assert.deepEqual([layers.length, schedule_count], [8, 8]);
  });
});

Deno.test("--ignore is said to match nothing where no component has a tensor of that name", async () => {
  const files = pipelineFiles();
  const path = "pipe/transformer_2/diffusion_pytorch_model.safetensors";
  files[path] = encodeFile([matrix("only.here.weight", 8, 64, noise(1))]);
  await withFiles(files, async (root) => {
    const flags = ["--ignore", "*.ff", "--ignore", "nowhere.*", "--json"];
    const { code, stdout, stderr } = await runMain("inspect", join(root, "pipe"), ...flags);
    assert.equal(code, 0);
    assert.equal(
      stderr.match(/^Warning: --ignore.*$/mg)?.join(),
      'Warning: --ignore "nowhere.*" matches no tensor',
    );
    const { layers, skipped } = JSON.parse(stdout);
    assert.deepEqual(layers.map(({ name }: { name: string }) => name), [
      "transformer/blocks.0.adaln",
      "transformer/blocks.0.attn.to_q",
      "transformer_2/only.here",
    ]);
    assert.equal(skipped[1].reason, 'ignored by "*.ff"');
  });
});
