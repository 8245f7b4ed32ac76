/** @file Mixes neighbour adapters; weights after Xiao and Boyd 2004 (Metropolis-Hastings). Conserves the mean. */
import type { RunSettings } from './config.ts';
import { type Columns, dot, productSvd } from './lowrank.ts';
import { mean } from './vector.ts';

/** The weight of an edge between members of these degrees: symmetric, and at most 1 / (1 + own degree). */
export function edgeWeight(degree: number, otherDegree: number): number {
  return 1 / (1 + Math.max(degree, otherDegree));
}

export interface Contribution {
  readonly weight: number;
  /** What the neighbour sent, decoded. */
  readonly theirs: Float32Array;
  /** What was sent to it in the same exchange, decoded the same way. */
  readonly mine: Float32Array;
}

/** Where the LoRA factors of one layer lie in the adapter: A [rank, inputs] and B [outputs, rank], row by row. */
export interface FactorPair {
  readonly rank: number;
  readonly inputs: number;
  readonly outputs: number;
  /** In numbers from the beginning. */
  readonly a: number;
  readonly b: number;
}

/** Mixes as a run's settings say: numbers, or, with averaging `product`, what B A of each layer stands for. */
export function mixAs(
  settings: Pick<RunSettings, 'averaging' | 'rank' | 'localRank'>,
  factors: readonly FactorPair[],
  x: Float32Array,
  contributions: readonly Contribution[],
): Float32Array {
  if (settings.averaging !== 'product') return mix(x, contributions);
  // What was sent is the same for every neighbour of an exchange, so it enters once.
  const sent = new Map<Float32Array, number>();
  for (const { mine, weight } of contributions) sent.set(mine, (sent.get(mine) ?? 0) - weight);
  const terms: Term[] = [
    { vector: x, weight: 1 },
    ...contributions.map(({ theirs, weight }): Term => ({ vector: theirs, weight })),
    ...[...sent].map(([vector, weight]): Term => ({ vector, weight })),
  ];
  return sumProducts(terms, factors, { rank: settings.localRank || settings.rank, like: x });
}

/** x + sum_k w_k (theirs_k - mine_k). The other end adds the exact opposite, so the sum over both stays. */
export function mix(x: Float32Array, contributions: readonly Contribution[]): Float32Array {
  const out = new Float32Array(x.length);
  const sum = new Float64Array(Math.min(x.length, BLOCK));
  for (let begin = 0; begin < x.length; begin += BLOCK) {
    const count = Math.min(BLOCK, x.length - begin);
    for (let i = 0; i < count; i++) sum[i] = x[begin + i]!;
    for (let k = 0; k < contributions.length; k += 2) addTwo(sum, contributions, k, begin, count);
    for (let i = 0; i < count; i++) out[begin + i] = sum[i]!;
  }
  return out;
}

/** Adds w (theirs - mine) of the k-th contribution and the next, if there is one, to a block. */
function addTwo(sum: Float64Array, of: readonly Contribution[], k: number, begin: number, count: number): void {
  const { weight: w, theirs: a, mine: b } = of[k]!;
  const { weight: v, theirs: c, mine: d } = of[k + 1] ?? { weight: 0, theirs: a, mine: a };
  for (let i = 0, j = begin; i < count; i++, j++) sum[i]! += w * (a[j]! - b[j]!) + v * (c[j]! - d[j]!);
}

/** Numbers summed at a time, so that they stay in the nearest cache. */
const BLOCK = 2048;

export interface Term {
  readonly vector: Float32Array;
  readonly weight: number;
}

/**
 * The adapter whose B A is, in every layer, the best of rank `rank` to sum_k w_k B_k A_k (Eckart and Young 1936): exact
 * where the sum has no higher rank. Rows of A are as long as those of `like`, so that training goes on as it did; where
 * the sum has fewer dimensions, A is filled up from `like` beside zeros in B.
 */
