/** Preloaded by a test: a run starts as many workers as it does on a machine of eight cores. */

Object.defineProperty(navigator, "hardwareConcurrency", { value: 8 });
