/** @file A graph given as edges, 0-1,1-2,...: what is wrong with it, and the parts it is in. */

/** Two members that are neighbours, by place. */
export type GivenEdge = readonly [number, number];

/** Reads edges as the setting has them; it has been checked against the pattern of the setting. */
export function readEdges(text: string): GivenEdge[] {
  return text === '' ? [] : text.split(',').map((edge): GivenEdge => edge.split('-').map(Number) as [number, number]);
}

/** The first edge that cannot be meant, by its place in the list, and why; null where there is none. `members` null: nobody knows how many. */
export function edgeMistake(
  edges: readonly GivenEdge[],
  members: number | null,
): { at: number; problem: string } | null {
  const first = new Map<string, number>();
  const fromOne = members !== null && seemsFromOne(edges, members) ? '; these seem to begin with 1' : '';
  for (const [at, [a, b]] of edges.entries()) {
    const name = `edge ${a}-${b}`;
    const nobody = [a, b].find((end) => members !== null && end >= members);
    if (nobody !== undefined)
      return {
        at,
        problem: `${name}: there is no peer ${nobody}; wanted peers 0 to ${members! - 1}, since numbers begin with 0${fromOne}`,
      };
    if (a === b) return { at, problem: `${name}: joins a peer to itself; wanted two peers` };
    const key = a < b ? `${a}-${b}` : `${b}-${a}`;
    if (first.has(key))
      return { at, problem: `${name}: stands twice, first as edge ${first.get(key)! + 1}; wanted each once` };
    first.set(key, at);
  }
  return null;
}

function seemsFromOne(edges: readonly GivenEdge[], members: number): boolean {
  const ends = edges.flat();
  return !ends.includes(0) && ends.every((end) => end <= members);
}

/** Members that reach each other, part by part, each sorted, by their first; a member without an edge is a part of its own. */
export function partsOf(edges: readonly GivenEdge[], members: number): number[][] {
  const leader = Array.from({ length: members }, (_, i) => i);
  const find = (i: number): number => {
    while (leader[i] !== i) {
      leader[i] = leader[leader[i]!]!;
      i = leader[i]!;
    }
    return i;
  };
  for (const [a, b] of edges) {
    const [x, y] = [find(a), find(b)];
    leader[Math.max(x, y)] = Math.min(x, y);
  }
  const parts = new Map<number, number[]>();
  for (let i = 0; i < members; i++) {
    const of = find(i);
    const part = parts.get(of);
    if (part) part.push(i);
    else parts.set(of, [i]);
  }
  return [...parts.values()];
}

export interface GraphMistake {
  /** The edge that is wrong, by its place in the list; null: the graph as a whole. */
  readonly at: number | null;
  /** Parts the graph is in; 1 where an edge is wrong. */
  readonly parts: number;
  readonly problem: string;
}

/** Parts of a graph that a message lists. */
const MAX_LISTED = 4;

/** What is wrong with a graph: an edge, or that it is in parts; null where nothing is. */
export function graphMistake(edges: readonly GivenEdge[], peers: number): GraphMistake | null {
  const wrong = edgeMistake(edges, peers);
  if (wrong) return { ...wrong, parts: 1 };
  const parts = partsOf(edges, peers);
  if (parts.length <= 1) return null;
  const alone = parts.filter((part) => part.length === 1).flat();
  const hint = alone[0] === 0 && edges.length > 0 ? '; numbers begin with 0' : '';
  const shown = parts.slice(0, MAX_LISTED).map(partText).join('; ');
  const more = parts.length > MAX_LISTED ? '; ...' : '';
  const lonely = alone.length > 0 ? `; in no edge: ${partText(alone)}${hint}` : '';
  const problem = `the graph is in ${parts.length} parts (peers ${shown}${more}), which never come together${lonely}`;
  return { at: null, parts: parts.length, problem };
}

/** Runs of numbers as first to last. */
function partText(part: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const i of part) {
    const last = runs.at(-1);
    if (last && last[1] === i - 1) last[1] = i;
    else runs.push([i, i]);
  }
  const shown = runs.slice(0, MAX_LISTED).map(([a, b]) => (a === b ? String(a) : `${a} to ${b}`));
  return `${shown.join(', ')}${runs.length > MAX_LISTED ? ', ...' : ''}`;
}
