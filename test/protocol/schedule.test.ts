/** @file Neighbour schedules, the generator behind them, and the settings table. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { canonicalSettings, parseSettings } from '../../protocol/config.ts';
import { drawNeighbours } from '../../protocol/neighbours.ts';
import { createPrng, hash32 } from '../../protocol/prng.ts';
import { SCHEDULE_NAMES } from '../../protocol/schedules.ts';
import { SETTINGS } from '../../protocol/settings.ts';
import { settingsWith } from '../support.ts';

const members = (n: number): string[] => Array.from({ length: n }, (_, i) => `m${String(i).padStart(3, '0')}`);
const graph = (
  schedule: (typeof SCHEDULE_NAMES)[number],
  ids: readonly string[],
  round: number,
): Map<string, string[]> =>
  new Map(
    ids.map((id) => [
      id,
      drawNeighbours({ schedule, runId: 'run', round, members: ids, degree: 4, redraw: true, edges: '' }, id),
    ]),
  );

for (const schedule of SCHEDULE_NAMES) {
  test(`${schedule}: both ends of an edge draw it, nobody draws itself or anyone twice`, () => {
    for (const n of [1, 2, 3, 5, 6, 7, 16, 33]) {
      const drawn = graph(schedule, members(n), 3);
      for (const [id, neighbours] of drawn) {
        assert.equal(neighbours, [...new Set(neighbours)].filter((x) => x !== id).sort());
        for (const other of neighbours) assert.ok(drawn.get(other)!.includes(id), `${id} and ${other} of ${n}`);
      }
    }
  });
}

test('random-regular has degree four but where two rings share an edge, and is fresh every round', () => {
  const ids = members(64);
  const degrees = [0, 1, 2].flatMap((round) => [...graph('random-regular', ids, round).values()].map((x) => x.length));
  assert.ok(degrees.every((d) => d >= 2 && d <= 4));
  assert.ok(degrees.reduce((a, b) => a + b, 0) / degrees.length > 3.8);
  assert.not.equal(graph('random-regular', ids, 0), graph('random-regular', ids, 1));
  assert.equal(graph('random-regular', ids, 0), graph('random-regular', ids, 0));
});

test('up to five members mix all with all', () => {
  for (const neighbours of graph('random-regular', members(5), 0).values()) assert.is(neighbours.length, 4);
  for (const neighbours of graph('ring', members(5), 0).values()) assert.is(neighbours.length, 2);
});

test('a member that one view lacks changes only the edges next to it', () => {
  const [all, view] = [members(40), members(40).filter((id) => id !== 'm020')];
  const [full, partial] = [graph('random-regular', all, 7), graph('random-regular', view, 7)];
  const changed = view.filter((id) => String(full.get(id)) !== String(partial.get(id)));
  assert.ok(changed.length > 0 && changed.length <= 4, `${changed.length} members drew otherwise`);
});

test('a generator repeats itself for a seed, and forks do not disturb each other', () => {
  const draw = (prng: { random: () => number }): number[] => Array.from({ length: 5 }, prng.random);
  assert.equal(draw(createPrng('a')), draw(createPrng('a')));
  assert.not.equal(draw(createPrng('a')), draw(createPrng('b')));
  const parent = createPrng('a');
  const before = draw(parent.fork('x'));
  parent.random();
  assert.equal(draw(parent.fork('x')), before);
  assert.not.equal(draw(parent.fork('y')), before);
});

test('draws are spread evenly', () => {
  const prng = createPrng('even');
  const counts = new Array(10).fill(0);
  for (let i = 0; i < 20_000; i++) counts[prng.below(10)] += 1;
  const chiSquare = counts.reduce((sum, c) => sum + (c - 2000) ** 2 / 2000, 0);
  assert.ok(chiSquare < 27.9, `chi-square ${chiSquare} with 9 degrees of freedom`);
  const normals = Array.from({ length: 20_000 }, prng.normal);
  assert.ok(Math.abs(normals.reduce((a, b) => a + b, 0) / 20_000) < 0.03);
  assert.ok(Math.abs(normals.reduce((a, b) => a + b * b, 0) / 20_000 - 1) < 0.05);
  assert.is(new Set(Array.from({ length: 5000 }, (_, i) => hash32(`id-${i}`))).size, 5000);
});

test('settings are filled in, checked, and their problems say what was wanted', () => {
  assert.is(settingsWith({ rounds: '7' }).rounds, 7);
  const problem = (given: Record<string, unknown>): string => {
    const parsed = parseSettings(given);
    return parsed.ok ? 'ok' : parsed.problem;
  };
  assert.match(problem({ round: 3 }), /^round: no such setting; wanted one of base,/);
  assert.match(problem({ rounds: 0 }), /^rounds: got 0; wanted an integer from 1 to/);
  assert.match(problem({ rounds: 'many' }), /^rounds: got "many"/);
  assert.match(problem({ codec: 'f8' }), /wanted f32 \| f16 \| int8/);
  assert.match(problem({ degree: 3 }), /wanted an even number/);
  assert.match(problem({ labels: 'good' }), /wanted class=word/);
  assert.match(problem({ learningRate: Number.NaN }), /^learningRate/);
});

test('only what alters the arithmetic is part of the run id', () => {
  const plain = canonicalSettings(settingsWith({}));
  assert.is(canonicalSettings(settingsWith({ base: '/elsewhere', roundDeadlineMs: 99 })), plain);
  assert.is.not(canonicalSettings(settingsWith({ rank: 4 })), plain);
  assert.is.not(canonicalSettings(settingsWith({ seed: '2' })), plain);
});

test('every default is valid and every setting says what and why', () => {
  for (const [name, setting] of Object.entries(SETTINGS)) {
    assert.is(parseSettings({ [name]: setting.default }).ok, true, name);
    assert.ok(setting.about.length > 10 && setting.why.length > 5, name);
  }
});

test.run();
