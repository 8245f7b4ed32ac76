/**
 * @file Ways to average under loss, in rounds, side by side: what each does to the mean, how fast it is, what it sends and
 * keeps. The protocol's own (`ledger`) is here as its rule alone; sim/world/world.ts runs the code itself.
 */
import { edgeWeight } from '../../protocol/mixing.ts';
import type { Prng } from '../../protocol/prng.ts';
import type { Graph } from '../../sim/world/graph.ts';

/** Whether a message gets through. */
export type Deliver = (from: number, to: number) => boolean;

export interface Averaging {
  /** What each peer holds for the mean. */
  estimates(): Float64Array[];
  /** One round among these neighbours; gives how many vectors were sent. */
  round(graph: Graph, deliver: Deliver): number;
  /** Local training: adds to what a peer brings in. */
  add(peer: number, delta: Float64Array): void;
  /** Vectors a peer keeps beside its own, on average. */
  kept(): number;
}

/** One entry a way. Each is given a vector a peer. */
export const AVERAGINGS: Readonly<Record<string, (start: readonly Float64Array[]) => Averaging>> = {
  /** x_i = what arrived, weights scaled up to 1. */
  renormalise: (start) => {
    const x = start.map((v) => Float64Array.from(v));
    return {
      estimates: () => x,
      kept: () => 0,
      add: (i, delta) => addTo(x[i]!, delta, 1),
      round: (graph, deliver) => {
        const old = x.map((v) => Float64Array.from(v));
        let sent = 0;
        for (const [i, neighbours] of graph.entries()) {
          let total = 1;
          for (const j of neighbours) total -= edgeWeight(neighbours.length, graph[j]!.length);
          scale(x[i]!, total);
          for (const j of neighbours) {
            sent += 1;
            if (!deliver(j, i)) continue;
            const weight = edgeWeight(neighbours.length, graph[j]!.length);
            addTo(x[i]!, old[j]!, weight);
            total += weight;
          }
          scale(x[i]!, 1 / total);
        }
        return sent;
      },
    };
  },
  /** Shares of a sum and of a count go to the neighbours (Kempe et al. 2003); what is lost is gone. */
  'push-sum': (start) => pushSum(start, false),
  /** The same with all a peer has ever sent over an edge in each message (Vaidya et al. 2011): what was lost comes with the next. */
  'push-sum, cumulative': (start) => pushSum(start, true),
  /** Flows along edges, each end telling the other's negative (Jesus, Baquero and Almeida 2009). */
  'flow updating': (start) => {
    const value = start.map((v) => Float64Array.from(v));
    const flows = start.map(() => new Map<number, Float64Array>());
    const heard = start.map(() => new Map<number, Float64Array>());
    const estimate = (i: number): Float64Array => {
      const e = Float64Array.from(value[i]!);
      for (const flow of flows[i]!.values()) addTo(e, flow, -1);
      return e;
    };
    return {
      estimates: () => value.map((_, i) => estimate(i)),
      kept: () => mean(flows.map((f) => f.size)) + mean(heard.map((h) => h.size)),
      add: (i, delta) => addTo(value[i]!, delta, 1),
      round: (graph, deliver) => {
        const messages: { from: number; to: number; flow: Float64Array; average: Float64Array }[] = [];
        for (const [i, neighbours] of graph.entries()) {
          const own = estimate(i);
          const average = Float64Array.from(own);
          for (const j of neighbours) addTo(average, heard[i]!.get(j) ?? own, 1);
          scale(average, 1 / (1 + neighbours.length));
          for (const j of neighbours) {
            const flow = Float64Array.from(flows[i]!.get(j) ?? new Float64Array(own.length));
            addTo(flow, average, 1);
            addTo(flow, heard[i]!.get(j) ?? own, -1);
            flows[i]!.set(j, flow);
            heard[i]!.set(j, average);
            messages.push({ from: i, to: j, flow: Float64Array.from(flow), average });
          }
        }
        for (const { from, to, flow, average } of messages) {
          if (!deliver(from, to)) continue;
          flows[to]!.set(from, scale(flow, -1));
          heard[to]!.set(from, average);
        }
        return 2 * messages.length;
      },
    };
  },
  /** Each exchange is measured once and added at both ends, as opposites, whenever each hears of it; repeated until then. */
  ledger: (start) => {
    const x = start.map((v) => Float64Array.from(v));
    interface Open {
      readonly ends: readonly [number, number];
      readonly weight: number;
      readonly vectors: readonly [Float64Array, Float64Array];
      readonly done: [boolean, boolean];
    }
    let open: Open[] = [];
    return {
      estimates: () => x,
      kept: () => (2 * open.length) / x.length,
      add: (i, delta) => addTo(x[i]!, delta, 1),
      round: (graph, deliver) => {
        const old = x.map((v) => Float64Array.from(v));
        for (const [i, neighbours] of graph.entries()) {
          for (const j of neighbours) {
            if (j < i) continue;
            const older = open.filter(({ ends }) => ends[0] === i && ends[1] === j).length;
            const weight = edgeWeight(neighbours.length, graph[j]!.length) / 2 ** older;
            open.push({ ends: [i, j], weight, vectors: [old[i]!, old[j]!], done: [false, false] });
          }
        }
        let sent = 0;
        for (const { ends, weight, vectors, done } of open) {
          for (const side of [0, 1] as const) {
            if (done[side]) continue;
            sent += 1;
            if (!deliver(ends[1 - side]!, ends[side]!)) continue;
            done[side] = true;
            addTo(x[ends[side]!]!, vectors[1 - side]!, weight);
            addTo(x[ends[side]!]!, vectors[side]!, -weight);
          }
        }
        open = open.filter(({ done }) => !(done[0] && done[1]));
        return sent;
      },
    };
  },
};

