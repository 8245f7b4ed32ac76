/**
 * @file What becomes of neighbours' adapters: the rules of mixing, each with what it conserves. Pairwise rules add opposites
 * at the two ends of an edge, whenever each gets to it, so the mean of honest peers stays. The others look at a round's
 * neighbours side by side, so each end decides for itself and nothing is conserved; what comes late they leave out.
 */
import { addOwn } from './own.ts';
import { distance } from './vector.ts';

/** What a rule may know beside the vectors. */
export interface Circumstances {
  /** Neighbours that may be hostile, of those there are. */
  readonly hostile: number;
  /** How far an honest neighbour may be, by this peer's own training. */
  readonly reach: number;
  /** How badly an adapter does on this peer's own labels; null where that cannot be had. */
  readonly score: ((adapter: Float32Array) => number) | null;
}

interface Described {
  readonly conserves: 'the mean' | 'nothing';
  readonly about: string;
}

/** The share of a difference that both ends add, by its length and the smaller of the two announced radii. */
interface Pairwise {
  readonly type: 'pairwise';
  readonly share: (apart: number, radius: number) => number;
}

/** One vector in the place of this peer's own and its neighbours'. */
interface Joint {
  readonly type: 'joint';
  readonly join: (own: Float32Array, others: readonly Float32Array[], given: Circumstances) => Float32Array;
}

/** Which neighbours are averaged; the others are taken for this peer itself. */
interface Filter {
  readonly type: 'filter';
  readonly keep: (own: Float32Array, others: readonly Float32Array[], given: Circumstances) => boolean[];
}

export type Rule = Described & (Pairwise | Joint | Filter);

export const RULE_NAMES = [
  'mean',
  'clip',
  'trimmed-mean',
  'median',
  'geometric-median',
  'krum',
  'balance',
  'loss-filter',
] as const;
export type RuleName = (typeof RULE_NAMES)[number];

const table: Record<RuleName, Rule> = {
  mean: {
    type: 'pairwise',
    conserves: 'the mean',
    about: 'plain averaging, Metropolis-Hastings weights (Xiao and Boyd 2004)',
    share: () => 1,
  },
  clip: {
    type: 'pairwise',
    conserves: 'the mean',
    about:
      'self-centred clipping (He, Karimireddy and Jaggi 2022, arXiv:2202.01545), by the smaller of two announced radii',
    share: (apart, radius) => (apart > radius ? radius / apart : 1),
  },
  'trimmed-mean': {
    type: 'joint',
    conserves: 'nothing',
    about: 'number by number, the mean without the largest and smallest (Yin et al. 2018, arXiv:1803.01498)',
    join: (own, others, { hostile }) => {
      const cut = Math.min(hostile, Math.floor(others.length / 2));
      return byNumber([own, ...others], (sorted) => meanOf(sorted.subarray(cut, sorted.length - cut)));
    },
  },
  median: {
    type: 'joint',
    conserves: 'nothing',
    about: 'number by number, the median (Yin et al. 2018, arXiv:1803.01498)',
    join: (own, others) =>
      byNumber([own, ...others], (sorted) => {
        const half = (sorted.length - 1) >> 1;
        return meanOf(sorted.subarray(half, sorted.length - half));
      }),
  },
  'geometric-median': {
    type: 'joint',
    conserves: 'nothing',
    about: 'the point with the smallest sum of distances, by Weiszfeld (Pillutla et al. 2019, arXiv:1912.13445)',
    join: (own, others) => geometricMedian([own, ...others]),
  },
  krum: {
    type: 'joint',
    conserves: 'nothing',
    about: 'the one vector that is nearest to its nearest (Blanchard et al. 2017, arXiv:1703.02757)',
    join: (own, others, { hostile }) => krum([own, ...others], hostile),
  },
  balance: {
    type: 'filter',
    conserves: 'nothing',
    about: "whoever is near enough, by one's own update (BALANCE, arXiv:2406.10416, of updates rather than adapters)",
    keep: (own, others, { reach }) => others.map((other) => distance(own, other) <= reach),
  },
  'loss-filter': {
    type: 'filter',
    conserves: 'nothing',
    about: "of the nearest, those that do no worse than oneself on one's own labels (UBAR, arXiv:2002.08056)",
    keep: (own, others, given) => lossFilter(own, others, given),
  },
};

