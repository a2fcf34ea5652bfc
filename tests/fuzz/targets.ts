/** What is fuzzed: documents, the files around them, and the commands that read them. */

import { join } from "node:path";
import { type Files, shardedModel, smallModel } from "../directories.ts";
import { calibrationFile, f32 } from "../hostile_calibrations.ts";
import { encodeFile, matrix, noise, withFiles } from "../make_model.ts";
import { runMain } from "../run_cli.ts";
import type { Layout } from "./mutate.ts";

/** A kind of document. */
export interface Target {
  /** How it is laid out. */
  layout: Layout;
  /** Where it stands. */
  path: string;
  /** A whole one. */
  seed: Uint8Array;
  /** The other files. */
  files: Files;
  /**
   * Commands that read it, `ROOT` for the directory. One that names `out` as its output is followed by
   * `verify`, which has to agree.
   */
  commands: string[][];
}

const RUN = ["--model", "ROOT/m", "--output", "ROOT/out", "--report", "ROOT/r.json"];

const MODEL = smallModel("m");

/** The model without a file, and that file. */
function without(files: Files, path: string): { seed: Uint8Array; files: Files; path: string } {
  const { [path]: content, ...others } = files;
  const seed = typeof content === "string" ? new TextEncoder().encode(content) : content!;
  return { seed, files: others, path };
}

const RULES = {
  rules: [
    { metric: "sqnr_db", absolute: 0.5, level: "warn" },
    { metric: "layers[blocks.*].sqnr_db", absolute: 1, direction: "higher" },
    { metric: "smoothness_score", relative: 0.1, must_not_move: false },
  ],
};

const CONFIG = JSON.stringify({
  model_type: "tiny",
  architectures: ["Tiny"],
  hidden_size: 32,
  rope_theta: 1e6,
  nested: { list: [1, 2.5, null] },
});

/** Makes all kinds, with documents as runs write them. */
export async function makeTargets(): Promise<Map<string, Target>> {
  const made = await makeDocuments();
  const { report, history } = made;
  const good = { "good.json": report };
  const calibrated = {
    "m/model.safetensors": encodeFile([matrix("a.weight", 8, 3, noise(1))]),
  };
  const output = Object.fromEntries(
    Object.entries(made.output).map(([name, bytes]) => [`out/${name}`, bytes]),
  );
  const verified = { ...MODEL, ...output };
  const verify = [["verify", "ROOT/out", "--against", "ROOT/m"], ["inspect", "ROOT/out"]];
  const asJson = { layout: "json", path: "x.json" } as const;
  return new Map<string, Target>([
    ["header", {
      layout: "safetensors",
      ...without(MODEL, "m/model.safetensors"),
      commands: [RUN],
    }],
    ["index", {
      layout: "json",
      ...without(shardedModel("m"), "m/model.safetensors.index.json"),
      commands: [RUN],
    }],
    ["config", {
      layout: "json",
      ...without({ ...MODEL, "m/config.json": CONFIG }, "m/config.json"),
      commands: [RUN, ["inspect", "ROOT/m", "--format", "sdnq"]],
    }],
    ["calibration", {
      layout: "safetensors",
      path: "c.safetensors",
      seed: calibrationFile([f32("a.input_square", [1, 4, 9, 1, 2, 3], [2, 3])]),
      files: calibrated,
      commands: [[...RUN, "--phase", "optimize", "--calibration", "ROOT/c.safetensors"]],
    }],
    ["report", {
      ...asJson,
      seed: report,
      files: good,
      commands: [
        ["gate", "ROOT/good.json", "ROOT/x.json"],
        ["compare", "ROOT/good.json", "ROOT/x.json", "--html-report", "ROOT/p.html"],
        ["history", "append", "ROOT/x.json", "--to", "ROOT/h.jsonl"],
      ],
    }],
    ["baseline", {
      ...asJson,
      seed: made.baseline,
      files: good,
      commands: [
        ["gate", "ROOT/x.json", "ROOT/good.json"],
        ["history", "append", "ROOT/good.json", "--to", "ROOT/h", "--baseline", "ROOT/x.json"],
      ],
    }],
    ["rules", {
      ...asJson,
      seed: new TextEncoder().encode(JSON.stringify(RULES)),
      files: good,
      commands: [["gate", "ROOT/good.json", "ROOT/good.json", "--rules", "ROOT/x.json"]],
    }],
    ["history", {
      layout: "lines",
      path: "h.jsonl",
      seed: history,
      files: good,
      commands: [
        ["history", "page", "ROOT/h.jsonl", "--html-report", "ROOT/p.html"],
        ["history", "badge", "ROOT/h.jsonl", "--to", "ROOT/b.json"],
        ["history", "append", "ROOT/good.json", "--to", "ROOT/h.jsonl", "--commit", "abcdef0"],
      ],
    }],
    ["checkpoint", {
      layout: "safetensors",
      ...without(verified, "out/model.safetensors"),
      commands: verify,
    }],
    ["quantization", {
      layout: "json",
      ...without(verified, "out/config.json"),
      commands: verify,
    }],
    ["time-groups", {
      layout: "safetensors",
      ...without(verified, "out/time_groups.isotherm"),
      commands: verify,
    }],
  ]);
}

/** Documents as the command line writes them. */
async function makeDocuments(): Promise<{
  report: Uint8Array;
  baseline: Uint8Array;
  history: Uint8Array;
  output: Record<string, Uint8Array>;
}> {
  const { promise, resolve } = Promise.withResolvers<Awaited<ReturnType<typeof makeDocuments>>>();
  await withFiles(MODEL, async (root) => {
    const run = async (...argv: string[]) => {
      const { code, stderr } = await runMain(...argv.map((arg) => arg.replace("ROOT", root)));
      if (code !== 0) throw new Error(stderr);
    };
    await run(...RUN, "--phase", "smooth");
    await run("baseline", "update", "ROOT/r.json", "--to", "ROOT/b.json");
    for (const commit of ["abcdef0", "abcdef1"]) {
      const more = commit.endsWith("1") ? ["--baseline", "ROOT/b.json"] : [];
      await run("history", "append", "ROOT/r.json", "--to", "ROOT/h", "--commit", commit, ...more);
    }
    const read = (name: string) => Deno.readFileSync(join(root, name));
    const names = [...Deno.readDirSync(join(root, "out"))].map(({ name }) => name);
    resolve({
      report: read("r.json"),
      baseline: read("b.json"),
      history: read("h"),
      output: Object.fromEntries(names.map((name) => [name, read(join("out", name))])),
    });
  });
  return await promise;
}
