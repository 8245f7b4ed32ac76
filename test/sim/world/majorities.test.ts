/** @file How often an honest peer has a majority of hostile neighbours: in fewer than 1 % of rounds where 20 % are hostile. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { drawGraph, usualDegree } from '../../../protocol/neighbours.ts';
import { createPrng } from '../../../protocol/prng.ts';

const SEED = process.env.SEED ?? '1';
const REPLAY = `replay with SEED=${SEED} npm test -- majorities`;
const HOSTILE = 0.2;

/** Of all pairs of an honest peer and a round, the share (%) in which more than half of its neighbours are hostile. */
function majorities(count: number, degree: number, rounds: number): number {
  const members = Array.from({ length: count }, (_, i) => `m${String(i).padStart(5, '0')}`);
  const prng = createPrng(`${SEED}/${count}`);
  let [bad, all] = [0, 0];
  for (let round = 0; round < rounds; round++) {
    const hostile = new Set(prng.shuffle(members.map((_, i) => i)).slice(0, Math.floor(HOSTILE * count)));
    const draw = { schedule: 'random-regular', runId: SEED, round, members, degree, redraw: true, edges: '' } as const;
    for (const [i, neighbours] of drawGraph(draw).entries()) {
      if (hostile.has(i)) continue;
      all += 1;
      if (2 * neighbours.filter((j) => hostile.has(j)).length > neighbours.length) bad += 1;
    }
  }
  return (100 * bad) / all;
}

const SIZES = [6, 9, 10, 14, 15, 20, 24, 25, 30, 40, 64, 100, 200, 1000];

test('of 20 % hostile members at random, a majority of hostile neighbours in fewer than 1 % of rounds', () => {
  console.log('members | neighbours | % of rounds with a hostile majority | % with four neighbours');
  for (const count of SIZES) {
    const rounds = Math.ceil(60_000 / count);
    const [usual, four] = [majorities(count, 0, rounds), majorities(count, 4, rounds)];
    console.log([count, usualDegree(count), usual.toFixed(2), four.toFixed(2)].join(' | '));
    assert.ok(usual < 1, `${usual} % among ${count}; ${REPLAY}`);
    if (count >= 10) assert.ok(four > 1, `${four} % among ${count} with four: the count sees none; ${REPLAY}`);
  }
});

test('a view with one member more has all edges of the other that are not next to it, where both draw as many', () => {
  for (const count of [14, 24, 60]) {
    const members = Array.from({ length: count + 1 }, (_, i) => `m${String(i).padStart(5, '0')}`);
    const edgesOf = (ids: readonly string[]): Set<string> => {
      const draw = { schedule: 'random-regular', runId: SEED, round: 3, degree: 0, redraw: true, edges: '' } as const;
      const graph = drawGraph({ ...draw, members: ids });
      return new Set(graph.flatMap((neighbours, i) => neighbours.map((j) => `${ids[i]} ${ids[j]}`)));
    };
    const [more, fewer] = [edgesOf(members), edgesOf(members.slice(0, -1))];
    const lost = [...fewer].filter((edge) => !more.has(edge));
    // Each ring that both draw loses one edge, seen from both ends.
    assert.ok(lost.length <= usualDegree(count), `${lost.length} of ${fewer.size}; ${REPLAY}`);
  }
});

test.run();
