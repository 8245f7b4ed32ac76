/**
 * @file Who mixes with whom in a round: a pure function of run, round and members, so every peer draws the same graph.
 * Views of the members may differ a little; the draw is made so that the graphs then differ a little too.
 */
import { hash32 } from './prng.ts';

export const SCHEDULE_NAMES = ['random-regular', 'ring', 'full'] as const;
export type ScheduleName = (typeof SCHEDULE_NAMES)[number];

export interface Draw {
  readonly runId: string;
  readonly round: number;
  /** Sorted ids, each once. */
  readonly members: readonly string[];
  /** Even; of random-regular only. */
  readonly degree: number;
}

/** Up to this many members mix all with all, whatever the schedule but the ring. */
const FULL_UP_TO = 5;

type Schedule = (draw: Draw) => readonly (readonly string[])[];

/** A graph as a list of closed walks; consecutive members of a walk are neighbours. */
const SCHEDULES: Readonly<Record<Exclude<ScheduleName, 'full'>, Schedule>> = {
  ring: ({ members }) => [members],
  /**
   * degree / 2 random Hamiltonian cycles: close to a uniform random regular graph (Kim and Wormald 2001), and a member
   * that only one of two views knows changes only the edges next to it.
   */
  'random-regular': ({ runId, round, members, degree }) =>
    Array.from({ length: degree / 2 }, (_, cycle) => {
      const key = new Map(members.map((id) => [id, hash32(`${runId}/${round}/${cycle}/${id}`)]));
      return [...members].sort((a, b) => key.get(a)! - key.get(b)! || (a < b ? -1 : 1));
    }),
};

/** The sorted neighbours of `self` in this round; without itself, each once. */
export function drawNeighbours(schedule: ScheduleName, draw: Draw, self: string): string[] {
  const others = draw.members.filter((id) => id !== self);
  const all = schedule === 'full' || (schedule !== 'ring' && draw.members.length <= FULL_UP_TO);
  if (all) return others;
  const chosen = new Set<string>();
  for (const walk of SCHEDULES[schedule](draw)) {
    const at = walk.indexOf(self);
    if (at < 0) continue;
    chosen.add(walk[(at + 1) % walk.length]!);
    chosen.add(walk[(at + walk.length - 1) % walk.length]!);
  }
  chosen.delete(self);
  return [...chosen].sort();
}
