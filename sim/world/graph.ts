/** @file What a graph is like: its diameter, and how fast averaging over it forgets differences. */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
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

/** Members up to which the eigenvalues of a graph that stays are worked out: two seconds there, twenty at twice as many. */
const MAX_EIGENVALUES = 512;
/** Rounds until a vector has turned to what is forgotten last, and rounds averaged over after that. */
const [START_UP, AVERAGED] = [200, 400];
/** Below this a factor is rounding. */
const NOTHING = 1e-9;

/**
 * The factor by which a round shrinks what is forgotten last. Of a graph that stays: the second largest modulus among the
 * eigenvalues of W (1 minus it is the spectral gap), 1 where it is in parts. Of graphs that differ from round to round: the
 * mean factor over many, once the first have passed. 0 where finitely many rounds average exactly; null where there are too
 * many members to tell.
 */
export function contraction(draw: Draw): number | null {
  const n = draw.members.length;
  if (n < 2) return 0;
  const graph = drawGraph(draw);
  const next = drawGraph({ ...draw, round: draw.round + 1 });
  if (!graph.every((neighbours, i) => String(neighbours) === String(next[i]))) return meanFactor(draw);
  if (!Number.isFinite(diameter(graph))) return 1;
  return n <= MAX_EIGENVALUES ? secondEigenvalue(graph) : null;
}

/** The largest modulus among the eigenvalues of W but that of the mean. */
function secondEigenvalue(graph: Graph): number {
  const n = graph.length;
  // Less the mean, whose eigenvalue is 1 and then 0.
  const w = Matrix.zeros(n, n).sub(1 / n);
  for (const [i, neighbours] of graph.entries()) {
    let rest = 1;
    for (const j of neighbours) {
      const weight = edgeWeight(neighbours.length, graph[j]!.length);
      w.set(i, j, w.get(i, j) + weight);
      rest -= weight;
    }
    w.set(i, i, w.get(i, i) + rest);
  }
  const { realEigenvalues } = new EigenvalueDecomposition(w, { assumeSymmetric: true });
  const largest = Math.max(...realEigenvalues.map(Math.abs));
  return largest < NOTHING ? 0 : largest;
}

/** How much a round shrinks a vector, in the geometric mean over graphs that differ from round to round. */
function meanFactor(draw: Draw): number {
  const prng = createPrng(draw.runId).fork('contraction');
  let x = centred(Float64Array.from(draw.members, prng.normal));
  let logs = 0;
  for (let round = 0; round < START_UP + AVERAGED; round++) {
    const before = Math.hypot(...x);
    x = centred(mixOnce(drawGraph({ ...draw, round }), x));
    const size = Math.hypot(...x);
    if (size < 1e-12 * before) return 0;
    if (round >= START_UP) logs += Math.log(size / before);
    x = x.map((value) => value / size);
  }
  return Math.min(1, Math.exp(logs / AVERAGED));
}

/** Rounds in which a factor a round brings differences down to `target`; null: never. */
export function boundOf(factor: number, target: number): number | null {
  if (factor >= 1 - 1e-12) return null;
  return factor <= 0 ? 1 : Math.ceil(Math.log(target) / Math.log(factor));
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
