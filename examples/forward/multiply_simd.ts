/** A multiplier on the SIMD kernels of `kernels.wasm`; `multiply_plain.ts` is its reference. */

import { checkElements, checkProduct, checkScores, type Multiplier } from "./multiplier.ts";

/** A page of WebAssembly memory in bytes. */
const PAGE = 65536;

/** 16 MiB, of which the digits DiT takes 7 and the language model 14. The memory never grows, or else its arrays would be cut off. */
const PAGES = 256;

/** Arrays begin on a cache line. */
const ALIGNMENT = 64;

/** What `kernels.wasm` exports, see `assembly/`; pointers and strides in bytes. */
interface Kernels {
  multiply(
    x: number,
    xStride: number,
    w: number,
    wStride: number,
    panelStride: number,
    bias: number,
    out: number,
    outStride: number,
    rows: number,
    inner: number,
    columns: number,
  ): void;
  softmax(x: number, stride: number, rows: number, columns: number): void;
  gateSilu(gate: number, up: number, count: number): void;
  gelu(x: number, count: number): void;
}

let compiled: WebAssembly.Module | undefined;

/** Compiled once for all multipliers of a thread. */
function compileKernels(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(
    Deno.readFileSync(new URL("./kernels.wasm", import.meta.url)),
  );
  return compiled;
}

/** A multiplier with a memory of its own, which goes when the multiplier does. */
export function createSimdMultiplier(): Multiplier {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
  const { buffer } = memory;
  const instance = new WebAssembly.Instance(compileKernels(), { env: { memory } });
  const kernels = instance.exports as unknown as Kernels;
  let end = 0;
  return {
    allocate(length) {
      const begin = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
      if (begin + length * 4 > buffer.byteLength) {
        throw new RangeError(
          `Cannot allocate ${length * 4} bytes: ${begin} of ${PAGES * PAGE} are taken`,
        );
      }
      end = begin + length * 4;
      return new Float32Array(buffer, begin, length);
    },
    multiply(product) {
      checkProduct(product);
      const { x, w, bias, out, rows, inner } = product;
      kernels.multiply(
        x.values.byteOffset,
        x.stride * 4,
        w.values.byteOffset,
        w.stride * 4,
        w.panelStride * 4,
        bias.byteOffset,
        out.values.byteOffset,
        out.stride * 4,
        rows,
        inner,
        bias.length,
      );
    },
    softmax(x, rows, columns) {
      checkScores(x, rows, columns);
      kernels.softmax(x.values.byteOffset, x.stride * 4, rows, columns);
    },
    gateSilu(gate, up) {
      checkElements(gate, up);
      kernels.gateSilu(gate.byteOffset, up.byteOffset, gate.length);
    },
    gelu(x) {
      checkElements(x);
      kernels.gelu(x.byteOffset, x.length);
    },
  };
}
