/** The command line where nothing can be fetched any more, and what it fetches where that is possible. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { namesIn, withSmallModel, writeLargeModel } from "./directories.ts";
import { CLI, type Outcome } from "./run_cli.ts";
import { serveProject } from "./serve_project.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What `deno info --json` says. */
interface Graph {
  /** Where packages are cached; given where no entry point is asked about. */
  npmCache: string;
  /** Modules; those of packages say whose they are. */
  modules: { npmPackage?: string }[];
  /** Packages of the lock file by name and version. */
  npmPackages?: Record<string, { dependencies: string[] }>;
}

/** Asks about an entry point, or about Deno itself. */
async function readGraph(entry?: string, lock = "deno.lock"): Promise<Graph> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", ...entry === undefined ? [] : ["--lock", ROOT + lock, ROOT + entry]],
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout)) as Graph;
}

/** Addresses at which nothing listens, for all but this machine itself. */
const NO_NETWORK = {
  HTTP_PROXY: "http://127.0.0.1:9",
  HTTPS_PROXY: "http://127.0.0.1:9",
  NO_PROXY: "127.0.0.1",
  XDG_RUNTIME_DIR: "/tmp",
};

/** Runs Deno without a network, with a cache of its own; `cwd` decides about the lock file of `deno cache`. */
async function runDeno(cache: string, cwd: string, ...args: string[]): Promise<Outcome> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd,
    env: { ...NO_NETWORK, DENO_DIR: cache },
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/** Packages that an entry point can import, by name and version: Deno fetches them before the first line runs. */
async function packagesOf(entry: string, lock: string): Promise<string[]> {
  const { modules, npmPackages = {} } = await readGraph(entry, lock);
  const found = new Set(modules.flatMap(({ npmPackage = [] }) => npmPackage));
  // What is added while the set is walked is walked as well.
  for (const one of found) npmPackages[one]!.dependencies.forEach((name) => found.add(name));
  return [...found].sort();
}

/** Copies these packages from the tests' own cache: it stands in for a network when a cache is filled. */
async function copyPackages(names: readonly string[], cache: string): Promise<void> {
  const { npmCache } = await readGraph();
  for (const { name: registry } of Deno.readDirSync(npmCache)) {
    for (const name of names) {
      copyTree(join(npmCache, registry, name), join(cache, "npm", registry, name));
    }
  }
}

function copyTree(from: string, to: string): void {
  if (!Deno.statSync(from).isDirectory) return Deno.copyFileSync(from, to);
  Deno.mkdirSync(to, { recursive: true });
  for (const { name } of Deno.readDirSync(from)) copyTree(join(from, name), join(to, name));
}

/** Entry points by the lock file they run with. */
const LOCKS: Record<string, string[]> = {
  "deno.lock": ["cli.ts", "mod.ts", "examples/demo.ts"],
  "action/deno.lock": ["action/main.ts"],
};

for (const [lock, entries] of Object.entries(LOCKS)) {
  Deno.test(`${lock} holds what ${entries.join(", ")} can import and nothing else`, async () => {
    const { npm } = JSON.parse(Deno.readTextFileSync(ROOT + lock)) as { npm: object };
    const wanted = await Promise.all(entries.map((entry) => packagesOf(entry, lock)));
    assert.deepEqual(Object.keys(npm).sort(), [...new Set(wanted.flat())].sort());
  });
}

Deno.test("the command line can import four packages, and fetches no more", async () => {
  assert.deepEqual(await packagesOf("cli.ts", "deno.lock"), [
    "eta@4.6.0",
    "fastest-levenshtein@1.0.16",
    "re2js@2.10.0",
    "uplot@1.6.32",
  ]);
});

/** Ways to fill the cache: what a user would have run before the network went away. */
const BEFORE = {
  "deno cache": (flags: string[], cli: string) => ["cache", ...flags, cli],
  "a plain run": (flags: string[], cli: string) => ["run", ...flags, cli, "--version"],
};

