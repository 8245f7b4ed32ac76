/** @file Experiments: what a file may say, how texts are dealt, that lockstep mixes as the protocol does, that runs resume. */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { UserError } from '../../node/errors.ts';
import { createPrng } from '../../protocol/prng.ts';
import { disagreement, distance, mean, norm } from '../../protocol/vector.ts';
import { lineChart } from '../../sim/chart.ts';
import { DATASETS, type Item } from '../../sim/datasets.ts';
import { readRecords, runExperiment } from '../../sim/experiment.ts';
import { type LockstepPeer, type Mixing, runLockstep } from '../../sim/lockstep.ts';
import { drawDirichlet, PARTITIONS, partition } from '../../sim/partition.ts';
import { htmlReport, markdownReport, summarise } from '../../sim/report.ts';
import { planRuns, readSpec } from '../../sim/spec.ts';
import { ROOT, settingsWith, temporaryFolder } from '../support.ts';

const pool: Item[] = Array.from({ length: 600 }, (_, i) => ({
  text: `text ${i}`,
  y: i % 2,
  domain: ['a', 'b', 'c'][i % 3]!,
}));
const options = { seed: '1', peers: 6, classes: 2, goldPerClass: 4, unlabelled: 50, alpha: 0.3 };

for (const kind of Object.keys(PARTITIONS)) {
  test(`${kind}: no text is dealt twice, and a seed repeats`, () => {
    const shares = partition(kind, pool, options);
    const dealt = shares.flatMap((s) => [...s.gold, ...s.unlabelled]).map((e) => e.text);
    assert.is(shares.length, 6);
    assert.is(new Set(dealt).size, dealt.length);
    assert.equal(partition(kind, pool, options), shares);
    assert.not.equal(partition(kind, pool, { ...options, seed: '2' }), shares);
  });
}

test('each way of dealing does what its name says', () => {
  const shares = (kind: string, alpha = 0.3) => partition(kind, pool, { ...options, alpha, unlabelled: 1000 });
  const sizes = (kind: string): number[] => shares(kind).map((s) => s.gold.length + s.unlabelled.length);
  assert.equal(sizes('iid'), new Array(6).fill(100));
  for (const [i, s] of shares('by-domain').entries())
    assert.ok(s.gold.concat(s.unlabelled).every((e) => e.domain === ['a', 'b', 'c'][i % 3]));
  for (const s of [...shares('iid'), ...shares('by-domain')])
    assert.equal(
      [0, 1].map((y) => s.gold.filter((e) => e.y === y).length),
      [4, 4],
    );
  const skew = (alpha: number): number =>
    Math.max(
      ...shares('dirichlet', alpha).map((s) =>
        Math.abs(s.unlabelled.filter((e) => e.y === 1).length / Math.max(1, s.unlabelled.length) - 0.5),
      ),
    );
  assert.ok(skew(0.1) > 0.3 && skew(1000) < 0.1, `${skew(0.1)} and ${skew(1000)}`);
  assert.ok(Math.max(...sizes('quantity')) > 2 * Math.min(...sizes('quantity')));
});

test('Dirichlet shares sum to one and have the right mean and spread', () => {
  const prng = createPrng('dirichlet');
  const draws = Array.from({ length: 4000 }, () => drawDirichlet(4, 0.5, prng));
  assert.ok(draws.every((d) => Math.abs(d.reduce((a, b) => a + b, 0) - 1) < 1e-9));
  const first = draws.map((d) => d[0]!);
  const average = first.reduce((a, b) => a + b, 0) / 4000;
  const variance = first.reduce((sum, x) => sum + (x - average) ** 2, 0) / 4000;
  assert.ok(Math.abs(average - 0.25) < 0.02);
  assert.ok(Math.abs(variance - (0.25 * 0.75) / 3) < 0.006, `variance ${variance}`);
});

