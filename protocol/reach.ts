/**
 * @file How far a peer lets a neighbour move it: what its own training moves it by, and how far neighbours were of late. Liars
 * cannot stretch it, as long as fewer than half of the neighbours are: it goes by the median. Who was much further away than
 * others when it was met last may move it by as much less.
 */
import type { RunSettings } from './config.ts';

export interface Reach {
  /** ||after - before|| of the last training; 0: none yet. */
  moved: number;
  /** ||theirs - mine|| of the last exchanges, the newest last. */
  distances: readonly number[];
  /** How many medians away a neighbour was when it was last met, where that was far; the oldest first. Not kept. */
  readonly far: Map<string, number>;
}

/** Distances that are kept, and neighbours that are known to be far. */
const [MAX_DISTANCES, MAX_FAR] = [24, 256];
/** Medians away from which on a neighbour is far. */
const FAR = 1.5;

export function createReach(): Reach {
  return { moved: 0, distances: [], far: new Map() };
}

/** Takes in how far neighbours were. */
export function remember({ distances: before, ...reach }: Reach, met: readonly { id: string; apart: number }[]): Reach {
  const distances = [...before, ...met.map(({ apart }) => Math.fround(apart))].slice(-MAX_DISTANCES);
  const usual = median(distances);
  for (const { id, apart } of met) {
    reach.far.delete(id);
    if (usual > 0 && apart > FAR * usual) reach.far.set(id, apart / usual);
  }
  for (const id of reach.far.keys()) if (reach.far.size > MAX_FAR) reach.far.delete(id);
  return { ...reach, distances };
}

/**
 * The radius to be announced to a neighbour: `ruleRadius` times the median of the last distances, or, in a round that trains,
 * of what two alike would be apart by that alone if that is more. Infinity where nothing is known, and for rules without.
 */
export function radiusOf(
  { moved, distances, far }: Reach,
  { rule, ruleRadius, rounds }: Pick<RunSettings, 'rule' | 'ruleRadius' | 'rounds'>,
  { round, id }: { round: number; id: string },
): number {
  if (rule !== 'clip') return Number.POSITIVE_INFINITY;
  const own = round < rounds ? apartBy(moved) : 0;
  const scale = Math.max(own, median(distances));
  if (!(scale > 0)) return Number.POSITIVE_INFINITY;
  return Math.fround((ruleRadius * scale * FAR) / Math.max(FAR, far.get(id) ?? 0));
}

/** How far apart two are that have both moved so far, in directions of their own. */
function apartBy(moved: number): number {
  return Math.SQRT2 * moved;
}

/** How far a neighbour may be in BALANCE: less and less over the run (its exponent, kappa, is 1). */
export function toleranceOf(
  { moved }: Reach,
  { ruleRadius, rounds }: Pick<RunSettings, 'ruleRadius' | 'rounds'>,
  round: number,
): number {
  const shrunk = Math.exp(-Math.min(1, round / rounds));
  return moved > 0 ? 2 * ruleRadius * shrunk * apartBy(moved) : Number.POSITIVE_INFINITY;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] ?? 0;
}