function pushSum(start: readonly Float64Array[], isCumulative: boolean): Averaging {
  // The count is the last number.
  const mass = start.map((v) => Float64Array.from([...v, 1]));
  const sent = start.map(() => new Map<number, Float64Array>());
  const received = start.map(() => new Map<number, Float64Array>());
  return {
    estimates: () => mass.map((m) => scale(m.slice(0, -1), 1 / m.at(-1)!)),
    kept: () => (isCumulative ? mean(sent.map((s) => s.size)) + mean(received.map((r) => r.size)) : 0),
    add: (i, delta) => addTo(mass[i]!, Float64Array.from([...delta, 0]), 1),
    round: (graph, deliver) => {
      const parts = mass.map((m, i) => scale(Float64Array.from(m), 1 / (1 + graph[i]!.length)));
      for (const [i, part] of parts.entries()) mass[i]!.set(part);
      let count = 0;
      for (const [i, neighbours] of graph.entries()) {
        for (const j of neighbours) {
          count += 1;
          const all = addTo(sent[i]!.get(j) ?? new Float64Array(parts[i]!.length), parts[i]!, 1);
          sent[i]!.set(j, all);
          if (!deliver(i, j)) continue;
          if (!isCumulative) addTo(mass[j]!, parts[i]!, 1);
          else {
            addTo(mass[j]!, all, 1);
            addTo(mass[j]!, received[j]!.get(i) ?? new Float64Array(all.length), -1);
            received[j]!.set(i, Float64Array.from(all));
          }
        }
      }
      return count;
    },
  };
}

export interface Measured {
  /** How far the mean of the estimates ends from the true one, in units of the first disagreement. */
  readonly drift: number;
  /** Until disagreement is a thousandth of the first; null: not within the rounds. */
  readonly rounds: number | null;
  /** Vectors sent a peer and round, and kept a peer at the end. */
  readonly sent: number;
  readonly kept: number;
}

/** Averages for some rounds at a loss, then for as many without any. With `training` peers learn in the first third. */
export function measureAveraging(options: {
  averaging: string;
  graphOf: (round: number) => Graph;
  peers: number;
  loss: number;
  rounds: number;
  training: boolean;
  prng: Prng;
}): Measured {
  const { graphOf, peers, loss, rounds, training, prng } = options;
  const draw = (size: number): Float64Array => Float64Array.from({ length: SIZE }, () => size * prng.normal());
  const start = Array.from({ length: peers }, () => draw(1));
  const truth = meanOf(start);
  const first = apart(start);
  const averaging = AVERAGINGS[options.averaging]!(start);
  let reached: number | null = null;
  let sent = 0;
  for (let round = 0; round < 2 * rounds; round++) {
    if (training && round < rounds / 3) {
      for (let i = 0; i < peers; i++) {
        const delta = draw(0.1);
        averaging.add(i, delta);
        addTo(truth, delta, 1 / peers);
      }
    }
    const isLossy = round < rounds;
    const vectors = averaging.round(graphOf(round), () => !isLossy || prng.random() >= loss);
    if (isLossy) sent += vectors / peers / rounds;
    if (reached === null && apart(averaging.estimates()) <= 1e-3 * first) reached = round + 1;
  }
  const drift = Math.hypot(...addTo(meanOf(averaging.estimates()), truth, -1)) / first;
  return { drift, rounds: reached, sent, kept: averaging.kept() };
}

/** Numbers of a vector. */
const SIZE = 16;

function meanOf(vectors: readonly Float64Array[]): Float64Array {
  const sum = new Float64Array(vectors[0]!.length);
  for (const v of vectors) addTo(sum, v, 1 / vectors.length);
  return sum;
}

/** Root mean square distance from the mean. */
function apart(vectors: readonly Float64Array[]): number {
  const centre = meanOf(vectors);
  const squares = vectors.reduce((sum, v) => sum + Math.hypot(...addTo(Float64Array.from(v), centre, -1)) ** 2, 0);
  return Math.sqrt(squares / vectors.length);
}

/** x += w y, in place. */
function addTo(x: Float64Array, y: Float64Array, weight: number): Float64Array {
  for (let i = 0; i < x.length; i++) x[i]! += weight * y[i]!;
  return x;
}

/** x *= w, in place. */
function scale(x: Float64Array, weight: number): Float64Array {
  for (let i = 0; i < x.length; i++) x[i]! *= weight;
  return x;
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
