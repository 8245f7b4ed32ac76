/** @file Training without a language model, for many peers and seeds: plain arithmetic with a known optimum. */
import { createPrng, type Prng } from '../../protocol/prng.ts';

export interface Toy {
  /** A peer's starting vector. */
  readonly start: (peer: number) => Float32Array;
  /** A round of local steps. Pure. */
  readonly train: (peer: number, round: number, x: Float32Array) => Float32Array;
  /** How far a vector is from what all peers' data ask for: 0 is best. */
  readonly loss: (x: Float32Array) => number;
  /** How badly a vector does on a peer's own points; left out where there are none. */
  readonly score?: (peer: number, x: Float32Array) => number;
}

export interface ToyOptions {
  readonly seed: string;
  readonly peers: number;
  /** Numbers of an adapter. */
  readonly size: number;
  readonly learningRate: number;
  readonly steps: number;
  /** Labelled points a peer has, to learn from. */
  readonly points: number;
  /** 0: peers' points are alike; 1: each has points of one class only. */
  readonly skew: number;
  /** Concentration of peers' shares of the two classes (Dirichlet): the smaller, the more unlike; 0: all alike. */
  readonly dirichlet: number;
  /** So many, the first ones, learn the opposite of their labels. */
  readonly flipped: number;
}

/** One entry a kind of training. */
export const TOYS: Readonly<Record<string, (options: ToyOptions) => Toy>> = {
  /** Nothing is learned: peers start apart and only mix. */
  none: ({ seed, peers, size }) => {
    // Drawn again rather than kept: thousands of large ones fit only once.
    const start = (peer: number): Float32Array =>
      drawInto(new Float32Array(size), createPrng(seed).fork('start').fork(peer));
    const middle = meanOf(peers, start);
    return { start, train: (_peer, _round, x) => x, loss: (x) => squareDistance(x, middle) };
  },
  /** Each peer pulls towards a point of its own, ||x - c_i||^2 / 2: all together ask for the mean of the points. */
  quadratic: ({ seed, peers, size, learningRate, steps }) => {
    const prng = createPrng(seed).fork('targets');
    const targets = rowsOf(new Float32Array(peers * size), peers);
    for (const [i, target] of targets.entries()) drawInto(target, prng.fork(i));
    const middle = meanOf(peers, (i) => targets[i]!);
    const kept = (1 - learningRate) ** steps;
    return {
      start: () => new Float32Array(size),
      train: (peer, _round, x) => x.map((value, i) => targets[peer]![i]! + kept * (value - targets[peer]![i]!)),
      loss: (x) => squareDistance(x, middle),
      score: (peer, x) => squareDistance(x, targets[peer]!),
    };
  },
  /** Logistic regression on points of each peer's own, labelled by one hidden vector with one in ten wrong; the last number is the bias. */
  logistic: ({ seed, peers, size, learningRate, steps, points, skew, dirichlet, flipped }) => {
    const prng = createPrng(seed).fork('logistic');
    const hidden = Float64Array.from({ length: size }, prng.normal).fill(0, size - 1);
    const values = rowsOf(new Float32Array(peers * points * size), peers);
    const labels = rowsOf(new Uint8Array(peers * points), peers);
    const sets = values.map((of, i): Points => ({ values: of, labels: labels[i]! }));
    for (const [i, set] of sets.entries()) {
      const share = dirichlet > 0 ? betaOf(dirichlet, prng.fork('dirichlet').fork(i)) : null;
      drawPoints(set, prng.fork(i), hidden, { side: i % 2, skew, share });
      if (i < flipped) for (let k = 0; k < set.labels.length; k++) set.labels[k] = 1 - set.labels[k]!;
    }
    const held = { values: new Float32Array(HELD_OUT * size), labels: new Uint8Array(HELD_OUT) };
    drawPoints(held, prng.fork('held out'), hidden, { noise: 0 });
    return {
      start: () => new Float32Array(size),
      train: (peer, _round, x) => {
        const w = Float32Array.from(x);
        for (let step = 0; step < steps; step++) descend(w, sets[peer]!, learningRate);
        return w;
      },
      loss: (x) => {
        let wrong = 0;
        for (const [k, y] of held.labels.entries()) if ((margin(x, held, k) > 0 ? 1 : 0) !== y) wrong += 1;
        return wrong / held.labels.length;
      },
      score: (peer, x) => logisticLoss(x, sets[peer]!),
    };
  },
};

