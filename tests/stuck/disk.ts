/** Loaded before the command line: what it reads or writes while it works never comes back. */

function never(): Promise<never> {
  // A promise alone does not keep a process alive, as a read that hangs does.
  setInterval(() => {}, 1000);
  return new Promise(() => {});
}

Deno.FsFile.prototype.read = never;
Deno.FsFile.prototype.write = never;
