/** @file What is wrong with a graph given as edges, once it is known how many peers there are. */
import { edgeMistake, type GivenEdge, partsOf } from '../protocol/edges.ts';

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
