/** Small jobs stay on the thread, all others go to a pool that starts with the first of them. */

import assert from "node:assert/strict";
import type { Backend } from "../lib/jobs/backend.ts";
import { keepSmall } from "../lib/jobs/keep_small.ts";
import type { Job } from "../lib/jobs/verbs.ts";
import { jobOf, type TestSlice, withSlice } from "./open_slice.ts";

/** A backend that writes down what it is asked. */
function recorder(name: string, events: string[]): Backend {
  return {
    name: "wasm",
    description: name,
    run: (job) => {
      events.push(`${name} ${job.verb}`);
      return new Promise(() => {});
    },
    close: () => void events.push(`${name} closed`),
  };
}

/** Runs jobs, and gives what became of them. */
function follow(jobs: readonly Job[]): { events: string[]; description: string } {
  const events: string[] = [];
  const backend = keepSmall(recorder("here", events), () => {
    events.push("pool started");
    return recorder("pool", events);
  });
  for (const job of jobs) backend.run(job);
  const { description } = backend;
  backend.close();
  return { events, description };
}

/** Jobs about a layer, of the verbs that are given. */
function jobsOf(slice: TestSlice) {
  const params = { scale: Float32Array.of(1), zero_point: Uint8Array.of(8) };
  const scheme = { bits: 4, scaleDtype: "F32", symmetric: false } as const;
  const inputs = {
    rank: 0,
    order: new Int32Array(0),
    sketch: new Float32Array(0),
    gains: new Float32Array(0),
    diagonal: new Float32Array(0),
  };
  const quantizeRows = {
    ...jobOf(slice),
    ...scheme,
    verb: "quantizeRows",
    isSearched: false,
  } as const;
  return {
    quantizeRows,
    compensated: { ...quantizeRows, inputs },
    quantize: { ...jobOf(slice), ...scheme, verb: "quantize" },
    countCodes: { ...params, verb: "countCodes", slice, bits: 4, rows: [0] },
    check: { ...jobOf(slice), verb: "check", codes: slice.target },
    encode: { ...jobOf(slice), verb: "encode", params },
    measure: { verb: "measure", slice },
  } satisfies Record<string, Job>;
}

Deno.test("keepSmall() runs four verbs here when a slice has 16 KiB, and starts no pool", async () => {
  await withSlice({ rows: 128, columns: 64 }, (slice) => {
    const { quantizeRows, quantize, countCodes, check } = jobsOf(slice);
    assert.deepEqual(follow([quantizeRows, quantize, countCodes, check]), {
      events: [
        "here quantizeRows",
        "here quantize",
        "here countCodes",
        "here check",
        "here closed",
      ],
      description: "here",
    });
    return Promise.resolve();
  });
});

Deno.test("keepSmall() starts the pool once when jobs are larger or take longer", async () => {
  await withSlice({ rows: 128, columns: 65 }, async (large) => {
    await withSlice({ rows: 4, columns: 4 }, (small) => {
      const { quantizeRows, quantize, countCodes, check } = jobsOf(large);
      const { compensated, encode, measure } = jobsOf(small);
      const jobs = [quantizeRows, quantize, countCodes, check, compensated, encode, measure];
      assert.deepEqual(follow([jobsOf(small).check, ...jobs]), {
        events: [
          "here check",
          "pool started",
          "pool quantizeRows",
          "pool quantize",
          "pool countCodes",
          "pool check",
          "pool quantizeRows",
          "pool encode",
          "pool measure",
          "here closed",
          "pool closed",
        ],
        description: "pool",
      });
      return Promise.resolve();
    });
  });
});

Deno.test("keepSmall() starts no pool when it is closed", async () => {
  await withSlice({ rows: 128, columns: 65 }, (large) => {
    const events: string[] = [];
    const backend = keepSmall(recorder("here", events), () => assert.fail("started"));
    backend.close();
    backend.run(jobsOf(large).quantize);
    assert.deepEqual(events, ["here closed", "here quantize"]);
    return Promise.resolve();
  });
});
