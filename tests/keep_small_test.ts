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
async function follow(
  jobs: readonly Job[],
): Promise<{ events: string[]; description: string }> {
  const events: string[] = [];
  const start = (name: string) => {
    events.push(`${name} opened`);
    return recorder(name, events);
  };
  const backend = keepSmall("alone", () => Promise.resolve(start("here")), () => start("pool"));
  for (const job of jobs) {
    backend.run(job);
    // What is opened asks later.
    await turn();
  }
  const { description } = backend;
  backend.close();
  await turn();
  return { events, description };
}

/** Lets what is ready go on. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

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

/** A slice that is small, and one that is a little larger than that. */
async function withSlices(
  use: (small: TestSlice, large: TestSlice) => Promise<void>,
): Promise<void> {
  await withSlice(
    { rows: 4, columns: 4 },
    (small) => withSlice({ rows: 128, columns: 65 }, (large) => use(small, large)),
  );
}

Deno.test("keepSmall() runs four verbs here when a slice has 16 KiB, and starts no pool", async () => {
  await withSlice({ rows: 128, columns: 64 }, async (slice) => {
    const { quantizeRows, quantize, countCodes, check } = jobsOf(slice);
    assert.deepEqual(await follow([quantizeRows, quantize, countCodes, check]), {
      events: [
        "here opened",
        "here quantizeRows",
        "here quantize",
        "here countCodes",
        "here check",
        "here closed",
      ],
      description: "alone",
    });
  });
});

Deno.test("keepSmall() starts the pool once when jobs are larger or take longer, and opens nothing here", async () => {
  await withSlices(async (small, large) => {
    const { quantizeRows, quantize, countCodes, check } = jobsOf(large);
    const { compensated, encode, measure } = jobsOf(small);
    const jobs = [quantizeRows, quantize, countCodes, check, compensated, encode, measure];
    assert.deepEqual(await follow(jobs), {
      events: [
        "pool opened",
        "pool quantizeRows",
        "pool quantize",
        "pool countCodes",
        "pool check",
        "pool quantizeRows",
        "pool encode",
        "pool measure",
        "pool closed",
      ],
      description: "pool",
    });
  });
});

Deno.test("keepSmall() takes jobs of both kinds, and closes both", async () => {
  await withSlices(async (small, large) => {
    assert.deepEqual(await follow([jobsOf(small).check, jobsOf(large).check]), {
      events: [
        "here opened",
        "here check",
        "pool opened",
        "pool check",
        "pool closed",
        "here closed",
      ],
      description: "pool",
    });
  });
});

Deno.test("keepSmall() opens nothing when it is closed", async () => {
  await withSlices(async (small, large) => {
    const open = () => assert.fail("opened");
    const backend = keepSmall("alone", open, open);
    backend.close();
    for (const slice of [large, small]) {
      await assert.rejects(backend.run(jobsOf(slice).quantize), {
        message: "The backend is closed",
      });
    }
  });
});
