/**
 * @file Who mixes with whom in a round: a pure function of run, round and members, so every peer draws the same graph.
 * Views of the members may differ a little; the default is drawn so that the graphs then differ a little too.
 */
import type { RunSettings } from './config.ts';
import { createPrng, hash32, type Prng } from './prng.ts';
import type { ScheduleName } from './schedules.ts';

/** Two members that are neighbours, by their places in the sorted list. */
export type Edge = readonly [number, number];

interface Place {
  /** Sorted ids, each once. */
  readonly members: readonly string[];
  readonly round: number;
  readonly degree: number;
  readonly edges: string;
  /** Names the draw: the same for all, and for all rounds where the graph stays. */
  readonly name: string;
  readonly prng: Prng;
}

/** A graph as its edges; an edge may stand twice or join a member to itself, which counts for nothing. */
type Schedule = (place: Place) => Edge[];

const SCHEDULES: Readonly<Record<ScheduleName, Schedule>> = {
  /**
   * degree / 2 random Hamiltonian cycles: close to a uniform random regular graph (Kim and Wormald 2001), and a member
   * that only one of two views knows changes only the edges next to it.
   */
  'random-regular': ({ members, degree, name }) =>
    Array.from({ length: degree / 2 }, (_, cycle) => {
      const keys = members.map((id) => hash32(`${name}/${cycle}/${id}`));
      const order = keys.map((_, i) => i).sort((a, b) => keys[a]! - keys[b]! || a - b);
      return order.map((member, i): Edge => [member, order[(i + 1) % order.length]!]);
    }).flat(),
  ring: ({ members: { length: n } }) => range(n).map((i) => [i, (i + 1) % n]),
  full: ({ members: { length: n } }) => range(n).flatMap((i) => range(i).map((j): Edge => [i, j])),
  /** A grid that closes on itself, as square as the number allows. */
  torus: ({ members: { length: n } }) => {
    const rows = range(Math.floor(Math.sqrt(n)) + 1).findLast((r) => r > 0 && n % r === 0) ?? 1;
    const columns = n / rows;
    return range(n).flatMap((i): Edge[] => {
      const [r, c] = [Math.floor(i / columns), i % columns];
      return [
        [i, r * columns + ((c + 1) % columns)],
        [i, ((r + 1) % rows) * columns + c],
      ];
    });
  },
  /** Everybody's neighbours are 1, 2, 4, ... places away (Ying et al. 2021). */
  exponential: ({ members: { length: n } }) => {
    const hops = range(Math.ceil(Math.log2(Math.max(2, n)))).map((k) => 2 ** k);
    return range(n).flatMap((i) => hops.map((hop): Edge => [i, (i + hop) % n]));
  },
  /** One neighbour a round, 1, 2, 4, ... places away in turn, in pairs: exact after log2 n rounds of a power of two. */
  'one-peer-exponential': ({ members: { length: n }, round }) => {
    const hop = 2 ** (round % Math.ceil(Math.log2(Math.max(2, n))));
    return range(n).flatMap((i): Edge[] => ((i ^ hop) < n ? [[i, i ^ hop]] : []));
  },
  /** One neighbour a round, at random (NoLoCo, arXiv:2506.10911). */
  'random-pairs': ({ members: { length: n }, prng }) => {
    const order = prng.shuffle(range(n));
    return range(Math.floor(n / 2)).map((i) => [order[2 * i]!, order[2 * i + 1]!]);
  },
  /** Every pair with the same chance, so that the mean degree is as asked. */
  'erdos-renyi': ({ members: { length: n }, degree, prng }) => {
    const chance = degree / Math.max(1, n - 1);
    return range(n).flatMap((i) => range(i).flatMap((j): Edge[] => (prng.random() < chance ? [[i, j]] : [])));
  },
  /** A ring of `degree` nearest neighbours, one in ten edges led elsewhere (Watts and Strogatz 1998). */
  'small-world': ({ members: { length: n }, degree, prng }) =>
    range(n).flatMap((i) =>
      range(degree / 2).map((k): Edge => [i, prng.random() < REWIRED ? prng.below(n) : (i + k + 1) % n]),
    ),
  /** Each newcomer joins `degree` / 2 others, the more likely the more they have (Barabasi and Albert 1999). */
  'barabasi-albert': ({ members: { length: n }, degree, prng }) => {
    const edges: Edge[] = [];
    const ends: number[] = [0]; // each member as often as it has edges
    for (let i = 1; i < n; i++) {
      const chosen = new Set<number>();
      while (chosen.size < Math.min(i, degree / 2)) chosen.add(ends[prng.below(ends.length)]!);
      for (const j of chosen) {
        edges.push([i, j]);
        ends.push(i, j);
      }
    }
    return edges;
  },
  /** Everybody with the first. */
  star: ({ members: { length: n } }) => range(n).map((i) => [0, i]),
  /** As the run says: places in the sorted list of members; what names nobody counts for nothing. */
  edges: ({ members: { length: n }, edges }) =>
    edges
      .split(',')
      .map((edge): Edge => edge.split('-').map(Number) as [number, number])
      .filter(([a, b]) => a < n && b < n),
};

