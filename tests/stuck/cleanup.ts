/** Loaded before the command line: its disk is stuck, also when what was written is to be removed. */

import "./disk.ts";

Deno.remove = () => new Promise(() => {});
