/** Multinomial logistic regression on pixels, which says what digit an image shows. */

import { softmax } from "../forward/activations.ts";
import { DIT } from "./dimensions.ts";
import { type Digits, WHITE } from "./read_digits.ts";

/** Gradient descent over the whole data set: passes, step length and momentum. */
const TRAINING = { passes: 150, rate: 0.5, momentum: 0.9 } as const;

/** Features of an image: its pixels and a constant. */
const FEATURES = DIT.pixels + 1;

/** A trained classifier: a row of weights for each class, [10, 65]. */
export type Classifier = Float64Array;

/** Trains on images with known labels; the same images give the same classifier. */
export function trainClassifier({ images, labels }: Digits): Classifier {
  const weights = new Float64Array(DIT.classes * FEATURES);
  const velocity = new Float64Array(weights.length);
  const gradient = new Float64Array(weights.length);
  const features = new Float64Array(FEATURES);
  const shares = new Float64Array(DIT.classes);
  for (let pass = 0; pass < TRAINING.passes; pass++) {
    gradient.fill(0);
    for (let image = 0; image < labels.length; image++) {
      readFeatures(images, image, features);
      scoreClasses(weights, features, shares);
      softmax(shares, 0, DIT.classes);
      shares[labels[image]!] = shares[labels[image]!]! - 1;
      for (let digit = 0; digit < DIT.classes; digit++) {
        const [error, row] = [shares[digit]!, digit * FEATURES];
        for (let i = 0; i < FEATURES; i++) {
          gradient[row + i] = gradient[row + i]! + error * features[i]!;
        }
      }
    }
    for (let i = 0; i < weights.length; i++) {
      velocity[i] = TRAINING.momentum * velocity[i]! - TRAINING.rate * gradient[i]! / labels.length;
      weights[i] = weights[i]! + velocity[i]!;
    }
  }
  return weights;
}

/**
 * Says what digit each image shows.
 *
 * @param images Grey levels: [count, 64], 0 to 16.
 * @returns [count], 0 to 9.
 */
export function classify(classifier: Classifier, images: Uint8Array): number[] {
  const features = new Float64Array(FEATURES);
  const scores = new Float64Array(DIT.classes);
  return Array.from({ length: images.length / DIT.pixels }, (_, image) => {
    readFeatures(images, image, features);
    scoreClasses(classifier, features, scores);
    return scores.indexOf(Math.max(...scores));
  });
}

function readFeatures(images: Uint8Array, image: number, out: Float64Array): void {
  const start = image * DIT.pixels;
  for (let i = 0; i < DIT.pixels; i++) out[i] = images[start + i]! / WHITE;
  out[DIT.pixels] = 1;
}

function scoreClasses(weights: Float64Array, features: Float64Array, out: Float64Array): void {
  for (let digit = 0; digit < out.length; digit++) {
    let sum = 0;
    for (let i = 0; i < FEATURES; i++) sum += weights[digit * FEATURES + i]! * features[i]!;
    out[digit] = sum;
  }
}
