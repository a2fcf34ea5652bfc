/** The dependency rules, checked on the real module graph. */

import assert from "node:assert/strict";
import { relative } from "node:path";

const ROOT = new URL("..", import.meta.url).pathname;

interface Module {
  specifier: string;
  dependencies?: {
    specifier: string;
    code?: { specifier?: string };
    type?: { specifier?: string };
  }[];
}

/** Imports of each module of the project, by path from its root. */
async function readGraph(): Promise<Map<string, string[]>> {
  const graph = new Map<string, string[]>();
  for (const entry of ["mod.ts", "cli.ts"]) {
    const { stdout, success } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", ROOT + entry],
    }).output();
    assert.ok(success);
    const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: Module[] };
    for (const { specifier, dependencies = [] } of modules) {
      if (!specifier.startsWith("file:")) continue;
      const imports = dependencies.map(({ specifier, code, type }) => {
        const target = code?.specifier ?? type?.specifier ?? specifier;
        return target.startsWith("file:") ? relative(ROOT, new URL(target).pathname) : target;
      });
      graph.set(relative(ROOT, new URL(specifier).pathname), imports);
    }
  }
  return graph;
}

const graph = await readGraph();
const sources = [...graph.keys()].filter((path) => path.endsWith(".ts"));

/** Files in lib/ that are stages: they know what they do, not when. */
const STAGES =
  /^lib\/(plan_time_groups|select_layers|estimate_params|score_smoothness|score_schedule|smooth_schedule|optimize_path|rate_block|quantize_layer|optimize_layer|smooth_layer|plan_checkpoint|describe_quantization|write_checkpoint|write_time_groups|verify_checkpoint)\.ts$/;

/** Files that may touch the outside world. */
const OUTSIDE =
  /^(cli\.ts|lib\/(safetensors\/(read|write)|model\/list_model_files|stage_output|describe_io_error|write_checkpoint|gate\/load_report|write_all|backends\/worker_pool)\.ts)$/;

Deno.test("no module imports what it may not", () => {
  const rules: { from: RegExp; never: RegExp; why: string }[] = [
    { from: /^lib\//, never: /^(cli|mod)\.ts$/, why: "the library never imports its entry points" },
    {
      from: /^lib\/backends\//,
      never: /select|score|time_group|model\//,
      why: "backends know blocks",
    },
    {
      from: /^lib\/safetensors\//,
      never: /^lib\/(?!safetensors|errors|escape_text|describe_io)/,
      why: "the format stands alone",
    },
    { from: /score_smoothness/, never: /backends|safetensors/, why: "scores never see weights" },
    {
      from: STAGES,
      never: /pipeline|commands|parse_args/,
      why: "only the pipeline knows the order",
    },
    { from: /^lib\/(?!commands)/, never: /commands/, why: "commands are the outermost ring" },
    { from: /./, never: /^(jsr:|https?:)/, why: "such imports fail behind an npm mirror" },
    { from: /./, never: /utils\.ts$|\/index\.ts$/, why: "a file is named by what it does" },
  ];
  for (const [path, imports] of graph) {
    for (const { from, never, why } of rules) {
      const bad = from.test(path) ? imports.filter((one) => never.test(one)) : [];
      assert.deepEqual(bad, [], `${path}: ${why}`);
    }
  }
});

Deno.test("no two modules import each other, however indirectly", () => {
  const state = new Map<string, "open" | "done">();
  const visit = (path: string, trail: string[]): void => {
    if (state.get(path) === "done") return;
    assert.notEqual(state.get(path), "open", `a cycle: ${[...trail, path].join(" -> ")}`);
    state.set(path, "open");
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    state.set(path, "done");
  };
  for (const path of graph.keys()) visit(path, []);
});

Deno.test("Deno's own functions are called only at the edges", () => {
  for (const path of sources) {
    // An example in a comment may show how a program calls the library.
    const text = Deno.readTextFileSync(ROOT + path).replace(/\/\*[\s\S]*?\*\//g, "");
    if (!OUTSIDE.test(path)) assert.ok(!/\bDeno\./.test(text), `${path} calls Deno`);
  }
});

Deno.test("every npm import names an exact version", () => {
  for (const [path, imports] of graph) {
    for (const name of imports.filter((one) => one.startsWith("npm:"))) {
      assert.match(name, /@\d+\.\d+\.\d+(\/|$)/, path);
    }
  }
});

Deno.test("source files stay small", () => {
  for (const path of sources) {
    const lines = Deno.readTextFileSync(ROOT + path).split("\n").length;
    assert.ok(lines <= 340, `${path} has ${lines} lines: split it`);
  }
});
