/** @file What a graph is like: its diameter, and how fast averaging over it forgets differences. */
import { edgeWeight } from '../../protocol/mixing.ts';
import { type Draw, drawGraph } from '../../protocol/neighbours.ts';
import { createPrng } from '../../protocol/prng.ts';

/** Neighbours of each member, by place. */
export type Graph = readonly (readonly number[])[];

/** The longest of the shortest ways between two members; Infinity where some cannot reach each other. */
export function diameter(graph: Graph): number {
  let longest = 0;
  for (let from = 0; from < graph.length; from++) {
    const steps = new Array<number>(graph.length).fill(Number.POSITIVE_INFINITY);
    steps[from] = 0;
    const queue = [from];
    for (const at of queue) {
      for (const next of graph[at]!) {
        if (steps[next] !== Number.POSITIVE_INFINITY) continue;
        steps[next] = steps[at]! + 1;
        queue.push(next);
      }
    }
    longest = Math.max(longest, ...steps);
  }
  return longest;
}

/** W x with Metropolis-Hastings weights: what one lossless round of mixing does to a number a peer. */
export function mixOnce(graph: Graph, x: Float64Array): Float64Array {
  return x.map((own, i) =>
    graph[i]!.reduce((sum, j) => sum + edgeWeight(graph[i]!.length, graph[j]!.length) * (x[j]! - own), own),
  );
}

const [POWER_ROUNDS, SETTLED] = [20_000, 1e-10];

/**
 * The factor by which a round shrinks what is forgotten last: the second largest eigenvalue of W where the graph stays
 * (1 minus it is the spectral gap), else the mean factor over many draws. 0 where finitely many rounds average exactly.
 */
export function contraction(draw: Draw): number {
  const prng = createPrng(draw.runId).fork('contraction');
  const still = drawGraph(draw);
  let x = centred(Float64Array.from(draw.members, prng.normal));
  let factor = 0;
  let logs = 0;
  for (let round = 0; round < POWER_ROUNDS; round++) {
    const before = Math.hypot(...x);
    if (before < 1e-280) return 0;
    x = centred(mixOnce(draw.redraw ? drawGraph({ ...draw, round }) : still, x));
    const size = Math.hypot(...x);
    if (size < 1e-12 * before) return 0;
    logs += Math.log(size / before);
    x = x.map((value) => value / size);
    // Fresh graphs are averaged over; a graph that stays turns the vector towards what it forgets last.
    const next = draw.redraw ? Math.exp(logs / (round + 1)) : size / before;
    if (draw.redraw ? round >= 200 : round > 20 && Math.abs(next - factor) < SETTLED * next) return next;
    factor = next;
  }
  return factor;
}

/** Rounds in which a factor a round brings differences down to `target`. */
export function boundOf(factor: number, target: number): number {
  return factor <= 0 ? 1 : Math.ceil(Math.log(target) / Math.log(Math.min(factor, 1 - 1e-12)));
}

/** Lossless rounds until disagreement is `target` of the first; null after `limit`. Starts from normal numbers, `width` a peer. */
export function roundsToConsensus(
  draw: Draw,
  { target, limit, width = 32 }: { target: number; limit: number; width?: number },
): number | null {
  const n = draw.members.length;
  const prng = createPrng(draw.runId).fork('consensus');
  let columns = Array.from({ length: width }, () => centred(Float64Array.from({ length: n }, prng.normal)));
  const size = (): number => Math.hypot(...columns.map((x) => Math.hypot(...x)));
  const first = size();
  for (let round = 0; round < limit; round++) {
    const graph = drawGraph({ ...draw, round });
    columns = columns.map((x) => mixOnce(graph, x));
    if (size() <= target * first) return round + 1;
  }
  return null;
}

function centred(x: Float64Array): Float64Array {
  const mean = x.reduce((a, b) => a + b, 0) / x.length;
  return x.map((value) => value - mean);
}