export function sumProducts(
  terms: readonly Term[],
  factors: readonly FactorPair[],
  { rank, like }: { rank: number; like: Float32Array },
): Float32Array {
  const out = Float32Array.from(like);
  for (const pair of factors) {
    const kept = Math.min(rank, pair.rank);
    const { u, values, v } = productSvd(leftOf(terms, pair), rightOf(terms, pair));
    const unit = rowLength(like, pair, kept);
    for (let r = 0; r < pair.rank; r++) {
      const value = r < kept ? (values[r] ?? 0) : 0;
      const present = value > 1e-7 * (values[0] ?? 0);
      const sign = present ? signOf(v[r]!) : 1;
      for (let i = 0; i < pair.outputs; i++)
        out[pair.b + i * pair.rank + r] = present ? (sign * value * u[r]![i]!) / unit : 0;
      if (!present && r < kept) continue; // A as it was
      for (let j = 0; j < pair.inputs; j++) out[pair.a + r * pair.inputs + j] = present ? sign * unit * v[r]![j]! : 0;
    }
  }
  return out;
}

/**
 * ||mean(B A) - mean(B) mean(A)|| / ||mean(B A)|| over all layers: how far averaging the factors is from averaging what
 * they stand for. It is the covariance of the factors, so zero where one is common. null without factors or others.
 */
export function crossTerm(vectors: readonly Float32Array[], factors: readonly FactorPair[]): number | null {
  if (vectors.length < 2 || factors.length === 0) return null;
  const centre = mean(vectors);
  const terms = vectors.map((vector): Term => ({ vector, weight: 1 / vectors.length }));
  const drifts = terms.map(({ vector, weight }): Term => ({ vector: vector.map((x, i) => x - centre[i]!), weight }));
  const squares = (of: readonly Term[]): number =>
    factors.reduce((sum, pair) => sum + squareOf(leftOf(of, pair), rightOf(of, pair)), 0);
  const whole = squares(terms);
  return whole > 0 ? Math.sqrt(squares(drifts) / whole) : 0;
}

/** ||sum_k left_k right_k^T||^2, by the inner products of the columns alone. */
function squareOf(left: Columns, right: Columns): number {
  let sum = 0;
  for (const [k, l] of left.columns.entries()) {
    for (let j = 0; j <= k; j++)
      sum += (j === k ? 1 : 2) * dot(l, left.columns[j]!) * dot(right.columns[k]!, right.columns[j]!);
  }
  return Math.max(0, sum);
}

/** w B of every term side by side: [outputs, terms x rank]. */
function leftOf(terms: readonly Term[], pair: FactorPair): Columns {
  return columnsOf(terms, pair.outputs, pair.rank, ({ vector, weight }, i, r) => {
    return weight * vector[pair.b + i * pair.rank + r]!;
  });
}

/** A^T of every term side by side: [inputs, terms x rank]. */
function rightOf(terms: readonly Term[], pair: FactorPair): Columns {
  return columnsOf(terms, pair.inputs, pair.rank, ({ vector }, j, r) => vector[pair.a + r * pair.inputs + j]!);
}

/** The factors of all terms side by side: [size, terms x rank]. */
function columnsOf(
  terms: readonly Term[],
  size: number,
  rank: number,
  at: (term: Term, i: number, r: number) => number,
): Columns {
  const columns = terms.flatMap((term) =>
    Array.from({ length: rank }, (_, r) => Float64Array.from({ length: size }, (_, i) => at(term, i, r))),
  );
  return { rows: size, columns };
}

/** Root mean square length of A's first rows; 1 where they are zero. */
function rowLength(vector: Float32Array, { a, inputs }: FactorPair, rank: number): number {
  let sum = 0;
  for (let k = 0; k < rank * inputs; k++) sum += vector[a + k]! ** 2;
  return Math.sqrt(sum / rank) || 1;
}

/** The sign of the largest component, so that the same sum gives the same factors. */
function signOf(x: Float64Array): number {
  let best = 0;
  for (const value of x) if (Math.abs(value) > Math.abs(best)) best = value;
  return best < 0 ? -1 : 1;
}
