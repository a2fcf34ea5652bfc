/** What a disk does to a file that is being written is not blamed on the model. */

import assert from "node:assert/strict";
import { basename, dirname, join } from "node:path";
import { disk } from "../lib/base/disk.ts";
import { checkWritten } from "../lib/run/write_checkpoint.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import { namesIn, withSmallModel } from "./directories.ts";
import { withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

const WHOLE = "it is not what was written: check the disk, and run again";

const DAMAGES: [what: string, damage: (path: string) => void, message: string][] = [
  ["a byte of its header changes", (path) => overwrite(path, 20), WHOLE],
  ["the last byte of its header changes", (path) => overwrite(path, headerOf(path) - 1), WHOLE],
  ["it is cut", (path) => Deno.truncateSync(path, headerOf(path) + 8), WHOLE],
  ["it is emptied", (path) => Deno.truncateSync(path, 0), WHOLE],
  ["it grows", (path) => Deno.writeFileSync(path, new Uint8Array(1), { append: true }), WHOLE],
  ["it is removed", (path) => Deno.removeSync(path), "no such file or directory"],
];

function overwrite(path: string, at: number): void {
  using file = Deno.openSync(path, { read: true, write: true });
  const byte = new Uint8Array(1);
  file.seekSync(at, Deno.SeekMode.Start);
  file.readSync(byte);
  file.seekSync(at, Deno.SeekMode.Start);
  file.writeSync(byte.map((value) => value ^ 1));
}

/** Bytes before the data. */
function headerOf(path: string): number {
  const bytes = Deno.readFileSync(path);
  return 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
}

Deno.test("checkWritten() compares all of a header of many pieces", async () => {
  const piece = 2 ** 16;
  const head = new Uint8Array(2 * piece + 24).map((_, i) => i % 251);
  const byteLength = head.length + 8;
  for (const at of [0, piece - 1, piece, 2 * piece + 23, "the first piece twice", undefined]) {
    const file = new Uint8Array(byteLength);
    file.set(head);
    if (typeof at === "number") file[at] = file[at]! ^ 1;
    else if (at !== undefined) file.copyWithin(piece, 0, piece);
    await withFiles({ "a.safetensors": file }, (directory) => {
      const plan = { head, byteLength, layers: [], copies: [], tensorNames: undefined };
      const check = () => checkWritten(directory, [{ name: "a.safetensors", ...plan }]);
      if (at === undefined) check();
      else assertBadInput(check, `Cannot read "a.safetensors of the output": ${WHOLE}`);
      return Promise.resolve();
    });
  }
});

for (const format of ["compressed-tensors", "comfy"]) {
  for (const [what, damage, message] of DAMAGES) {
    Deno.test(`main() says of the output, not of the model, when ${what} while ${format} is written`, async () => {
      await withSmallModel(async ({ root, run }) => {
        const { open } = disk;
        let hits = 0;
        // Of what is written config.json is last, and the weights are complete.
        disk.open = (path, how, mode) => {
          if (how === "create" && basename(path) === "config.json") {
            hits++;
            damage(join(dirname(path), "model.safetensors"));
          }
          return open(path, how, mode);
        };
        try {
          const { code, stderr } = await runMain(...run, "--format", format, "--bit-width", "4");
          assert.equal(hits, 1);
          assert.equal(
            stderr.split("\n").at(-2),
            `error: Cannot read "model.safetensors of the output": ${message}`,
          );
          assert.equal(code, 2);
        } finally {
          disk.open = open;
        }
        assert.deepEqual(namesIn(root), ["model"]);
      });
    });
  }
}