test('lockstep keeps the mean: none, by a server, by gossip; and counts what is sent', async () => {
  const run = async (mixing: Mixing, codec: string) => {
    const prng = createPrng('lockstep');
    const start = Array.from({ length: 8 }, () => Float32Array.from({ length: 300 }, prng.normal));
    const peers = start.map((vector, i): LockstepPeer => ({ id: `p${i}`, vector, residual: new Float32Array(300) }));
    const sent: number[] = [];
    await runLockstep({
      settings: settingsWith({ rounds: 6, closingRounds: 2, codec }),
      runId: 'run',
      mixing,
      peers,
      train: async (_i, _round, vector) => vector,
      onRound: async (_round, bytes) => {
        sent.push(bytes);
      },
    });
    const vectors = peers.map((p) => p.vector);
    return {
      moved: distance(mean(vectors), mean(start)) / norm(mean(start)),
      apart: disagreement(vectors) / disagreement(start),
      sent,
    };
  };
  const [none, server, gossip] = [await run('none', 'f32'), await run('server', 'f32'), await run('gossip', 'f32')];
  assert.equal([none.apart, none.sent[0]], [1, 0]);
  assert.ok(server.moved < 1e-6 && server.apart < 1e-6);
  assert.is(server.sent[0], 8 * 2 * (52 + 7 + 1200));
  assert.ok(gossip.moved < 1e-6 && gossip.apart < 1e-2, `${gossip.moved} ${gossip.apart}`);
  assert.is(gossip.sent.length, 8);
  assert.ok((await run('gossip', 'int8')).sent[0]! < 0.35 * gossip.sent[0]!);
});

const SPEC = {
  name: 'tiny',
  methods: ['zero-shot', 'lp-fl'],
  seeds: [1],
  peers: 3,
  goldPerClass: 2,
  test: 60,
  development: 30,
  unlabelled: 30,
};
const QUICK = { rounds: 2, closingRounds: 1, localSteps: 1, generationRounds: 1, batchSize: 4, pseudoScored: 20 };

test('an experiment is checked whole before it begins', () => {
  const wrong = (more: object): string => {
    try {
      readSpec({ ...SPEC, ...more }, 'x.yaml');
    } catch (error) {
      return error instanceof UserError ? error.message : String(error);
    }
    return 'none';
  };
  assert.is(wrong({}), 'none');
  assert.match(wrong({ method: [] }), /^x\.yaml: method: no such field/);
  assert.match(wrong({ methods: ['lpfl'] }), /methods: got lpfl; wanted zero-shot, alone/);
  assert.match(wrong({ seeds: [] }), /seeds: got \[\]; wanted a list/);
  assert.match(wrong({ data: 'sst' }), /data: got sst; wanted uci/);
  assert.match(wrong({ vary: { rang: [1] } }), /vary\.rang: neither/);
  assert.match(wrong({ vary: { rank: [8, 0] } }), /rank: got 0; wanted an integer/);
  assert.match(wrong({ peers: -1 }), /peers: got -1; wanted a positive number/);
});

test('runs are points x seeds x methods, keyed by what they compute', () => {
  const spec = readSpec({ ...SPEC, seeds: [1, 2], vary: { goldPerClass: [2, 8], codec: ['f16', 'int8'] } }, 'x');
  const runs = planRuns(spec);
  assert.is(runs.length, 2 * 2 * 2 * 2);
  assert.is(new Set(runs.map((r) => r.key)).size, runs.length);
  assert.equal(runs[0]!.point, { goldPerClass: 2, codec: 'f16' });
  assert.equal(
    planRuns(readSpec({ ...SPEC, about: 'other words' }, 'x')).map((r) => r.key),
    planRuns(readSpec(SPEC, 'x')).map((r) => r.key),
  );
});

test('every committed experiment is well formed', () => {
  const folder = join(ROOT, 'sim', 'experiments');
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  assert.ok(files.length >= 5);
  for (const file of files) {
    const spec = readSpec(parse(readFileSync(join(folder, file), 'utf8')), file);
    assert.is(`${spec.name}.yaml`, file);
    assert.ok(spec.seeds.length >= 3 && spec.scenario.test >= 1500, file);
  }
});

