/** @file Which word comes next: the likeliest, or one drawn by temperature from the nucleus. Holtzman et al. 2020, arXiv:1904.09751. */
import { createPrng } from '../../protocol/prng.ts';

export interface Sampling {
  /** What logits are divided by before the softmax; 0: the likeliest word is taken. */
  readonly temperature: number;
  /** Of the likeliest words as many as have this probability together; 1: all. */
  readonly topP: number;
  /** The same draws again from the same seed. */
  readonly seed: string | number;
}

export const GREEDY: Sampling = { temperature: 0, topP: 1, seed: 0 };

/** Chooses one word after the other; each choice is a draw more from the seed. */
export function createSampler({ temperature, topP, seed }: Sampling): (logits: Float32Array) => number {
  if (temperature === 0) return likeliest;
  const { random } = createPrng(seed).fork('words');
  return (logits) => {
    const weights = softmaxOf(logits, temperature);
    return draw(weights, topP < 1 ? nucleusOf(weights, topP) : null, random());
  };
}

/** The place of the largest number, the first of equals. */
export function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}

/** softmax(z / T): [V]. */
function softmaxOf(logits: Float32Array, temperature: number): Float64Array {
  const most = logits[likeliest(logits)]!;
  const weights = Float64Array.from(logits, (z) => Math.exp((z - most) / temperature));
  const total = weights.reduce((a, b) => a + b, 0);
  for (let i = 0; i < weights.length; i++) weights[i]! /= total;
  return weights;
}

/** The fewest words, the likeliest first, whose probabilities reach `topP`. */
function nucleusOf(weights: Float64Array, topP: number): number[] {
  // All below this have less than 1 - topP together, so that none of them is needed.
  const least = (1 - topP) / weights.length;
  const words: number[] = [];
  for (let i = 0; i < weights.length; i++) if (weights[i]! >= least) words.push(i);
  words.sort((a, b) => weights[b]! - weights[a]! || a - b);
  let sum = 0;
  const count = words.findIndex((word) => {
    sum += weights[word]!;
    return sum >= topP;
  });
  return count < 0 ? words : words.slice(0, count + 1);
}

/** The word at `share` (0 to 1) of the sum of their probabilities; null: of all words. */
function draw(weights: Float64Array, words: readonly number[] | null, share: number): number {
  const count = words?.length ?? weights.length;
  const wordAt = (i: number): number => words?.[i] ?? i;
  let total = 0;
  for (let i = 0; i < count; i++) total += weights[wordAt(i)]!;
  let left = share * total;
  for (let i = 0; i < count - 1; i++) {
    left -= weights[wordAt(i)]!;
    if (left < 0) return wordAt(i);
  }
  return wordAt(count - 1);
}
