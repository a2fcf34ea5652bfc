/** Preloaded by a test: says at the end how much memory this process had at most, in kB. */

addEventListener("unload", () => {
  const status = Deno.readTextFileSync("/proc/self/status");
  const [, peak] = /^VmHWM:\s*(\d+) kB$/m.exec(status)!;
  Deno.stderr.writeSync(new TextEncoder().encode(`peak ${peak}\n`));
});
