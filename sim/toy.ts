/** @file Training without a language model, for many peers and seeds: plain arithmetic with a known optimum. */
import { createPrng, type Prng } from '../protocol/prng.ts';

export interface Toy {
  /** A peer's starting vector. */
  readonly start: (peer: number) => Float32Array;
  /** A round of local steps. Pure. */
  readonly train: (peer: number, round: number, x: Float32Array) => Float32Array;
  /** How far a vector is from what all peers' data ask for: 0 is best. */
  readonly loss: (x: Float32Array) => number;
}

export interface ToyOptions {
  readonly seed: string;
  readonly peers: number;
  /** Numbers of an adapter. */
  readonly size: number;
  readonly learningRate: number;
  readonly steps: number;
}

/** One entry a kind of training. */
export const TOYS: Readonly<Record<string, (options: ToyOptions) => Toy>> = {
  /** Nothing is learned: peers start apart and only mix. */
  none: ({ seed, peers, size }) => {
    const starts = drawVectors(createPrng(seed).fork('start'), peers, size);
    const middle = meanOf(starts);
    return { start: (peer) => starts[peer]!, train: (_peer, _round, x) => x, loss: (x) => squareDistance(x, middle) };
  },
  /** Each peer pulls towards a point of its own, ||x - c_i||^2 / 2: all together ask for the mean of the points. */
  quadratic: ({ seed, peers, size, learningRate, steps }) => {
    const targets = drawVectors(createPrng(seed).fork('targets'), peers, size);
    const middle = meanOf(targets);
    const kept = (1 - learningRate) ** steps;
    return {
      start: () => new Float32Array(size),
      train: (peer, _round, x) => x.map((value, i) => targets[peer]![i]! + kept * (value - targets[peer]![i]!)),
      loss: (x) => squareDistance(x, middle),
    };
  },
  /** Logistic regression on points of each peer's own, labelled by one hidden vector with one in ten wrong. */
  logistic: ({ seed, peers, size, learningRate, steps }) => {
    const prng = createPrng(seed).fork('logistic');
    const hidden = Float64Array.from({ length: size }, prng.normal);
    const sets = Array.from({ length: peers }, (_, i) => drawPoints(prng.fork(i), hidden, 16));
    const held = drawPoints(prng.fork('held out'), hidden, 500, 0);
    return {
      start: () => new Float32Array(size),
      train: (peer, _round, x) => {
        let w: Float64Array = Float64Array.from(x);
        for (let step = 0; step < steps; step++) w = descend(w, sets[peer]!, learningRate);
        return Float32Array.from(w);
      },
      loss: (x) => held.filter(({ point, y }) => (dot(x, point) > 0 ? 1 : 0) !== y).length / held.length,
    };
  },
};

interface LabelledPoint {
  readonly point: Float64Array;
  readonly y: number;
}

function drawPoints(prng: Prng, hidden: Float64Array, count: number, noise = 0.1): LabelledPoint[] {
  return Array.from({ length: count }, () => {
    const point = Float64Array.from(hidden, prng.normal);
    const right = dot(hidden, point) > 0;
    return { point, y: right === prng.random() >= noise ? 1 : 0 };
  });
}

/** One step of gradient descent on the mean logistic loss. */
function descend(w: Float64Array, points: readonly LabelledPoint[], rate: number): Float64Array {
  const next = Float64Array.from(w);
  for (const { point, y } of points) {
    const error = 1 / (1 + Math.exp(-dot(w, point))) - y;
    for (let i = 0; i < w.length; i++) next[i]! -= (rate * error * point[i]!) / points.length;
  }
  return next;
}

function drawVectors(prng: Prng, count: number, size: number): Float32Array[] {
  return Array.from({ length: count }, () => Float32Array.from({ length: size }, prng.normal));
}

function meanOf(vectors: readonly Float32Array[]): Float64Array {
  const sum = new Float64Array(vectors[0]?.length ?? 0);
  for (const x of vectors) for (let i = 0; i < sum.length; i++) sum[i]! += x[i]! / vectors.length;
  return sum;
}

function squareDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum / a.length;
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
