/** The dull reference of `multiply_simd.ts`: plain loops, kept plain on purpose. */

import { gateSiluF32, geluF32, softmaxF32 } from "./activate_plain.ts";
import {
  checkElements,
  checkProduct,
  checkScores,
  type Multiplier,
  panelIndex,
} from "./multiplier.ts";

/** A multiplier for comparison, more than twenty times slower. */
export function createPlainMultiplier(): Multiplier {
  return {
    allocate: (length) => new Float32Array(length),
    multiply(product) {
      checkProduct(product);
      const { x, w, bias, out, rows, inner } = product;
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < bias.length; column++) {
          const [from, weights] = [row * x.stride, panelIndex(w, 0, column)];
          let sum = bias[column]!;
          for (let i = 0; i < inner; i++) {
            const term = x.values[from + i]! * w.values[weights + i * w.stride]!;
            sum = Math.fround(sum + Math.fround(term));
          }
          out.values[row * out.stride + column] = sum;
        }
      }
    },
    softmax(x, rows, columns) {
      checkScores(x, rows, columns);
      for (let row = 0; row < rows; row++) softmaxF32(x.values, row * x.stride, columns);
    },
    gateSilu(gate, up) {
      checkElements(gate, up);
      gateSiluF32(gate, up);
    },
    gelu(x) {
      checkElements(x);
      geluF32(x);
    },
  };
}
