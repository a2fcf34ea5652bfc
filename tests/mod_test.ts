/** The library as a program uses it: imported from a URL. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeLargeModel } from "./directories.ts";
import { withFiles } from "./make_model.ts";

/** Media types, as any web server gives them. */
const TYPES: Record<string, string> = {
  css: "text/css",
  js: "text/javascript",
  json: "application/json",
  ts: "application/typescript",
  wasm: "application/wasm",
};

const ROOT = fileURLToPath(new URL("..", import.meta.url));

Deno.test("mod.ts works when it is imported from a URL", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const path = new URL(request.url).pathname;
    const type = TYPES[path.split(".").at(-1)!] ?? "text/plain";
    try {
      return new Response(Deno.readFileSync(join(ROOT, path)), {
        headers: { "content-type": type },
      });
    } catch {
      return new Response("not found", { status: 404 });
    }
  });
  const base = `http://127.0.0.1:${server.addr.port}`;
  const program = `
    import {
      DEFAULT_SETTINGS, quantizeModel, renderHtml, renderSummary, verifyCheckpoint,
    } from "${base}/mod.ts";
    const [model, output, large] = Deno.args;
    const report = await quantizeModel(model, output, { ...DEFAULT_SETTINGS, bits: 4 });
    const { sqnr_db } = await verifyCheckpoint(output, model);
    const page = await renderHtml(report);
    const summary = await renderSummary(report);
    if (!page.endsWith("</html>\\n") || !summary.startsWith("## ")) throw new Error("no page");
    let log = "";
    const onLog = (line) => log += line;
    await quantizeModel(large, output + "-large", { ...DEFAULT_SETTINGS, bits: 4 }, { onLog });
    console.log(JSON.stringify([report.smoothness_score, report.sqnr_db, sqnr_db, log]));
  `;
  try {
    await withFiles({ "program.ts": program }, async (directory) => {
      writeLargeModel(join(directory, "large"), 5);
      const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--no-prompt",
          "--no-lock",
          "--reload=" + base,
          `--allow-import=127.0.0.1:${server.addr.port}`,
          `--allow-read=${ROOT},${directory}`,
          `--allow-write=${directory}`,
          join(directory, "program.ts"),
          join(ROOT, "examples/digits-dit"),
          join(directory, "out"),
          join(directory, "large"),
        ],
        env: { XDG_RUNTIME_DIR: "/tmp" },
      }).output();
      assert.ok(success, new TextDecoder().decode(stderr));
      const [score, reported, verified, log] = JSON.parse(new TextDecoder().decode(stdout));
      assert.equal(score.toFixed(4), "0.9103");
      assert.ok(Math.abs(reported - verified) < 1e-5);
      assert.match(log, /Backend: wasm, SIMD WebAssembly in \d+ workers/);
    });
  } finally {
    await server.shutdown();
  }
});
