/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** A worker of the wasm backend: reads, quantizes and writes slices on a core of its own. */

import { BadInputError } from "../base/errors.ts";
import type { CallResult, Reply, Request } from "./messages.ts";
import { createRunner } from "./run_slice.ts";
import { wasmKernels } from "../compute/wasm_kernels.ts";

/** Bytes between two reports of progress. */
const REPORT_BYTES = 8 * 2 ** 20;

const reply = (message: Reply) => self.postMessage(message);

let unreported = 0;

const runner = createRunner(wasmKernels, (bytes) => {
  unreported += bytes;
  if (unreported < REPORT_BYTES) return;
  reply({ kind: "progress", bytes: unreported });
  unreported = 0;
});

function run(request: Request): Promise<CallResult | void> {
  switch (request.method) {
    case "measure":
      return runner.measure(...request.args);
    case "encode":
      return runner.encode(...request.args);
    case "quantize":
      return runner.quantize(...request.args);
    case "reencode":
      return runner.reencode(...request.args);
    case "rate":
      return runner.rate(...request.args);
    case "copy":
      return runner.copy(...request.args);
  }
}

async function answer(request: Request): Promise<void> {
  try {
    reply({ kind: "done", id: request.id, result: await run(request) ?? undefined });
  } catch (error) {
    const isBadInput = error instanceof BadInputError;
    const message = isBadInput
      ? error.message
      : String(error instanceof Error ? error.stack : error);
    reply({ kind: "failed", id: request.id, message, isBadInput });
  }
}

// One job at a time: a runner has one buffer.
let last = Promise.resolve();
self.onmessage = ({ data }: MessageEvent<Request>) => {
  last = last.then(() => answer(data));
};
