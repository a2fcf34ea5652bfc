/** Loaded before the command line: the first thing it writes while it works takes two seconds. */

const { write } = Deno.FsFile.prototype;

Deno.FsFile.prototype.write = async function (bytes) {
  Deno.FsFile.prototype.write = write;
  await new Promise((resume) => setTimeout(resume, 2000));
  return await write.call(this, bytes);
};
