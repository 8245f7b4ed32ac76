/** @file Adds up what peers report, round by round, without keeping their adapters. */
import type { Metric } from '../../protocol/events.ts';

export interface SimulatedRound {
  readonly round: number;
  /** Who mixed it; the others skipped it. */
  readonly peers: number;
  /** When the last of them had mixed it (virtual ms). */
  readonly atMs: number;
  /** What all had sent when half of them had mixed it. */
  readonly bytes: number;
  /** Root mean square distance from their mean, relative to that of the start. */
  readonly apart: number;
  /** By the trainer's own measure: of their mean, of each on average, of the worst. */
  readonly loss: number;
  readonly lossOfPeers: number;
  readonly lossOfWorst: number;
}

type Loss = (x: Float32Array) => number | Promise<number>;

export interface Tally {
  readonly take: (peer: number, metric: Metric, now: number, bytes: number) => void;
  readonly rounds: () => Promise<SimulatedRound[]>;
  readonly abandoned: () => number;
  readonly cancelled: () => number;
  readonly adopted: () => number;
  /** Where the mean should be: at the start, moved by what latecomers adopted. */
  readonly expected: () => Float32Array;
}

interface Sums {
  readonly vector: Float64Array;
  squares: number;
  readonly losses: (number | Promise<number>)[];
  readonly seen: Set<number>;
  atMs: number;
  bytes: number;
}

export function createTally(options: { peers: number; start: Float32Array; spread: number; loss: Loss | null }): Tally {
  const { peers, start, spread, loss } = options;
  const open = new Map<number, Sums>();
  const done: Promise<SimulatedRound>[] = [];
  const closed = new Set<number>();
  const moved = new Float64Array(start.length);
  let [abandoned, cancelled, adopted] = [0, 0, 0];
  /** Sums are of distances from the start, so that small differences survive. */
  const add = (sums: Sums, x: Float32Array): void => {
    for (let i = 0; i < x.length; i++) {
      const d = x[i]! - start[i]!;
      sums.vector[i]! += d;
      sums.squares += d * d;
    }
  };
  const close = async (round: number, sums: Sums, of: Loss): Promise<SimulatedRound> => {
    const count = sums.losses.length;
    const middle = start.map((x, i) => x + sums.vector[i]! / count);
    const square = sums.vector.reduce((sum, d) => sum + (d / count) ** 2, 0);
    const apart = Math.sqrt(Math.max(0, sums.squares / count - square)) / spread;
    const losses = await Promise.all(sums.losses);
    const lossOfPeers = losses.reduce((a, b) => a + b, 0) / count;
    return {
      round,
      peers: count,
      atMs: sums.atMs,
      bytes: sums.bytes,
      apart,
      loss: await of(middle),
      lossOfPeers,
      lossOfWorst: Math.max(...losses),
    };
  };
  return {
    take: (peer, metric, now, bytes) => {
      if (metric.type === 'abandoned') abandoned += 1;
      if (metric.type === 'cancelled') cancelled += 1;
      if (metric.type === 'adopted') {
        adopted += 1;
        for (let i = 0; i < moved.length; i++) moved[i]! += metric.adapter[i]! - metric.before[i]!;
      }
      if (metric.type !== 'mixed' || !loss || closed.has(metric.round)) return;
      const fresh: Sums = {
        vector: new Float64Array(start.length),
        squares: 0,
        losses: [],
        seen: new Set(),
        atMs: now,
        bytes,
      };
      const sums = open.get(metric.round) ?? fresh;
      open.set(metric.round, sums);
      if (sums.seen.has(peer)) return; // once more, after a crash before it was saved
      sums.seen.add(peer);
      add(sums, metric.adapter);
      sums.losses.push(loss(metric.adapter));
      sums.atMs = now;
      if (2 * sums.losses.length <= peers) sums.bytes = bytes;
      if (sums.losses.length < peers) return;
      open.delete(metric.round);
      closed.add(metric.round);
      done.push(close(metric.round, sums, loss));
    },
    rounds: async () => {
      const rest = loss ? [...open].map(([round, sums]) => close(round, sums, loss)) : [];
      return (await Promise.all([...done, ...rest])).sort((a, b) => a.round - b.round);
    },
    abandoned: () => abandoned,
    cancelled: () => cancelled,
    adopted: () => adopted,
    expected: () => start.map((x, i) => x + moved[i]! / peers),
  };
}
