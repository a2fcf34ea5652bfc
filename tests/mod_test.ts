/** The library as a program uses it: imported from a URL. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeLargeModel } from "./directories.ts";
import { withFiles } from "./make_model.ts";
import { serveProject } from "./serve_project.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

Deno.test("mod.ts works when it is imported from a URL", async () => {
  const server = serveProject();
  const base = server.address;
  const program = `
    import {
      DEFAULT_SETTINGS, quantizeModel, renderHtml, renderSummary, verifyCheckpoint,
    } from "${base}/mod.ts";
    const [model, output, large] = Deno.args;
    const settings = { ...DEFAULT_SETTINGS, granularity: "slice", bits: 4, modulation: "keep" };
    const report = await quantizeModel(model, output, settings);
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
          `--allow-import=${new URL(base).host}`,
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
    await server.close();
  }
});
