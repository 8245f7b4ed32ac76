/** @file Deals a pool of texts to peers: alike, by domain, with skewed labels or skewed amounts; all from a seed. */
import { createPrng, type Prng } from '../../protocol/prng.ts';
import type { Item } from './datasets.ts';

export interface PeerShare {
  readonly gold: readonly Item[];
  /** Labels unseen by the peer, kept for measuring. */
  readonly unlabelled: readonly Item[];
}

export interface PartitionOptions {
  readonly seed: string;
  readonly peers: number;
  readonly classes: number;
  readonly goldPerClass: number;
  /** At most so many unlabelled texts a peer. */
  readonly unlabelled: number;
  /** Concentration of the skewed partitions. */
  readonly alpha: number;
}

type Deal = (pool: readonly Item[], options: PartitionOptions, prng: Prng) => Item[][];

/** One entry a way of dealing. */
export const PARTITIONS: Readonly<Record<string, Deal>> = {
  /** Everybody the same. */
  iid: (pool, { peers }, prng) => dealByShares(prng.shuffle(pool), new Array(peers).fill(1 / peers)),
  /** Peer i holds domain i modulo their number; of more domains than peers, each goes to a peer all the same. */
  'by-domain': (pool, { peers }, prng) => {
    const domains = [...new Set(pool.map((e) => e.domain))].sort();
    const hands: Item[][] = Array.from({ length: peers }, () => []);
    for (const [d, domain] of domains.entries()) {
      const holders = hands.filter((_, i) => (peers < domains.length ? d % peers === i : i % domains.length === d));
      const dealt = dealByShares(
        prng.shuffle(pool.filter((e) => e.domain === domain)),
        new Array(holders.length).fill(1 / holders.length),
      );
      for (const [i, hand] of holders.entries()) hand.push(...dealt[i]!);
    }
    return hands;
  },
  /** Each class is dealt by shares from Dirichlet(alpha) (Hsu, Qi and Brown 2019, arXiv:1909.06335). */
  dirichlet: (pool, { peers, classes, alpha }, prng) => {
    const hands: Item[][] = Array.from({ length: peers }, () => []);
    for (let y = 0; y < classes; y++) {
      const dealt = dealByShares(prng.shuffle(pool.filter((e) => e.y === y)), drawDirichlet(peers, alpha, prng));
      for (const [i, hand] of hands.entries()) hand.push(...dealt[i]!);
    }
    return hands;
  },
  /** Amounts from Dirichlet(alpha), labels alike. */
  quantity: (pool, { peers, alpha }, prng) => dealByShares(prng.shuffle(pool), drawDirichlet(peers, alpha, prng)),
  /** Each file to a peer of its own, in their order. */
  files: (pool) => {
    const files = [...new Set(pool.map((e) => e.domain))];
    return files.map((file) => pool.filter((e) => e.domain === file));
  },
};

/** Every peer's gold and unlabelled texts. Gold is balanced where the peer's texts allow it, else as its texts are. */
export function partition(kind: string, pool: readonly Item[], options: PartitionOptions): PeerShare[] {
  const prng = createPrng(options.seed).fork('partition').fork(kind);
  const deal = PARTITIONS[kind];
  if (!deal) throw new Error(`no partition ${kind}`);
  const wanted = options.goldPerClass * options.classes;
  const hands = deal(pool, options, prng);
  const average = pool.length / options.peers;
  return hands.map((hand, i) => {
    if (kind === 'files')
      return {
        gold: hand.filter((e) => e.y >= 0),
        unlabelled: hand.filter((e) => e.y < 0).slice(0, options.unlabelled),
      };
    const mixed = prng.fork(i).shuffle(hand);
    const count =
      kind === 'quantity' ? Math.max(options.classes, Math.round((wanted * hand.length) / average)) : wanted;
    const gold =
      kind === 'dirichlet'
        ? mixed.slice(0, count)
        : balanced(mixed, options.classes, Math.ceil(count / options.classes));
    const taken = new Set(gold);
    return { gold, unlabelled: mixed.filter((e) => !taken.has(e)).slice(0, options.unlabelled) };
  });
}

function balanced(items: readonly Item[], classes: number, each: number): Item[] {
  return Array.from({ length: classes }, (_, y) => items.filter((e) => e.y === y).slice(0, each)).flat();
}

/** Cuts a list at the cumulated shares. */
function dealByShares(items: readonly Item[], shares: readonly number[]): Item[][] {
  let begin = 0;
  let cumulated = 0;
  return shares.map((share) => {
    cumulated += share;
    const end = Math.round(cumulated * items.length);
    const hand = items.slice(begin, end);
    begin = end;
    return hand;
  });
}

/** Shares that sum to one. Worked out in logarithms, since with a small alpha every one of the gammas may be below any float. */
export function drawDirichlet(count: number, alpha: number, prng: Prng): number[] {
  const logs = Array.from({ length: count }, () => drawLogGamma(alpha, prng));
  const largest = Math.max(...logs);
  const gammas = logs.map((log) => Math.exp(log - largest));
  const total = gammas.reduce((a, b) => a + b, 0);
  return gammas.map((g) => g / total);
}

/** The logarithm of Gamma(shape, 1); a shape below 1 by way of shape + 1. */
function drawLogGamma(shape: number, prng: Prng): number {
  if (shape >= 1) return Math.log(drawGamma(shape, prng));
  return Math.log(drawGamma(shape + 1, prng)) + Math.log(1 - prng.random()) / shape;
}

/** Gamma(shape, 1) of a shape of 1 or more. Marsaglia and Tsang 2000. */
function drawGamma(shape: number, prng: Prng): number {
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = prng.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - prng.random()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}
