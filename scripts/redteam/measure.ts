/** @file What the honest went through in a window of time: their rounds and their memory, and whether a round was lost. */
import type { Honest } from './swarm.ts';

export interface Rounds {
  readonly count: number;
  /** Median and 95th percentile (ms); null: none. */
  readonly p50: number | null;
  readonly p95: number | null;
}

/** Rounds that ended in a window; one that is still under way at its end counts where it has taken longer than most. */
export function roundsIn(peers: readonly Honest[], from: number, to: number): Rounds {
  const ended = peers.flatMap(({ rounds }) =>
    rounds.flatMap(({ at }, i) => (i > 0 && at > from && at <= to ? [at - rounds[i - 1]!.at] : [])),
  );
  const middle = percentile(ended, 0.5) ?? 0;
  const open = peers.flatMap(({ rounds }) => {
    const last = rounds.findLast(({ at }) => at <= to);
    return last && to - last.at > 2 * middle ? [to - last.at] : [];
  });
  const all = [...ended, ...open];
  return { count: ended.length, p50: percentile(all, 0.5), p95: percentile(all, 0.95) };
}

export function percentile(values: readonly number[], share: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? null;
}

/** The most of a peer's memory in a window (MB), or the least. */
export function memoryIn({ memory }: Honest, from: number, to: number, which: 'most' | 'least' = 'most'): number {
  const seen = memory.filter(({ at }) => at > from && at <= to).map(({ mb }) => mb);
  return which === 'most' ? Math.max(...seen) : Math.min(...seen);
}

/** Rounds that somebody has gone past without being in them. */
export function skippedIn(peers: readonly Honest[], from: number): number {
  return peers.reduce(
    (sum, { rounds }) =>
      sum +
      rounds.reduce((skipped, { round, at }, i) => {
        const before = rounds[i - 1]?.round;
        return before === undefined || at <= from ? skipped : skipped + Math.max(0, round - before - 1);
      }, 0),
    0,
  );
}
