/** @file Graphs of peers: what each schedule draws, how long its ways are, how fast averaging over it goes. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Draw, drawGraph } from '../../../protocol/neighbours.ts';
import type { ScheduleName } from '../../../protocol/schedules.ts';
import { boundOf, contraction, diameter, mixOnce, roundsToConsensus } from '../../../sim/world/graph.ts';

const draw = (schedule: ScheduleName, n: number, more: Partial<Draw> = {}): Draw => ({
  schedule,
  runId: 'graphs',
  round: 0,
  members: Array.from({ length: n }, (_, i) => String(i).padStart(5, '0')),
  degree: 4,
  redraw: false,
  edges: '',
  ...more,
});
const degrees = (d: Draw): number[] => drawGraph(d).map((neighbours) => neighbours.length);

test('each schedule draws the graph it is named after', () => {
  assert.equal(new Set(degrees(draw('ring', 12))), new Set([2]));
  assert.equal(new Set(degrees(draw('torus', 12))), new Set([4]));
  assert.equal(new Set(degrees(draw('full', 12))), new Set([11]));
  assert.equal(drawGraph(draw('exponential', 16))[0], [1, 2, 4, 8, 12, 14, 15]);
  assert.equal(degrees(draw('star', 12)), [11, ...new Array(11).fill(1)]);
  assert.equal(new Set(degrees(draw('one-peer-exponential', 16, { round: 2 }))), new Set([1]));
  assert.is(drawGraph(draw('one-peer-exponential', 16, { round: 2 }))[0]![0], 4);
  assert.is(degrees(draw('random-pairs', 13)).filter((d) => d === 0).length, 1);
  const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;
  assert.ok(Math.abs(mean(degrees(draw('erdos-renyi', 400))) - 4) < 0.4);
  const small = degrees(draw('small-world', 400));
  assert.ok(Math.abs(mean(small) - 4) < 0.1 && new Set(small).size > 1);
  const hubs = degrees(draw('barabasi-albert', 400));
  assert.ok(Math.abs(mean(hubs) - 4) < 0.1 && Math.max(...hubs) > 20, `largest ${Math.max(...hubs)}`);
});

test('what is random is fresh each round, or stays, as asked', () => {
  for (const schedule of ['random-regular', 'random-pairs', 'erdos-renyi', 'small-world', 'barabasi-albert'] as const) {
    const [fresh, still] = [true, false].map((redraw) =>
      [0, 1].map((round) => drawGraph(draw(schedule, 20, { redraw, round }))),
    ) as [number[][][], number[][][]];
    assert.not.equal(fresh[0], fresh[1], schedule);
    assert.equal(still[0], still[1], schedule);
  }
});

test('diameters', () => {
  const of = (schedule: ScheduleName, n: number): number => diameter(drawGraph(draw(schedule, n)));
  assert.equal([of('ring', 10), of('full', 10), of('star', 10), of('torus', 16)], [5, 1, 2, 4]);
  assert.is(of('random-pairs', 10), Number.POSITIVE_INFINITY);
});

test('mixing keeps the sum, and a factor a round is the second eigenvalue: of a ring, (1 + 2 cos(2 pi / n)) / 3', () => {
  const x = Float64Array.from({ length: 9 }, (_, i) => i * i);
  const sum = (v: Float64Array): number => v.reduce((a, b) => a + b, 0);
  for (const schedule of ['ring', 'star', 'barabasi-albert'] as const)
    assert.ok(Math.abs(sum(mixOnce(drawGraph(draw(schedule, 9)), x)) - sum(x)) < 1e-9);
  for (const n of [16, 32, 100])
    assert.ok(Math.abs(contraction(draw('ring', n))! - (1 + 2 * Math.cos((2 * Math.PI) / n)) / 3) < 1e-6, `n ${n}`);
  // Of a torus of 4 by 4: (1 + 2 + 2 cos(pi / 2)) / 5.
  assert.ok(Math.abs(contraction(draw('torus', 16))! - 0.6) < 1e-6);
  assert.is(contraction(draw('full', 8)), 0);
  assert.is(contraction(draw('one-peer-exponential', 16, { redraw: true })), 0);
});

test('of a graph without chance the factor is the second eigenvalue, whether it is drawn afresh or not', () => {
  for (const redraw of [true, false]) {
    const bound = (schedule: ScheduleName, n: number, more: Partial<Draw> = {}): number | null =>
      boundOf(contraction(draw(schedule, n, { redraw, ...more }))!, 1e-3);
    assert.equal([bound('ring', 64), bound('ring', 128)], [2149, 8599]);
    // Of a star of n every edge weighs 1 / n: (n - 1) / n.
    assert.ok(Math.abs(contraction(draw('star', 10, { redraw }))! - 0.9) < 1e-12);
    // A path of three, each edge 1 / 3: 1, 2 / 3 and 0.
    assert.ok(Math.abs(contraction(draw('edges', 3, { redraw, edges: '0-1,1-2' }))! - 2 / 3) < 1e-12);
    assert.is(contraction(draw('exponential', 3, { redraw })), 0, 'all with all');
    for (const islands of ['0-1,2-3', '0-1', '1-2,2-3,1-3']) {
      assert.is(contraction(draw('edges', 4, { redraw, edges: islands })), 1);
      assert.is(bound('edges', 4, { edges: islands }), null, 'never');
    }
  }
});

test('one neighbour in turn: exact for powers of two, else the factor of a whole turn', () => {
  for (const n of [2, 4, 16, 64]) assert.is(contraction(draw('one-peer-exponential', n)), 0);
  const factor = contraction(draw('one-peer-exponential', 100))!;
  const rounds = roundsToConsensus(draw('one-peer-exponential', 100), { target: 1e-3, limit: 200 })!;
  assert.ok(factor > 0.3 && factor < 1 && rounds <= boundOf(factor, 1e-3)! + 7, `${factor}, ${rounds}`);
});

test('graphs drawn afresh: the mean factor once the first rounds have passed, also where it is slow', () => {
  // A pair among n meets with the same chance each round, so the mean square shrinks by 1 / 2 - 1 / (2 (n - 1)) or so.
  const pairs = contraction(draw('random-pairs', 64, { redraw: true }))!;
  assert.ok(Math.abs(pairs ** 2 - 0.5) < 0.06, `${pairs}`);
  const small = draw('random-regular', 4, { redraw: true });
  assert.is(contraction(small), 0, 'up to five mix all with all');
  assert.is(contraction(draw('ring', 1)), 0);
  assert.is(contraction(draw('ring', 1000)), null, 'too many to tell');
});

test('rounds to consensus are those known: 133, 536, 5248 on rings, 8 and 9 on fresh random graphs, 4 and 5 exactly', () => {
  const bound = (n: number): number => boundOf(contraction(draw('ring', n))!, 1e-3)!;
  assert.equal([bound(16), bound(32), bound(100)], [133, 536, 5248]);
  const measured = (schedule: ScheduleName, n: number): number =>
    roundsToConsensus(draw(schedule, n, { redraw: true }), { target: 1e-3, limit: 200 })!;
  assert.equal([measured('one-peer-exponential', 16), measured('one-peer-exponential', 32)], [4, 5]);
  assert.ok([16, 32, 100].every((n) => [8, 9, 10].includes(measured('random-regular', n))));
  assert.ok([16, 32, 100].every((n) => Math.abs(measured('random-pairs', n) - 19) <= 2));
  // A start that is not the worst one does no worse than the bound.
  assert.ok(roundsToConsensus(draw('ring', 16), { target: 1e-3, limit: 200 })! <= 133);
});

test.run();
