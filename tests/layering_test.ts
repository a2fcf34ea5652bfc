/** The dependency rules, checked on the real module graph. */

import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/**
 * What lib/ is made of, from the ground up: a folder may import from itself and from what stands before
 * it. So no arrow goes up, and no folders form a circle.
 */
const FLOORS = [
  "base",
  "safetensors",
  "types.ts",
  "settings",
  "model",
  "calibration",
  "plan",
  "params",
  "compute",
  "format",
  "jobs",
  "layer",
  "report",
  "run",
  "compare",
  "gate",
  "history",
  "render",
  "cli",
];

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
  // The worker is named by its address, not imported.
  for (const entry of ["mod.ts", "cli.ts", "lib/jobs/worker.ts"]) {
    const { stdout, success } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", join(ROOT, entry)],
    }).output();
    assert.ok(success);
    const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: Module[] };
    for (const { specifier, dependencies = [] } of modules) {
      if (!specifier.startsWith("file:")) continue;
      const imports = dependencies.map(({ specifier, code, type }) => {
        const target = code?.specifier ?? type?.specifier ?? specifier;
        return target.startsWith("file:") ? relative(ROOT, fileURLToPath(target)) : target;
      });
      graph.set(relative(ROOT, fileURLToPath(specifier)), imports);
    }
  }
  return graph;
}

const graph = await readGraph();
const sources = [...graph.keys()].filter((path) => path.endsWith(".ts"));

/** The floor of a file of lib/: its folder, or the file itself. */
function floorOf(path: string): number {
  const name = path.split("/")[1]!;
  const floor = FLOORS.indexOf(name);
  assert.ok(floor >= 0, `${path} stands on no floor: add ${name} where it belongs`);
  return floor;
}

/** The file that makes all calls to the file system. */
const DISK = "lib/base/disk.ts";

/** Files that may use `Deno` otherwise: what of it, and nothing else. */
const OUTSIDE = new Map([
  ["cli.ts", /Deno\.\w+/g],
  [DISK, /Deno\.\w+/g],
  ["lib/base/describe_io_error.ts", /Deno\.errors\b/g],
  ["lib/jobs/webgpu.ts", /Deno\.(permissions|env)\b/g],
  ["lib/jobs/worker_pool.ts", /Deno\.permissions\b/g],
]);

/** The files of lib/jobs that are a backend, and not a kind of job. */
const BACKEND =
  /^lib\/jobs\/(backend|desk|inline|messages|open_backend|open_files|slice|webgpu|with_fallback|worker|worker_pool)\.ts$/;

Deno.test("lib/ is made of these folders, and every one is used", () => {
  const found = [...Deno.readDirSync(join(ROOT, "lib"))].map(({ name }) => name);
  assert.deepEqual(found.sort(), [...FLOORS].sort());
});

Deno.test("no file imports from a folder above its own", () => {
  for (const [path, imports] of graph) {
    if (!path.startsWith("lib/")) continue;
    const inside = imports.filter((one) => one.startsWith("lib/"));
    const above = inside.filter((one) => floorOf(one) > floorOf(path));
    assert.deepEqual(above, [], path);
  }
});

Deno.test("no module imports what it may not", () => {
  const rules: { from: RegExp; never: RegExp; why: string }[] = [
    { from: /^lib\//, never: /^(cli|mod)\.ts$/, why: "the library never imports its entry points" },
    { from: /^lib\/params\//, never: /\/(read|write|header)\.ts$/, why: "parameters see no files" },
    { from: /^lib\/compute\//, never: /^lib\/(params|plan|model)\//, why: "kernels know blocks" },
    { from: BACKEND, never: /^lib\/(params|plan|model)\//, why: "a backend runs whatever job" },
    { from: /^lib\/jobs\//, never: /^lib\/(plan|model)\//, why: "jobs know slices, not layers" },
    {
      from: /^lib\/(compare|gate|history)\//,
      never: /^lib\/(model|plan|compute|jobs|format|layer|run)\//,
      why: "what judges reports reads reports only",
    },
    {
      from: /^lib\/(?!run|cli)/,
      never: /^lib\/run\/(pipeline|write|plan_run|check_plan|check_output|pending|put_in_place)/,
      why: "only the pipeline and the commands know the order",
    },
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

/** A source file without comments: an example in one may show how a program calls the library. */
function codeOf(path: string): string {
  const text = Deno.readTextFileSync(join(ROOT, path));
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

Deno.test("files are called through one module, and Deno's other functions at the edges only", () => {
  for (const path of sources) {
    const code = codeOf(path).replace(OUTSIDE.get(path) ?? /(?!)/g, "");
    assert.ok(!/\bDeno\s*[.[;,)]/.test(code), `${path} calls Deno`);
    if (path !== DISK) {
      assert.ok(
        !/\bnode:(fs|process|child_process|worker_threads)\b/.test(code),
        `${path} calls Node`,
      );
    }
  }
  for (const path of OUTSIDE.keys()) assert.ok(graph.has(path), `${path} is gone`);
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
    const lines = Deno.readTextFileSync(join(ROOT, path)).split("\n").length;
    assert.ok(lines <= 320, `${path} has ${lines} lines: split it`);
  }
});
