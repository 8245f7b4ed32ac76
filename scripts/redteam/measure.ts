/** @file What the honest went through in a window of time: their rounds and their memory, and whether somebody went astray. */
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
  const within = memory.filter(({ at }) => at > from && at <= to);
  const seen = (within.length > 0 ? within : memory.slice(-1)).map(({ mb }) => mb);
  return which === 'most' ? Math.max(...seen) : Math.min(...seen);
}

/**
 * By how many rounds somebody has gone beyond where any of the others was: who is left behind may skip rounds to where they
 * are, and nobody goes where there is nobody.
 */
export function strayedIn(peers: readonly Honest[], from: number): number {
  const reached = (peer: Honest, by: number): number => peer.rounds.findLast(({ at }) => at <= by)?.round ?? 0;
  const strays = peers.flatMap((peer) =>
    peer.rounds
      .filter(({ at }) => at > from)
      .map(({ round, at }) => {
        const before = Math.max(
          reached(peer, at - 1e-3),
          ...peers.filter((p) => p !== peer).map((p) => reached(p, at)),
        );
        return round - before - 1;
      }),
  );
  return Math.max(0, ...strays);
}
