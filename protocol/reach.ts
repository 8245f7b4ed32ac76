/**
 * @file How far a peer lets a neighbour move it: what its own training moves it by, and how far neighbours were of late. Liars
 * cannot stretch it, as long as fewer than half of the neighbours are: it goes by the median. Who was much further away than
 * others when it was met last may move it by as much less; how much further, depends on how many others there are.
 */
import type { RunSettings } from './config.ts';
import { copiesAmong } from './copies.ts';
import type { Contribution } from './mixing.ts';
import { median } from './vector.ts';

export interface Reach {
  /** ||after - before|| of the last training; 0: none yet. */
  moved: number;
  /** ||theirs - mine|| of the last exchanges, the newest last. */
  distances: readonly number[];
  /** How many medians away a neighbour was when it was last met, where that was far; the oldest first. Not kept. */
  readonly far: Map<string, number>;
  /** For how many meetings a neighbour that was a copy of another one moves nobody; the oldest first. Not kept. */
  readonly copies: Map<string, number>;
}

/** Distances that are kept, and neighbours that are known to be far. */
const [MAX_DISTANCES, MAX_FAR] = [24, 256];
/** Medians away from which on a neighbour is far; with fewer neighbours than so many it is more. */
const [FAR, FEW] = [1.5, 6];

export function createReach(): Reach {
  return { moved: 0, distances: [], far: new Map(), copies: new Map() };
}

/** Meetings for which a copy of another neighbour moves nobody: the two are seldom drawn together. */
const HELD = 4;

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

/** Takes in which of a round's neighbours are copies of each other, where each has trained; the others are a meeting nearer to be believed again. */
export function doubtCopies(
  { moved, distances, copies }: Reach,
  { rule, rounds }: Pick<RunSettings, 'rule' | 'rounds'>,
  {
    round,
    count,
    met,
  }: { round: number; count: number; met: readonly (Pick<Contribution, 'theirs'> & { id: string })[] },
): void {
  if (rule !== 'clip' || moved === 0 || round >= rounds) return;
  const sources = met.map(({ theirs }) => theirs);
  const found = copiesAmong(count, sources, median(distances));
  for (const [k, { id }] of met.entries()) {
    const left = found[k] ? HELD : (copies.get(id) ?? 0) - 1;
    copies.delete(id);
    if (left > 0) copies.set(id, left);
  }
  for (const id of copies.keys()) if (copies.size > MAX_FAR) copies.delete(id);
}

/**
 * The radius to be announced to a neighbour: `ruleRadius` times the median of the last distances, or, in a round that trains,
 * of what two alike would be apart by that alone if that is more. Infinity where nothing is known, and for rules without.
 */
export function radiusOf(
  { moved, distances, far, copies }: Reach,
  { rule, ruleRadius, rounds }: Pick<RunSettings, 'rule' | 'ruleRadius' | 'rounds'>,
  { round, id, neighbours }: { round: number; id: string; neighbours: number },
): number {
  if (rule !== 'clip') return Number.POSITIVE_INFINITY;
  if (copies.has(id)) return 0;
  const own = round < rounds ? apartBy(moved) : 0;
  const scale = Math.max(own, median(distances));
  if (!(scale > 0)) return Number.POSITIVE_INFINITY;
  const limit = FAR * (FEW / Math.min(FEW, Math.max(1, neighbours))) ** 2; // of few, the median says little of what is usual
  return Math.fround((ruleRadius * scale * limit) / Math.max(limit, far.get(id) ?? 0));
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
