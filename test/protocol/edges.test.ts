/** @file Graphs given as edges: what cannot be meant is named, edge by edge, and so are the parts a graph is in. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { edgeMistake, graphMistake, partsOf, readEdges } from '../../protocol/edges.ts';
import { createPrng } from '../../protocol/prng.ts';

test('edges are read as the setting has them', () => {
  assert.equal(readEdges('0-1,10-2'), [
    [0, 1],
    [10, 2],
  ]);
  assert.equal(readEdges(''), []);
});

test('an edge to nobody, to itself or twice is named by its place, whichever comes first', () => {
  const of = (text: string, peers: number | null = 4): string => {
    const mistake = edgeMistake(readEdges(text), peers);
    return mistake ? `${mistake.at} ${mistake.problem}` : 'none';
  };
  assert.is(of('0-1,1-2,2-3'), 'none');
  assert.match(of('0-1,1-4'), /^1 edge 1-4: there is no peer 4; wanted peers 0 to 3, since numbers begin with 0$/);
  assert.match(of('1-2,2-3,3-4'), /^2 edge 3-4: there is no peer 4.*these seem to begin with 1$/);
  assert.match(of('0-1,2-2'), /^1 edge 2-2: joins a peer to itself/);
  assert.match(of('0-1,1-2,1-0'), /^2 edge 1-0: stands twice, first as edge 1/);
  assert.match(of('0-1,0-1,2-2'), /^1 edge 0-1: stands twice/);
  // Where nobody knows how many there will be, any number may be somebody's.
  assert.is(of('0-1,1-900', null), 'none');
  assert.match(of('5-5', null), /joins a peer to itself/);
});

test('the parts of a graph are those that reach each other', () => {
  const parts = (text: string, peers: number): number[][] => partsOf(readEdges(text), peers);
  assert.equal(parts('0-1,1-2', 3), [[0, 1, 2]]);
  assert.equal(parts('3-1,0-2', 5), [[0, 2], [1, 3], [4]]);
  assert.equal(parts('', 2), [[0], [1]]);
  // As many parts as a walk from each member finds.
  const prng = createPrng('parts');
  for (let draw = 0; draw < 50; draw++) {
    const edges = Array.from({ length: 12 }, () => [prng.below(20), prng.below(20)] as const);
    const reached = (from: number): number[] => {
      const seen = new Set([from]);
      for (const at of seen) for (const [a, b] of edges) if (a === at || b === at) seen.add(a === at ? b : a);
      return [...seen].sort((a, b) => a - b);
    };
    const walked = new Set(Array.from({ length: 20 }, (_, i) => JSON.stringify(reached(i))));
    assert.equal(new Set(partsOf(edges, 20).map((part) => JSON.stringify(part))), walked);
  }
});

test('a graph in parts is told with its parts, and who stands in no edge', () => {
  assert.is(graphMistake(readEdges('0-1,1-2,2-3'), 4), null);
  const islands = graphMistake(readEdges('0-1,2-3'), 4);
  assert.equal([islands?.at, islands?.parts], [null, 2]);
  assert.match(islands!.problem, /in 2 parts \(peers 0 to 1; 2 to 3\), which never come together$/);
  assert.match(graphMistake(readEdges('1-2,2-3'), 4)!.problem, /in no edge: 0; numbers begin with 0$/);
  assert.match(graphMistake(readEdges('0-1'), 9)!.problem, /in 8 parts .*; \.\.\.\).*in no edge: 2 to 8$/);
});

test.run();
