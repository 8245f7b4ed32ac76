/** @file Mixes neighbour adapters by the run's rule; weights after Xiao and Boyd 2004 (Metropolis-Hastings). */
import { CODECS, type CodecName, PIECE } from './codec.ts';
import type { RunSettings } from './config.ts';
import { type Columns, dot, productSvd } from './lowrank.ts';
import { type Circumstances, RULES, type RuleName } from './rules.ts';
import { difference, distance, isFiniteVector, mean } from './vector.ts';

/** The weight of an edge between members of these degrees: symmetric, and at most 1 / (1 + own degree). */
export function edgeWeight(degree: number, otherDegree: number): number {
  return 1 / (1 + Math.max(degree, otherDegree));
}

/** Numbers of a vector that may be packed: those from `begin`, a multiple of PIECE, until `out` is full. */
export type Source = (begin: number, out: Float32Array) => void;

export function packedSource(codec: CodecName, payload: Uint8Array, count: number): Source {
  const { read } = CODECS[codec];
  return (begin, out) => read(payload, count, begin, out);
}

export interface Contribution {
  readonly weight: number;
  /** What the neighbour sent, as it is unpacked. */
  readonly theirs: Source;
  /** What was sent to it in the same exchange, as it is unpacked there. */
  readonly mine: Source;
  /** The smaller of the radii the two ends have announced; Infinity where it is left out. */
  readonly radius?: number;
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

/** The neighbours that a rule may find hostile, of so many. */
export function hostileOf({ ruleShare }: Pick<RunSettings, 'ruleShare'>, neighbours: number): number {
  return Math.ceil(ruleShare * neighbours - 1e-9);
}

/**
 * Mixes as a run's settings say, by its rule: numbers, or, with averaging `product`, what B A of each layer stands for.
 * Writes ||theirs - mine||^2 of each contribution to `squares`, if given. Rules that are not pairwise take all of one round.
 */
export function mixAs(
  settings: Pick<RunSettings, 'averaging' | 'rank' | 'localRank' | 'rule'>,
  factors: readonly FactorPair[],
  x: Float32Array,
  contributions: readonly Contribution[],
  { squares, given }: { squares?: Float64Array; given?: Circumstances } = {},
): Float32Array {
  const rule = RULES[settings.rule as RuleName];
  const isPlain =
    settings.rule === 'mean' ||
    (settings.rule === 'clip' &&
      contributions.every(({ radius = Number.POSITIVE_INFINITY }) => radius === Number.POSITIVE_INFINITY));
  if (rule.type !== 'pairwise') {
    if (contributions.length === 0) return x;
    if (!given) throw new Error(`the rule ${settings.rule} needs to know the round's circumstances`);
    return mixRound(settings.rule as RuleName, x, contributions, given, squares);
  }
  if (isPlain) return mixPairs(settings, factors, x, contributions, squares);
  const apart = squares ?? new Float64Array(contributions.length);
  measure(x.length, contributions, apart);
  const clipped = contributions.map((of, k): Contribution => {
    const share = rule.share(Math.sqrt(apart[k]!), of.radius ?? Number.POSITIVE_INFINITY);
    if (!(share >= 0 && share <= 1))
      throw new Error(`the rule ${settings.rule} gave a share of ${share}; wanted 0 to 1`);
    return { ...of, weight: of.weight * share };
  });
  return mixPairs(settings, factors, x, clipped);
}

/** By a rule that looks at all neighbours of a round: what it makes of them in the place of what was sent to them. */
function mixRound(
  name: RuleName,
  x: Float32Array,
  contributions: readonly Contribution[],
  given: Circumstances,
  squares?: Float64Array,
): Float32Array {
  const rule = RULES[name];
  const own = whole(contributions[0]!.mine, x.length);
  const others = contributions.map(({ theirs }) => whole(theirs, x.length));
  if (squares) for (const [k, other] of others.entries()) squares[k] = distance(own, other) ** 2;
  if (rule.type === 'filter') {
    const kept = rule.keep(own, others, given);
    return mix(
      x,
      contributions.filter((_, k) => kept[k]),
    );
  }
  if (rule.type === 'pairwise') return mix(x, contributions);
  const joined = rule.join(own, others, given);
  if (joined.length !== x.length || !isFiniteVector(joined))
    throw new Error(`the rule ${name} gave ${joined.length} numbers; wanted ${x.length} that are finite`);
  const out = new Float32Array(x.length);
  for (let i = 0; i < out.length; i++) out[i] = x[i]! + joined[i]! - own[i]!;
  return out;
}

/** Writes ||theirs - mine||^2 of each, the same at both ends to the last bit, so that both clip alike. */
function measure(count: number, contributions: readonly Contribution[], squares: Float64Array): void {
  const size = Math.min(PIECE, count);
  const room = [new Float32Array(size), new Float32Array(size)] as const;
  for (const [k, of] of contributions.entries()) {
    let sum = 0;
    for (let begin = 0; begin < count; begin += size) {
      const [a, b] = room.map((piece) => piece.subarray(0, Math.min(size, count - begin))) as [
        Float32Array,
        Float32Array,
      ];
      of.mine(begin, a);
      of.theirs(begin, b);
      for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
    }
    squares[k] = sum;
  }
}

function mixPairs(
  settings: Pick<RunSettings, 'averaging' | 'rank' | 'localRank'>,
  factors: readonly FactorPair[],
  x: Float32Array,
  contributions: readonly Contribution[],
  squares?: Float64Array,
): Float32Array {
  if (settings.averaging !== 'product') return mix(x, contributions, squares);
  // What was sent is the same for every neighbour of an exchange, so it enters once.
  const sent = new Map<Source, { readonly vector: Float32Array; weight: number }>();
  const terms: Term[] = [{ vector: x, weight: 1 }];
  for (const [k, { weight, theirs, mine }] of contributions.entries()) {
    const own = sent.get(mine) ?? { vector: whole(mine, x.length), weight: 0 };
    own.weight -= weight;
    sent.set(mine, own);
    const vector = whole(theirs, x.length);
    terms.push({ vector, weight });
    if (squares) squares[k] = distance(vector, own.vector) ** 2;
  }
  terms.push(...sent.values());
  return sumProducts(terms, factors, { rank: settings.localRank || settings.rank, like: x });
}

/** All numbers of a source. */
export function whole(source: Source, count: number): Float32Array {
  const out = new Float32Array(count);
  source(0, out);
  return out;
}

/**
 * x + sum_k w_k (theirs_k - mine_k). The other end adds the exact opposite, so the sum over both stays. Piece by piece, so
 * that what is unpacked stays in the nearest cache.
 */
export function mix(x: Float32Array, contributions: readonly Contribution[], squares?: Float64Array): Float32Array {
  const out = new Float32Array(x.length);
  const size = Math.min(PIECE, x.length);
  const room = [new Float64Array(size), new Float32Array(size), new Float32Array(size)] as const;
  for (let begin = 0; begin < x.length; begin += size) {
    const count = Math.min(size, x.length - begin);
    const [sum, theirs, mine] =
      count === size ? room : [room[0], room[1].subarray(0, count), room[2].subarray(0, count)];
    for (let i = 0; i < count; i++) sum[i] = x[begin + i]!;
    let unpacked: Source | null = null;
    for (const [k, of] of contributions.entries()) {
      if (of.mine !== unpacked) of.mine(begin, mine);
      unpacked = of.mine;
      of.theirs(begin, theirs);
      const square = addInto(sum, of.weight, theirs, mine);
      if (squares) squares[k]! += square;
    }
    for (let i = 0; i < count; i++) out[begin + i] = sum[i]!;
  }
  return out;
}

/** Adds w (a - b); gives ||a - b||^2. Two sums side by side, since each addition waits for the one before. */
function addInto(sum: Float64Array, weight: number, a: Float32Array, b: Float32Array): number {
  let [even, odd] = [0, 0];
  const pairs = a.length & ~1;
  for (let i = 0; i < pairs; i += 2) {
    const d = a[i]! - b[i]!;
    const e = a[i + 1]! - b[i + 1]!;
    sum[i] = sum[i]! + weight * d;
    sum[i + 1] = sum[i + 1]! + weight * e;
    even += d * d;
    odd += e * e;
  }
  if (pairs < a.length) {
    const d = a[pairs]! - b[pairs]!;
    sum[pairs] = sum[pairs]! + weight * d;
    even += d * d;
  }
  return even + odd;
}

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
  const weight = 1 / vectors.length;
  const terms = vectors.map((vector): Term => ({ vector, weight }));
  const drifts = vectors.map((vector): Term => ({ vector: difference(vector, centre), weight }));
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
function leftOf(terms: readonly Term[], { b, outputs, rank }: FactorPair): Columns {
  const columnOf = ({ vector, weight }: Term, r: number): Float64Array => {
    const column = new Float64Array(outputs);
    for (let i = 0; i < outputs; i++) column[i] = weight * vector[b + i * rank + r]!;
    return column;
  };
  return { rows: outputs, columns: columnsOf(terms, rank, columnOf) };
}

/** A^T of every term side by side: [inputs, terms x rank]. */
function rightOf(terms: readonly Term[], { a, inputs, rank }: FactorPair): Columns {
  const columnOf = ({ vector }: Term, r: number): Float64Array =>
    new Float64Array(vector.subarray(a + r * inputs, a + (r + 1) * inputs));
  return { rows: inputs, columns: columnsOf(terms, rank, columnOf) };
}

function columnsOf(
  terms: readonly Term[],
  rank: number,
  columnOf: (term: Term, r: number) => Float64Array,
): Float64Array[] {
  return terms.flatMap((term) => Array.from({ length: rank }, (_, r) => columnOf(term, r)));
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
