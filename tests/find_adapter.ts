/** Finds out whether tests can compute with WebGPU. */

/** Whether tests that need a device are skipped: this machine has neither a GPU nor a driver in software. */
export const NO_ADAPTER = !await navigator.gpu?.requestAdapter();

/** Registers tests that need a device as `Deno.test` does. */
export const withAdapter = { test: NO_ADAPTER ? Deno.test.ignore : Deno.test };
