/** Loaded before the command line: what it reads or writes while it works never comes back. */

import { disk, type OpenFile } from "../../lib/base/disk.ts";

function never(): Promise<never> {
  // A promise alone does not keep a process alive, as a read that hangs does.
  setInterval(() => {}, 1000);
  return new Promise(() => {});
}

const { open, openSync } = disk;
const stick = (file: OpenFile): OpenFile => ({ ...file, read: never, write: never });
disk.open = async (...args) => stick(await open(...args));
disk.openSync = (...args) => stick(openSync(...args));
