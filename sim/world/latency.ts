/** @file How long a message's way takes: drawn uniformly, from a distribution with a tail, or around a table of places. */
import type { Prng } from '../../protocol/prng.ts';

/** As a scenario says it. Times in ms. */
export type Latency =
  /** Uniform, from least to most. */
  | readonly [number, number]
  /** Half the messages are faster than `median`; ln of the time has standard deviation `sigma`. */
  | { readonly median: number; readonly sigma: number }
  /** `least`, and on top an exponential time that is `mean` on average. */
  | { readonly least: number; readonly mean: number }
  /** Row by column: from a place to a place. Peers are dealt to the places in turn. Times vary by up to a share `jitter`. */
  | { readonly matrix: readonly (readonly number[])[]; readonly jitter: number };

export interface LatencyModel {
  /** The time of one message (ms). */
  readonly draw: (from: number, to: number, prng: Prng) => number;
  /** The longest there is (ms). */
  readonly longest: number;
}

/** Tails are cut at so many times the median or the mean. */
const TAIL = 20;

export function latencyModel(latency: Latency): LatencyModel {
  if ('matrix' in latency) {
    const { matrix, jitter } = latency;
    const between = (from: number, to: number): number => matrix[from % matrix.length]![to % matrix.length]!;
    return {
      draw: (from, to, prng) => between(from, to) * (1 + jitter * prng.random()),
      longest: Math.ceil(Math.max(...matrix.flat()) * (1 + jitter)),
    };
  }
  if ('median' in latency) {
    const { median, sigma } = latency;
    const longest = TAIL * median;
    return { draw: (_from, _to, prng) => Math.min(longest, median * Math.exp(sigma * prng.normal())), longest };
  }
  if ('mean' in latency) {
    const { least, mean } = latency;
    const longest = least + TAIL * mean;
    return { draw: (_from, _to, prng) => Math.min(longest, least - mean * Math.log(1 - prng.random())), longest };
  }
  const [low, high] = latency;
  return { draw: (_from, _to, prng) => low + prng.random() * (high - low), longest: high };
}

/** A table of ms as text: a row a line, numbers separated by commas, tabs or spaces; # begins a remark. */
export function parseMatrix(text: string): number[][] {
  return text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => line.split(/[\s,]+/).map(Number));
}
