/** The project's files at an address on this machine, for programs that import it from a URL. */

import { fileURLToPath } from "node:url";
import { join } from "node:path";

/** Media types, as any web server gives them. */
const TYPES: Record<string, string> = {
  css: "text/css",
  js: "text/javascript",
  json: "application/json",
  ts: "application/typescript",
  wasm: "application/wasm",
};

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Starts serving; `address` has no slash at its end. */
export function serveProject(): { address: string; close: () => Promise<void> } {
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
  return { address: `http://127.0.0.1:${server.addr.port}`, close: () => server.shutdown() };
}