const REWIRED = 0.1;
/** Up to this many members mix all with all under the default schedule. */
const FULL_UP_TO = 5;
/**
 * Up to so many members so many neighbours: the fewest with which, of 20 % hostile members at random, an honest one has a
 * majority of hostile neighbours in fewer than 1 % of rounds (test/sim/world/majorities.test.ts).
 */
const NEIGHBOURS: readonly (readonly [members: number, neighbours: number])[] = [
  [9, 4],
  [14, 6],
  [24, 8],
];
/** Among more than those. */
export const MOST_NEIGHBOURS = 10;

/** How many neighbours a member has in a round where the run does not say. */
export function usualDegree(members: number): number {
  return NEIGHBOURS.find(([most]) => members <= most)?.[1] ?? MOST_NEIGHBOURS;
}

export interface Draw {
  readonly schedule: ScheduleName;
  readonly runId: string;
  readonly round: number;
  /** Sorted ids, each once. */
  readonly members: readonly string[];
  /** Even, of the schedules that have one; 0: by the number of members. */
  readonly degree: number;
  /** Whether what is random is drawn afresh each round. */
  readonly redraw: boolean;
  /** Of the schedule `edges`: 0-1,1-2,... */
  readonly edges: string;
}

/** The draw of a round, as a run's settings have it. */
export function drawOf(
  settings: Pick<RunSettings, 'schedule' | 'degree' | 'redraw' | 'edges'>,
  round: Pick<Draw, 'runId' | 'round' | 'members'>,
): Draw {
  const { schedule, degree, redraw, edges } = settings;
  return { ...round, schedule: schedule as ScheduleName, degree, redraw: redraw === 'on', edges };
}

/** Every member's neighbours, by place: sorted, without itself, each once. */
export function drawGraph({ schedule, runId, round, members, degree, redraw, edges }: Draw): number[][] {
  const name = `${runId}/${redraw ? round : 0}`;
  const small = schedule === 'random-regular' && members.length <= FULL_UP_TO;
  const draw: Schedule = SCHEDULES[small ? 'full' : schedule];
  const graph = members.map(() => new Set<number>());
  const place = { members, round, degree: degree || usualDegree(members.length), edges, name };
  for (const [a, b] of draw({ ...place, prng: createPrng(name).fork(schedule) })) {
    if (a === b) continue;
    graph[a]!.add(b);
    graph[b]!.add(a);
  }
  return graph.map((neighbours) => [...neighbours].sort((a, b) => a - b));
}

/** The sorted neighbours of `self` in this round. */
export function drawNeighbours(draw: Draw, self: string): string[] {
  const { members } = draw;
  const place = placeOf(members, self);
  return place < 0 ? [] : graphOf(draw)[place]!.map((i) => members[i]!);
}

const KEPT_GRAPHS = 4;
let kept: { readonly draw: Draw; readonly graph: number[][] }[] = [];

/** The graph, drawn once for all who ask for it one after the other. */
function graphOf(draw: Draw): number[][] {
  const found = kept.find((k) => isSameDraw(k.draw, draw));
  if (found) return found.graph;
  const graph = drawGraph(draw);
  kept = [{ draw, graph }, ...kept.slice(0, KEPT_GRAPHS - 1)];
  return graph;
}

function isSameDraw(a: Draw, b: Draw): boolean {
  const isSame =
    a.round === b.round &&
    a.runId === b.runId &&
    a.schedule === b.schedule &&
    a.degree === b.degree &&
    a.redraw === b.redraw &&
    a.edges === b.edges &&
    a.members.length === b.members.length;
  return isSame && (a.members === b.members || a.members.every((id, i) => id === b.members[i]));
}

/** Where an id stands in a sorted list; -1: nowhere. */
function placeOf(sorted: readonly string[], id: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < id) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === id ? low : -1;
}

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}
