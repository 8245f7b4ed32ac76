/**
 * @file Neighbours that are copies of each other, as those that lie together are and those that learn from texts of their
 * own are not (after FoolsGold: Fung, Yoon and Beschastnikh 2018, arXiv:1808.04866).
 */
import { PIECE } from './codec.ts';
import type { Source } from './mixing.ts';
import { median } from './vector.ts';

/** Two are copies that are nearer to each other than this share of what is usual between neighbours. */
const COPY = 0.3;
/** Of fewer neighbours no median says what is usual. */
const MIN_NEIGHBOURS = 4;
/** Pieces that are compared at most, spread evenly: enough to tell, whatever the adapter's size. */
const MAX_PIECES = 64;

/** Which of these are copies of another of them; `usual`: how far neighbours were of late. */
export function copiesAmong(count: number, sources: readonly Source[], usual: number): boolean[] {
  const copies = sources.map(() => false);
  if (sources.length < MIN_NEIGHBOURS) return copies;
  const apart = distancesBetween(count, sources);
  const most = COPY * Math.min(usual, median(apart.map(({ distance }) => distance)));
  for (const { a, b, distance } of apart) if (distance < most) copies[a] = copies[b] = true;
  return copies;
}

function distancesBetween(count: number, sources: readonly Source[]): { a: number; b: number; distance: number }[] {
  const size = Math.min(PIECE, count);
  const stride = size * Math.ceil(count / size / MAX_PIECES);
  const room = sources.map(() => new Float32Array(size));
  const squares = sources.map((_, a) => new Float64Array(a));
  let compared = 0;
  for (let begin = 0; begin < count; begin += stride) {
    const pieces = room.map((piece) => piece.subarray(0, Math.min(size, count - begin)));
    for (const [k, source] of sources.entries()) source(begin, pieces[k]!);
    compared += pieces[0]!.length;
    for (const [a, of] of squares.entries())
      for (let b = 0; b < a; b++) of[b]! += squareDistance(pieces[a]!, pieces[b]!);
  }
  const whole = count / compared;
  return squares.flatMap((of, a) => Array.from(of, (square, b) => ({ a, b, distance: Math.sqrt(whole * square) })));
}

function squareDistance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum;
}
