/** Matrix products on the SIMD kernel of `multiply.wasm`; `multiply_plain.ts` is its reference. */

import { checkProduct, type Multiplier } from "./multiplier.ts";

/** A page of WebAssembly memory in bytes. */
const PAGE = 65536;

/** 16 MiB, of which the denoiser takes 7. The memory never grows, or else its arrays would be cut off. */
const PAGES = 256;

/** Arrays begin on a cache line. */
const ALIGNMENT = 64;

/** What `multiply.wasm` exports, see `assembly/multiply.ts`; pointers and strides in bytes. */
type Kernel = (
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
) => void;

let compiled: WebAssembly.Module | undefined;

/** Compiled once for all multipliers of a thread. */
function compileKernel(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(
    Deno.readFileSync(new URL("./multiply.wasm", import.meta.url)),
  );
  return compiled;
}

/** A multiplier with a memory of its own, which goes when the multiplier does. */
export function createSimdMultiplier(): Multiplier {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
  const { buffer } = memory;
  const instance = new WebAssembly.Instance(compileKernel(), { env: { memory } });
  const kernel = instance.exports["multiply"] as Kernel;
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
      kernel(
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
  };
}