/**
 * Fills a cache with the program, from its file or from an address that is gone afterwards.
 *
 * @returns The arguments that start it from the cache alone.
 */
async function fillCache(
  cache: string,
  cwd: string,
  isUrl: boolean,
  argsOf: (flags: string[], cli: string) => string[],
): Promise<string[]> {
  const server = serveProject();
  const cli = isUrl ? `${server.address}/cli.ts` : CLI;
  const flags = isUrl ? [`--allow-import=${new URL(cli).host}`] : [];
  try {
    const filled = await runDeno(cache, cwd, ...argsOf(flags, cli));
    assert.equal(filled.code, 0, filled.stderr);
  } finally {
    await server.close();
  }
  const alone = ["run", "--no-prompt", "--cached-only", ...flags];
  return [...alone, "--allow-read", "--allow-write", cli];
}

for (const [what, argsOf] of Object.entries(BEFORE)) {
  for (const kind of ["from a file", "from a URL"]) {
    Deno.test(`pages and suggestions need no network after ${what} ${kind}`, async () => {
      await withSmallModel(async ({ root, run }) => {
        const cache = join(root, "cache");
        await copyPackages(["eta", "fastest-levenshtein", "re2js", "uplot"], cache);
        const isUrl = kind === "from a URL";
        const cwd = isUrl ? root : ROOT;
        const start = await fillCache(cache, cwd, isUrl, argsOf);
        const page = join(root, "page.html");
        const made = await runDeno(cache, cwd, ...start, ...run, "--html-report", page);
        assert.equal(made.code, 0, made.stderr);
        assert.doesNotMatch(made.stderr, /Download/);
        assert.match(Deno.readTextFileSync(page), /<\/html>\n$/);
        const corrected = await runDeno(cache, cwd, ...start, "--bit-widht", "4");
        assert.equal(
          corrected.stderr,
          'error: Unknown flag "--bit-widht": did you mean --bit-width?\n',
        );
      });
    });
  }
}

Deno.test("a large model needs no network once the command was cached from a URL", async () => {
  await withSmallModel(async ({ root }) => {
    const cache = join(root, "cache");
    await copyPackages(["eta", "fastest-levenshtein", "re2js", "uplot"], cache);
    writeLargeModel(join(root, "large"), 4);
    const start = await fillCache(cache, root, true, BEFORE["deno cache"]);
    const run = ["--model", "large", "--output", "out", "--report", "r.json", "--verbose"];
    const made = await runDeno(cache, root, ...start, ...run);
    assert.equal(made.code, 0, made.stderr);
    // One worker would need none of it.
    if (navigator.hardwareConcurrency > 1) {
      assert.match(made.stderr, /^Backend: wasm, SIMD WebAssembly in \d workers/m);
    }
  });
});

Deno.test("a page that cannot be made is refused before the work when its package was never fetched", async () => {
  await withSmallModel(async ({ root, run }) => {
    const cache = join(root, "cache");
    const start = ["run", "--cached-only", "--no-prompt", "--allow-read", "--allow-write", CLI];
    const page = ["--html-report", join(root, "page.html")];
    const refused = await runDeno(cache, ROOT, ...start, ...run, ...page);
    assert.deepEqual([refused.code, refused.stdout], [2, ""], refused.stderr);
    assert.match(
      refused.stderr,
      /^error: Cannot load the template engine "npm:eta@4\.6\.0": .*: run once with a network, or leave pages \(--html-report\) out$/m,
    );
    assert.doesNotMatch(refused.stderr, /Quantizing/);
    assert.deepEqual(namesIn(root), ["cache", "model"]);
    const { code } = await runDeno(cache, ROOT, ...start, ...run);
    assert.equal(code, 0);
    const corrected = await runDeno(cache, ROOT, ...start, "--bit-widht", "4");
    assert.equal(corrected.code, 2);
    assert.match(
      corrected.stderr,
      /^error: Unknown flag "--bit-widht": see isotherm quantize --help$/m,
    );
  });
});
