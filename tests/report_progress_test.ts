import assert from "node:assert/strict";
import { Progress } from "../lib/cli/report_progress.ts";

/** Start of a bar: back to the first column, and the line cleared. */
const CLEAR = "\r\x1b[K";

/** A progress over `total` bytes with a clock that is set by hand, and what it has written. */
function fakeProgress(total: number, columns: number | undefined) {
  const clock = { ms: 5000 };
  const written: string[] = [];
  const progress = new Progress(
    { write: (text) => void written.push(text), columns, now: () => clock.ms },
    total,
  );
  /** Works through `bytes` of a tensor in `ms`. */
  const work = (ms: number, bytes: number, tensor = "a") => {
    clock.ms += ms;
    progress.advance(tensor, bytes);
  };
  return { progress, work, written };
}

Deno.test("Progress draws a bar when 100 ms have passed on a terminal", () => {
  const { work, written } = fakeProgress(100e6, 80);
  work(50, 10e6, "early");
  assert.deepEqual(written, []);
  work(50, 15e6, "blocks.0.fc");
  // 25 MB in 0.1 s leave 75 MB for 0.3 s.
  assert.deepEqual(written, [
    `${CLEAR}[#####---------------] 25% 250 MB/s 1 s left blocks.0.fc`,
  ]);
});

Deno.test("Progress draws at most ten bars a second when work comes in small pieces", () => {
  const { work, written } = fakeProgress(1e9, 80);
  for (let i = 0; i < 1000; i++) work(1, 1e5);
  assert.equal(written.length, 10);
});

Deno.test("Progress writes a line every ten seconds when there is no terminal", () => {
  const { progress, work, written } = fakeProgress(1e9, undefined);
  work(9_999, 100e6);
  assert.deepEqual(written, []);
  work(1, 100e6, "blocks.0.fc");
  work(9_000, 100e6);
  work(1_000, 200e6, "blocks.1.fc");
  progress.clear();
  assert.deepEqual(written, [
    "Progress: 20% 20 MB/s 40 s left, blocks.0.fc\n",
    "Progress: 50% 25 MB/s 20 s left, blocks.1.fc\n",
  ]);
});

Deno.test("Progress ends at 100% and nothing left when all bytes are done", () => {
  const { work, written } = fakeProgress(1e6, 80);
  work(1000, 1e6);
  assert.deepEqual(written, [`${CLEAR}[####################] 100% 1 MB/s 0 s left a`]);
});

Deno.test("Progress stays at 100% when more bytes come than were announced", () => {
  const { work, written } = fakeProgress(10e6, 80);
  work(10_000, 250e6);
  assert.deepEqual(written, [`${CLEAR}[####################] 100% 25 MB/s 0 s left a`]);
});

Deno.test("Progress tells what is done when the size of the run is not known", () => {
  const terminal = fakeProgress(0, 80);
  terminal.work(500, 30e6);
  assert.deepEqual(terminal.written, [`${CLEAR}30 MB done, 60 MB/s a`]);
  const plain = fakeProgress(0, undefined);
  plain.work(10_000, 30e6);
  assert.deepEqual(plain.written, ["Progress: 30 MB done, 3 MB/s, a\n"]);
});

Deno.test("Progress gives finite figures when no time has passed or nothing is done", () => {
  const { work, written } = fakeProgress(100e6, 80);
  work(100, 0);
  assert.deepEqual(written, [`${CLEAR}[--------------------] 0% 0 MB/s 100000 s left a`]);
});

Deno.test("Progress cuts the bar to the terminal when the name is long", () => {
  const { work, written } = fakeProgress(100e6, 40);
  work(1000, 50e6, "blocks.0.".repeat(9));
  assert.equal(written.length, 1);
  assert.equal(written[0], `${CLEAR}[##########----------] 50% 50 MB/s 1 s `);
  assert.equal(written[0]!.length - CLEAR.length, 39);
});

Deno.test("Progress writes no control character of a name when the name is hostile", () => {
  const hostile = "a\n\r\x1b[2J\x07\u009b31m\u202e\u2028\0b";
  const { work, written } = fakeProgress(100e6, 200);
  work(1000, 50e6, hostile);
  assert.equal(
    written[0],
    `${CLEAR}[##########----------] 50% 50 MB/s 1 s left ` +
      "a\\u{a}\\u{d}\\u{1b}[2J\\u{7}\\u{9b}31m\\u{202e}\\u{2028}\\u{0}b",
  );
  const plain = fakeProgress(100e6, undefined);
  plain.work(10_000, 50e6, hostile);
  assert.equal(plain.written[0]!.indexOf("\n"), plain.written[0]!.length - 1);
});

Deno.test("Progress cuts a name to 200 characters when it has 20 kB", () => {
  const { work, written } = fakeProgress(100e6, undefined);
  work(10_000, 50e6, "x".repeat(20_000));
  assert.equal(written[0], `Progress: 50% 5 MB/s 10 s left, ${"x".repeat(200)}…\n`);
});

Deno.test("Progress leaves no half character when the cut falls inside one", () => {
  const { work, written } = fakeProgress(100e6, 47);
  work(1000, 50e6, "a😀b");
  assert.ok(written[0]!.isWellFormed(), JSON.stringify(written[0]));
});

Deno.test("clear() removes the bar once when one is drawn", () => {
  const { progress, work, written } = fakeProgress(100e6, 80);
  progress.clear();
  assert.deepEqual(written, []);
  work(1000, 50e6);
  progress.clear();
  progress.clear();
  assert.equal(written.length, 2);
  assert.equal(written[1], CLEAR);
});
