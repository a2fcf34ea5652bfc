import assert from "node:assert/strict";
import { join } from "node:path";
import { describeIoError } from "../lib/base/describe_io_error.ts";
import { withFiles } from "./make_model.ts";

/** An error as Deno makes it where a system gives errors other numbers, or other words, than Linux. */
function systemError(message: string, code?: string): Error {
  return code === undefined ? new Error(message) : Object.assign(new Error(message), { code });
}

const write = { write: true, create: true };

/** Calls that fail, in a directory with a file, a full directory and a link to itself. */
const FAILING: { what: string; call: (root: string) => unknown; words: string }[] = [
  {
    what: "a file is missing",
    call: (root) => Deno.statSync(join(root, "none")),
    words: "no such file or directory",
  },
  {
    what: "a file is taken for a directory",
    call: (root) => Deno.statSync(join(root, "file/x")),
    words: "a part of the path is not a directory",
  },
  {
    what: "a directory is taken for a file",
    call: (root) => Deno.openSync(join(root, "full"), write),
    words: "it is a directory",
  },
  {
    what: "a directory is there",
    call: (root) => Deno.mkdirSync(join(root, "full")),
    words: "it already exists",
  },
  {
    what: "a directory is not empty",
    call: (root) => Deno.removeSync(join(root, "full")),
    words: "the directory is not empty",
  },
  {
    what: "a link loops",
    call: (root) => Deno.openSync(join(root, "loop")),
    words: "too many symbolic links: the link loops",
  },
  {
    what: "a name is too long",
    call: (root) => Deno.openSync(join(root, "x".repeat(300)), write),
    words: "the name is too long",
  },
  {
    what: "a name has a NUL",
    call: (root) => Deno.openSync(join(root, "a\0b")),
    words: "the path is not valid",
  },
];

for (const { what, call, words } of FAILING) {
  Deno.test(`describeIoError() says so when ${what}`, async () => {
    const files = { "file": "", "full/file": "" };
    await withFiles(files, (root) => {
      Deno.symlinkSync("loop", join(root, "loop"));
      assert.throws(() => call(root), (error) => {
        assert.equal(describeIoError(error), words);
        return true;
      });
    });
  });
}

const NO_ROOM = "there is no room for another file: the disk is full, or its inodes are used up";

for (
  const [call, words] of [
    ["mkdir '/out/d'", NO_ROOM],
    ["open '/out/f'", NO_ROOM],
    ["link '/model/f' -> '/out/f'", NO_ROOM],
    ["write '/out/f'", "the disk is full"],
    ["", "the disk is full"],
  ] as const
) {
  Deno.test(`describeIoError() tells a full disk from one without inodes when the call is ${call || "not known"}`, () => {
    const message = `No space left on device (os error 28)${call && `: ${call}`}`;
    assert.equal(describeIoError(systemError(message, "ENOSPC")), words);
  });
}

for (
  const [code, words] of [
    ["EINTR", "a signal interrupted it: run again"],
    ["EBUSY", "it is in use, or a mount point"],
    ["EXDEV", "the two are on different file systems"],
    ["EMLINK", "the file has as many links as the file system allows"],
  ]
) {
  Deno.test(`describeIoError() has words for ${code}`, () => {
    assert.equal(describeIoError(systemError("whatever", code)), words);
  });
}

Deno.test("describeIoError() says what lets a program into /dev, /proc and /sys", async () => {
  const script = `
    const { describeIoError } = await import(Deno.args[0]);
    for (const path of ["/dev/shm/x", "/proc/x", "/sys/x", "/etc/x"]) {
      try {
        Deno.openSync(path, { write: true, createNew: true });
      } catch (error) {
        console.log(describeIoError(error));
      }
    }
  `;
  await withFiles({ "try.ts": script }, async (root) => {
    const module = new URL("../lib/base/describe_io_error.ts", import.meta.url).href;
    const refused =
      "Deno lets a program in there with --allow-all alone: add it, or give another path";
    for (const write of ["--allow-write=.", "--allow-write=/dev/shm,/proc,/sys,."]) {
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-prompt", "--allow-read", write, "try.ts", module],
        cwd: root,
      }).output();
      assert.deepEqual(new TextDecoder().decode(stdout).split("\n"), [
        ...[refused, refused, refused],
        "Deno was not given the permission: add --allow-write for this path",
        "",
      ]);
    }
  });
});

Deno.test("describeIoError() says so when a program that runs is written to", () => {
  assert.throws(() => Deno.openSync(Deno.execPath(), { write: true, append: true }), (error) => {
    // Not everyone may write there, and macOS lets those who may.
    assert.match(
      describeIoError(error),
      /^(the file is busy|permission denied|the file system is read-only)$/,
    );
    return true;
  });
});

Deno.test("describeIoError() goes by the code when a system has numbers of its own", () => {
  const table: [message: string, code: string | undefined, words: string][] = [
    ["Directory not empty (os error 66)", "ENOTEMPTY", "the directory is not empty"],
    ["File name too long (os error 63)", "ENAMETOOLONG", "the name is too long"],
    ["Too many levels (os error 62)", "ELOOP", "too many symbolic links: the link loops"],
    ["Resource busy (os error 16)", "EBUSY", "it is in use, or a mount point"],
    ["Permission denied (os error 13)", "EACCES", "permission denied"],
    ["Read-only file system (os error 30)", "EROFS", "the file system is read-only"],
    ["Device not configured (os error 6)", "ENXIO", "the operating system refused: ENXIO"],
    // Without a code: Deno knows none for these.
    [
      "File too large (os error 27)",
      undefined,
      "the file is too large for this file system or limit",
    ],
    ["Disk quota exceeded (os error 122)", undefined, "the disk quota is used up"],
    ["Disc quota exceeded (os error 69)", undefined, "the disk quota is used up"],
    ["Text file busy (os error 26)", undefined, "the file is busy"],
    ["Protocol error (os error 100)", undefined, "the operating system refused"],
    // On macOS 36 is another error than a long name, and 39 another than a full directory.
    ["Operation now in progress (os error 36)", undefined, "the operating system refused"],
    ["Destination address required (os error 39)", undefined, "the operating system refused"],
  ];
  for (const [message, code, words] of table) {
    assert.equal(describeIoError(systemError(message, code)), words, message);
  }
});

Deno.test("describeIoError() says so when a file takes no more bytes or nothing is known", () => {
  assert.equal(describeIoError(new Deno.errors.WriteZero()), "it takes no more bytes");
  assert.equal(describeIoError("text"), "the operating system refused");
});