test('a data set cuts test, development and pool without overlap, in every domain', () => {
  const {
    pool: rest,
    development,
    test: held,
  } = DATASETS.uci!.read('', { seed: '3', development: 200, test: 1500 }, ['negative', 'positive']);
  const texts = [...rest, ...development, ...held].map((e) => e.text);
  assert.is(held.length, 1500);
  assert.is(development.length, 200);
  assert.ok(texts.length - new Set(texts).size <= 2, 'sentences shared between kinds'); // the set itself repeats a few
  assert.is(new Set(held.map((e) => e.domain)).size, 3);
});

test('an experiment runs, is not run again, survives a torn line, and is told as table and page', async () => {
  const folder = temporaryFolder();
  const spec = readSpec({ ...SPEC, settings: QUICK }, 'x');
  const labels: string[] = [];
  const run = () =>
    runExperiment({
      runs: planRuns(spec),
      folder,
      threads: 1,
      signal: new AbortController().signal,
      onProgress: (_done, _total, label) => labels.push(label),
    });
  const records = await run();
  assert.equal(labels, ['zero-shot, seed 1', 'lp-fl, seed 1', 'done']);
  const finals = records.filter((r) => r.type === 'final');
  const rounds = records.filter((r) => r.type === 'round');
  assert.is(finals.length, 2);
  assert.is(rounds.length, 3);
  assert.ok(finals[0]!.accuracy.uncalibrated !== null && finals[1]!.bytes > 3 * 2 * 33_000);
  assert.ok(rounds.at(-1)!.precision! > 0 && rounds.at(-1)!.coverage! > 0);
  appendFileSync(join(folder, 'runs.jsonl'), '{"type":"final","key":');
  const before = readFileSync(join(folder, 'runs.jsonl'), 'utf8');
  assert.equal(await run(), records);
  assert.is(readFileSync(join(folder, 'runs.jsonl'), 'utf8'), before);
  assert.equal(readRecords(folder), records);
  assert.equal(
    summarise(records).map((row) => row.method),
    ['zero-shot', 'lp-fl'],
  );
  assert.match(markdownReport(spec, records, 'cmd'), /\| lp-fl \| \d+\.\d \|/);
  const page = htmlReport(spec, records, 'cmd');
  assert.match(page, /<svg[^>]*>/);
  assert.not.match(page, /(src|href)=/);
});

test('an interrupted experiment stops at the next step, writes no half run, and can go on', async () => {
  const folder = temporaryFolder();
  const [, run] = planRuns(readSpec({ ...SPEC, settings: { ...QUICK, rounds: 500 } }, 'x'));
  const controller = new AbortController();
  const options = { runs: [run!], folder, threads: 1, signal: controller.signal, onProgress: () => {} };
  setTimeout(() => controller.abort(), 1500);
  const error = await runExperiment(options).then(
    () => null,
    (e: Error) => e,
  );
  assert.ok(error, 'it ended before it was interrupted');
  assert.equal(readRecords(folder), []);
});

test('a chart draws what it is given and nothing where there is nothing', () => {
  const svg = lineChart({
    title: 'a < b',
    x: 'x',
    y: 'y',
    series: [
      {
        name: 's',
        points: [
          [0, 1],
          [1, 2],
        ],
      },
    ],
  });
  assert.match(svg, /a &lt; b/);
  assert.match(svg, /<polyline points="[\d., ]+"/);
  assert.not.match(svg, /NaN|Infinity/);
  assert.not.match(lineChart({ title: '', x: '', y: '', series: [{ name: 's', points: [[3, 3]] }] }), /NaN|Infinity/);
  assert.is(lineChart({ title: '', x: '', y: '', series: [] }), '');
});

test.run();
