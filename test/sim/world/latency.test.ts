/** @file How long messages take: each distribution as it says, tables of places from a file, and what is none is named. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mistakesOf } from '../../../node/schema.ts';
import { createPrng } from '../../../protocol/prng.ts';
import { WORLD_FIELDS } from '../../../sim/fields.ts';
import { type Latency, latencyModel } from '../../../sim/world/latency.ts';
import { readScenario } from '../../../sim/world/scenario.ts';
import { simulate } from '../../../sim/world/simulate.ts';
import { temporaryFolder } from '../../support.ts';

const SEED = process.env.SEED ?? '1';
const REPLAY = `replay with SEED=${SEED} npm test -- latency`;

function drawn(latency: Latency, count = 8000): { times: number[]; longest: number } {
  const prng = createPrng(SEED).fork('latency');
  const { draw, longest } = latencyModel(latency);
  const times = Array.from({ length: count }, () => draw(0, 1, prng)).sort((a, b) => a - b);
  return { times, longest };
}

test('uniform, log-normal and shifted exponential times are what they say, and within the longest', () => {
  const [uniform, normal, exponential] = [
    drawn([10, 30]),
    drawn({ median: 40, sigma: 0.8 }),
    drawn({ least: 5, mean: 20 }),
  ];
  assert.ok(uniform.times[0]! >= 10 && uniform.times.at(-1)! <= 30);
  const middle = normal.times[4000]!;
  const upper = normal.times[Math.floor(0.8413 * 8000)]!; // one standard deviation up
  assert.ok(Math.abs(middle / 40 - 1) < 0.05, `${middle}; ${REPLAY}`);
  assert.ok(Math.abs(Math.log(upper / middle) - 0.8) < 0.06, `${upper}; ${REPLAY}`);
  const mean = exponential.times.reduce((a, b) => a + b, 0) / 8000;
  assert.ok(exponential.times[0]! >= 5 && Math.abs(mean - 25) < 1, `${mean}; ${REPLAY}`);
  for (const { times, longest } of [uniform, normal, exponential]) assert.ok(times.at(-1)! <= longest);
});

test('a table gives the way from place to place, peers dealt in turn, with some jitter', () => {
  const { draw, longest } = latencyModel({
    matrix: [
      [1, 50],
      [80, 2],
    ],
    jitter: 0.5,
  });
  const prng = createPrng(SEED).fork('matrix');
  for (const [from, to, least] of [
    [0, 1, 50],
    [1, 0, 80],
    [2, 3, 50],
    [3, 5, 2],
  ] as const) {
    const time = draw(from, to, prng);
    assert.ok(time >= least && time <= 1.5 * least, `${from} to ${to}: ${time}; ${REPLAY}`);
  }
  assert.is(longest, 120);
});

test('what is no latency is told what is wanted', () => {
  for (const good of [[0, 0], { median: 3, sigma: 0 }, { least: 0, mean: 4 }, { matrix: [[1]], jitter: 0 }])
    assert.equal(mistakesOf(WORLD_FIELDS.latencyMs.accepts, good), []);
  for (const bad of [null, 5, [3, 1], [1], { median: 3 }, { least: -1, mean: 3 }, { matrix: [[1, 2]], jitter: 0 }])
    assert.match(String(mistakesOf(WORLD_FIELDS.latencyMs.accepts, bad)[0]?.problem), /wanted/, JSON.stringify(bad));
});

test('files of latencies and of edges are found beside the scenario, and kept in the run', () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 'data', 'ms.txt'), '# two places\n1, 20\n30 2\n');
  writeFileSync(join(folder, 'edges.txt'), '0 1\n1-2 # a path\n2,3\n');
  const read = (more: object) =>
    readScenario({ name: 'x', seeds: [1], peers: 4, ...more }, join(folder, 'x.yaml')).runs[0]!;
  const run = read({ latencyMs: { file: 'data/ms.txt' }, edgesFile: 'edges.txt' });
  assert.equal(run.scenario.latencyMs, {
    matrix: [
      [1, 20],
      [30, 2],
    ],
    jitter: 0,
  });
  assert.equal([run.settings.schedule, run.settings.edges], ['edges', '0-1,1-2,2-3']);
  assert.throws(() => read({ edgesFile: 'none.txt' }), /edgesFile: none\.txt cannot be read beside it/);
  assert.throws(() => read({ latencyMs: { file: 'edges.txt' } }), /latencyMs: .*wanted a square table/);
  writeFileSync(join(folder, 'wrong.txt'), '0 1\na b\n');
  assert.throws(() => read({ edgesFile: 'wrong.txt' }), /edgesFile: wrong\.txt:2: got "a b"; wanted two numbers/);
});

test('a run over edges from a file comes to the mean, and no one hears of who is not its neighbour', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'edges.txt'), '0 1\n1 2\n2 3\n');
  const given = { name: 'x', seeds: [SEED], peers: 4, size: 10, edgesFile: 'edges.txt', settings: { rounds: 60 } };
  const heard = new Set<string>();
  const { result } = await simulate(readScenario(given, join(folder, 'x.yaml')).runs[0]!, {
    onEvent: ({ peer }) => {
      for (const { edges } of peer.exchanges) for (const id of Object.keys(edges)) heard.add(`${peer.id} ${id}`);
    },
  });
  assert.is(heard.size, 6, [...heard].join(', '));
  assert.ok(result.apart < 1e-3 && result.drift! < 1e-6, `${result.apart}, ${result.drift}; ${REPLAY}`);
});

test('classes of devices set how long a round takes, by the steps in it', async () => {
  const spans: Record<string, number[]> = {};
  const devices = [
    { name: 'fast', share: 0.5, stepMs: [10, 20] },
    { name: 'slow', share: 0.5, stepMs: [100, 200] },
  ];
  const given = { name: 'x', seeds: [SEED], peers: 8, size: 4, devices, settings: { rounds: 5, localSteps: 4 } };
  const began = new Map<string, number>();
  await simulate(readScenario(given, 'x').runs[0]!, {
    onEvent: ({ peer: { id } }, event, done, now) => {
      if (event.type === 'trained') spans[id] = [...(spans[id] ?? []), now - began.get(id)!];
      if (done.some((effect) => effect.type === 'train')) began.set(id, now);
    },
  });
  for (const [i, times] of Object.values(Object.fromEntries(Object.entries(spans).sort())).entries()) {
    const [low, high] = i < 4 ? [40, 80] : [400, 800];
    assert.ok(
      times.every((ms) => ms >= low && ms <= high),
      `peer ${i}: ${times}; ${REPLAY}`,
    );
  }
  const wrong = { ...given, devices: [{ name: 'all', share: 0.5, stepMs: [1, 2] }] };
  assert.throws(() => readScenario(wrong, 'x'), /devices: .*shares that sum to 1/);
});

test.run();
