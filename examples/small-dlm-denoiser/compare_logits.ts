/** How the predictions of a quantized model differ from the original's, and how good they are. */

/** Sums over the masked positions of one sequence. */
export interface Comparison {
  /** Kullback-Leibler divergence of the found tokens' distribution from the original's, nats. */
  kl: number;
  /** Positions at which both find the same token likeliest. */
  agreed: number;
  /** Positions at which the likeliest token is the true one. */
  right: number;
  /** Minus the logarithm of what the true token was given, nats. */
  crossEntropy: number;
  /** Squares of the original's logits, less their mean at each position. */
  signal: number;
  /** Squares of what the found logits, less their mean, differ from that. */
  noise: number;
}

/** One row of logits. */
interface Row {
  /** Where it begins. */
  from: number;
  /** Index of the largest, the first of several. */
  choice: number;
  /** The largest. */
  max: number;
  /** The mean. */
  mean: number;
}

/**
 * Compares logits, position by position.
 *
 * @param original Logits of the original: [truth.length, vocabulary].
 * @param found Those of the quantized model: as many.
 * @param truth The tokens that stood there.
 */
export function compareLogits(
  original: Float32Array,
  found: Float32Array,
  truth: readonly number[],
): Comparison {
  const size = original.length / truth.length;
  const sums = { kl: 0, agreed: 0, right: 0, crossEntropy: 0, signal: 0, noise: 0 };
  for (const [index, token] of truth.entries()) {
    const p = readRow(original, index * size, size);
    const q = readRow(found, index * size, size);
    sums.crossEntropy += addDifferences(sums, original, found, p, q, size) - found[q.from + token]!;
    sums.agreed += p.choice === q.choice ? 1 : 0;
    sums.right += q.choice === token ? 1 : 0;
  }
  return sums;
}

function readRow(logits: Float32Array, from: number, size: number): Row {
  let [choice, sum] = [0, 0];
  for (let i = 0; i < size; i++) {
    sum += logits[from + i]!;
    if (logits[from + i]! > logits[from + choice]!) choice = i;
  }
  return { from, choice, max: logits[from + choice]!, mean: sum / size };
}

/**
 * Adds what one pass over both rows finds: with P and Q for their sums of exponentials, the divergence
 * is sum e^x (x - y) / P - ln P + ln Q.
 *
 * @returns ln Q.
 */
function addDifferences(
  sums: Comparison,
  original: Float32Array,
  found: Float32Array,
  p: Row,
  q: Row,
  size: number,
): number {
  let [powersP, powersQ, weighted, signal, noise] = [0, 0, 0, 0, 0];
  for (let i = 0; i < size; i++) {
    const [x, y] = [original[p.from + i]!, found[q.from + i]!];
    const power = Math.exp(x - p.max);
    powersP += power;
    powersQ += Math.exp(y - q.max);
    weighted += power * (x - y);
    signal += (x - p.mean) ** 2;
    noise += (x - p.mean - (y - q.mean)) ** 2;
  }
  const logQ = q.max + Math.log(powersQ);
  sums.kl += weighted / powersP - (p.max + Math.log(powersP)) + logQ;
  sums.signal += signal;
  sums.noise += noise;
  return logQ;
}
