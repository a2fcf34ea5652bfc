/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** A worker of the wasm backend: runs jobs on a core of its own. */

import { BadInputError } from "../base/errors.ts";
import { createWasmKernels } from "../compute/wasm_kernels.ts";
import type { Reply, Request } from "./messages.ts";
import { openFiles } from "./open_files.ts";
import { runJob } from "./verbs.ts";

/** Bytes between two reports of progress. */
const REPORT_BYTES = 8 * 2 ** 20;

const reply = (message: Reply) => self.postMessage(message);

let unreported = 0;

const desk = {
  kernels: createWasmKernels(),
  files: openFiles(true),
  onBytes: (bytes: number) => {
    unreported += bytes;
    if (unreported < REPORT_BYTES) return;
    reply({ kind: "progress", bytes: unreported });
    unreported = 0;
  },
};

/** Buffers that a result alone uses: they are handed over, since copies would pile up on both sides. */
function buffersOf(result: unknown): ArrayBuffer[] {
  if (typeof result !== "object" || result === null) return [];
  if (ArrayBuffer.isView(result)) {
    const { buffer, byteLength } = result;
    return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : [];
  }
  return Object.values(result).flatMap(buffersOf);
}

async function answer({ id, job }: Request): Promise<void> {
  try {
    const result = await runJob(job, desk);
    const buffers = [...new Set(buffersOf(result))];
    self.postMessage({ kind: "done", id, result } satisfies Reply, buffers);
  } catch (error) {
    const isBadInput = error instanceof BadInputError;
    const message = isBadInput
      ? error.message
      : String(error instanceof Error ? error.stack : error);
    reply({ kind: "failed", id, message, isBadInput });
  }
}

// One job at a time: the kernels have one buffer.
let last = Promise.resolve();
self.onmessage = ({ data }: MessageEvent<Request>) => {
  last = last.then(() => answer(data));
};
