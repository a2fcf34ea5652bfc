// AssemblyScript: all that `build_kernels.ts` compiles to ../kernels.wasm.

export { gateSilu, gelu, softmax } from "./activate";
export { multiply } from "./multiply";