export const RULES: Readonly<Record<RuleName, Rule>> = table;

/** Names of the rules that this program has brought along. */
export const OWN_RULES = new Set<string>();

/** Lets this process mix by a rule of its own; the name enters the run id. Throws where the name is none or stands for another. */
export function addRule(name: string, rule: Rule): void {
  addOwn(table, OWN_RULES, name, rule);
}

/** Sorts each number of the vectors and reduces it to one. */
function byNumber(vectors: readonly Float32Array[], reduce: (sorted: Float64Array) => number): Float32Array {
  const out = new Float32Array(vectors[0]!.length);
  const column = new Float64Array(vectors.length);
  for (let i = 0; i < out.length; i++) {
    for (const [k, vector] of vectors.entries()) column[k] = vector[i]!;
    out[i] = reduce(column.sort());
  }
  return out;
}

function meanOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/** Steps of Weiszfeld; and what is left of a step, as a share of the spread, when they end. */
const [WEISZFELD_STEPS, WEISZFELD_TOLERANCE] = [50, 1e-6];

function geometricMedian(vectors: readonly Float32Array[]): Float32Array {
  let at = weighted(vectors, new Float64Array(vectors.length).fill(1));
  for (let step = 0; step < WEISZFELD_STEPS; step++) {
    const apart = vectors.map((vector) => distance(vector, at));
    const spread = Math.max(...apart);
    if (spread === 0) return at;
    // Smoothed, since the median may be one of the vectors.
    const next = weighted(
      vectors,
      Float64Array.from(apart, (d) => 1 / Math.max(d, WEISZFELD_TOLERANCE * spread)),
    );
    const moved = distance(next, at);
    at = next;
    if (moved <= WEISZFELD_TOLERANCE * spread) break;
  }
  return at;
}

/** The mean by weights, which need not sum to 1. */
function weighted(vectors: readonly Float32Array[], weights: Float64Array): Float32Array {
  const sum = new Float64Array(vectors[0]!.length);
  for (const [k, vector] of vectors.entries()) for (let i = 0; i < sum.length; i++) sum[i]! += weights[k]! * vector[i]!;
  const whole = weights.reduce((a, b) => a + b, 0);
  return Float32Array.from(sum, (value) => value / whole);
}

/** The vector whose `n - hostile - 2` nearest are nearest; the first of equals, so oneself before others. */
function krum(vectors: readonly Float32Array[], hostile: number): Float32Array {
  const near = Math.max(1, vectors.length - hostile - 2);
  const scores = vectors.map((vector) => {
    const squares = vectors.filter((other) => other !== vector).map((other) => distance(vector, other) ** 2);
    return squares
      .sort((a, b) => a - b)
      .slice(0, near)
      .reduce((a, b) => a + b, 0);
  });
  return vectors[scores.indexOf(Math.min(...scores))]!;
}

/** Of the nearest, those that do no worse than oneself; where none does, the best of them. */
function lossFilter(own: Float32Array, others: readonly Float32Array[], { hostile, score }: Circumstances): boolean[] {
  if (!score) throw new Error('the rule loss-filter scores adapters, which nothing here can');
  const order = [...others.keys()].sort((a, b) => distance(own, others[a]!) - distance(own, others[b]!) || a - b);
  const near = order.slice(0, Math.max(1, others.length - hostile));
  const losses = others.map((other, k) => (near.includes(k) ? score(other) : Number.POSITIVE_INFINITY));
  const bound = Math.max(score(own), Math.min(...losses));
  return losses.map((loss) => loss <= bound);
}