/** Labelled points a vector is scored by. */
const HELD_OUT = 500;

interface Points {
  /** Row by row: [labels, size]. */
  readonly values: Float32Array;
  readonly labels: Uint8Array;
}

/** Rows of one table for all peers: views, not copies. */
function rowsOf<T extends Float32Array | Uint8Array>(table: T, count: number): T[] {
  const width = table.length / count;
  return Array.from({ length: count }, (_, i) => table.subarray(i * width, (i + 1) * width) as T);
}

/** Fills in the points; a share `skew` of them lies on one side of the hidden vector's plane. */
function drawPoints(
  points: Points,
  prng: Prng,
  hidden: Float64Array,
  {
    noise = 0.1,
    side = 0,
    skew = 0,
    share = null,
  }: { noise?: number; side?: number; skew?: number; share?: number | null },
): void {
  for (let k = 0; k < points.labels.length; k++) {
    const point = points.values.subarray(k * hidden.length, (k + 1) * hidden.length);
    drawInto(point, prng).fill(1, hidden.length - 1);
    const isForced = share !== null || (skew > 0 && prng.random() < skew);
    const wanted = share === null ? side === 1 : prng.random() < share;
    const isOther = margin(hidden, points, k) > 0 !== wanted;
    // The mirror image of a normal point is as likely as it.
    if (isForced && isOther) for (let i = 0; i < hidden.length - 1; i++) point[i]! *= -1;
    const isRight = margin(hidden, points, k) > 0;
    points.labels[k] = isRight === prng.random() >= noise ? 1 : 0;
  }
}

/** A peer's share of one of two classes, Dirichlet(a, a): by Joehnk, in logarithms, since a power of 1 / a may be below any float. */
function betaOf(a: number, prng: Prng): number {
  for (;;) {
    const [u, v] = [Math.log(1 - prng.random()) / a, Math.log(1 - prng.random()) / a];
    const largest = Math.max(u, v);
    const sum = largest + Math.log(Math.exp(u - largest) + Math.exp(v - largest));
    if (sum <= 0) return Math.exp(u - sum);
  }
}

/** The mean logistic loss on points. */
function logisticLoss(w: Float32Array, points: Points): number {
  let sum = 0;
  for (const [k, y] of points.labels.entries()) {
    const m = margin(w, points, k) * (y === 1 ? 1 : -1);
    sum += m > 0 ? Math.log1p(Math.exp(-m)) : Math.log1p(Math.exp(m)) - m;
  }
  return sum / points.labels.length;
}

/** w x of a point. */
function margin(w: ArrayLike<number>, { values }: Points, point: number): number {
  let sum = 0;
  for (let i = 0, at = point * w.length; i < w.length; i++, at++) sum += w[i]! * values[at]!;
  return sum;
}

/** One step of gradient descent on the mean logistic loss, in place. */
function descend(w: Float32Array, points: Points, rate: number): void {
  const count = points.labels.length;
  const errors = new Float64Array(count);
  for (let k = 0; k < count; k++) errors[k] = 1 / (1 + Math.exp(-margin(w, points, k))) - points.labels[k]!;
  for (let k = 0; k < count; k++) {
    const pull = (rate * errors[k]!) / count;
    for (let i = 0, at = k * w.length; i < w.length; i++, at++) w[i]! -= pull * points.values[at]!;
  }
}

function drawInto(x: Float32Array, prng: Prng): Float32Array {
  for (let i = 0; i < x.length; i++) x[i] = prng.normal();
  return x;
}

function meanOf(count: number, vector: (i: number) => Float32Array): Float64Array {
  const sum = new Float64Array(vector(0).length);
  for (let k = 0; k < count; k++) {
    const x = vector(k);
    for (let i = 0; i < sum.length; i++) sum[i]! += x[i]! / count;
  }
  return sum;
}

function squareDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum / a.length;
}
