/** @file Experiments: what a file may say, how texts are dealt, that lockstep mixes as the protocol does, that runs resume. */
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../../node/errors.ts';
import { readYaml } from '../../../node/yaml.ts';
import { createPrng } from '../../../protocol/prng.ts';
import { disagreement, distance, mean, norm } from '../../../protocol/vector.ts';
import { DATASETS, type Item } from '../../../sim/learning/datasets.ts';
import { runExperiment } from '../../../sim/learning/experiment.ts';
import { type LockstepPeer, type Mixing, runLockstep } from '../../../sim/learning/lockstep.ts';
import { drawDirichlet, PARTITIONS, partition } from '../../../sim/learning/partition.ts';
import { planRuns } from '../../../sim/learning/plan.ts';
import { type ExperimentRecord, readRecords, recordsOf } from '../../../sim/learning/records.ts';
import { readSpec } from '../../../sim/learning/spec.ts';
import { summarise } from '../../../sim/learning/summary.ts';
import { experimentReport, markdownReport } from '../../../sim/report/experiment.ts';
import { ROOT, settingsWith, temporaryFolder } from '../../support.ts';

const pool: Item[] = Array.from({ length: 600 }, (_, i) => ({
  text: `text ${i}`,
  y: i % 2,
  domain: ['a', 'b', 'c'][i % 3]!,
}));
const TASK = {
  classes: ['negative', 'positive'],
};
const options = { seed: '1', peers: 6, classes: 2, goldPerClass: 4, unlabelled: 50, alpha: 0.3 };

for (const kind of Object.keys(PARTITIONS).filter((name) => name !== 'files')) {
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

test("files of one's own: each peer its file, what has no label is unlabelled, mistakes are named", async () => {
  const folder = temporaryFolder();
  const write = (name: string, rows: readonly string[]): string => {
    writeFileSync(join(folder, name), ['label\ttext', ...rows].join('\n'));
    return join(folder, name);
  };
  const files = [
    write('a.tsv', ['positive\tgood', 'negative\tbad', '\tso so', '\tfine']),
    write('b.tsv', ['1\tlovely']),
  ];
  const testFile = write('test.tsv', ['positive\tnice', 'negative\tawful', '\tnobody knows']);
  const spec = readSpec(
    { ...SPEC, data: 'files', files, testFile, developmentFile: testFile, methods: ['lp-fl'], settings: QUICK },
    'x',
  );
  const [run] = await planRuns(spec);
  assert.is(run!.scenario.peers, 2);
  write('a.tsv', ['negative\tgood', 'positive\tbad', '\tso so', '\tfine']);
  const [changed] = await planRuns(spec);
  assert.is.not(changed!.key, run!.key, 'other labels, the same key');
  write('a.tsv', ['positive\tgood', 'negative\tbad', '\tso so', '\tfine']);
  const { pool: mine, test: held } = DATASETS.files!.read({ ...run!.scenario, seed: '1' }, TASK);
  const shares = partition('files', mine, { ...options, unlabelled: 1 });
  assert.equal(
    shares.map((s) => [s.gold.map((e) => e.y), s.unlabelled.map((e) => e.text)]),
    [
      [[1, 0], ['so so']],
      [[1], []],
    ],
  );
  assert.is(held.length, 2);
  const signal = new AbortController().signal;
  const records = await runExperiment({ runs: [run!], folder, threads: 1, signal, onProgress: () => {} });
  const final = records.find((r) => r.type === 'final')!;
  assert.equal(final.type === 'final' && final.peers[0], { gold: [1, 1, 0], unlabelled: [0, 0, 2] });
  assert.is(final.type === 'final' && final.testExamples, 2);
  write('b.tsv', ['perhaps\tlovely']);
  assert.throws(
    () => DATASETS.files!.read({ ...run!.scenario, seed: '1' }, TASK),
    (error: Error) => /b\.tsv:2: label "perhaps" is no class; .*wanted negative or positive/.test(error.message),
  );
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
  const run = async (mixing: Mixing, codec: string, contact = 1) => {
    const prng = createPrng('lockstep');
    const start = Array.from({ length: 8 }, () => Float32Array.from({ length: 300 }, prng.normal));
    const settings = settingsWith({ rounds: 6, closingRounds: 2, codec });
    const peers = start.map(
      (vector, i): LockstepPeer => ({ id: `p${i}`, settings, vector, residual: new Float32Array(300) }),
    );
    const sent: number[] = [];
    await runLockstep({
      settings,
      runId: 'run',
      mixing,
      factors: [],
      contact,
      average: mean,
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
  assert.is(server.sent[0], 8 * 2 * (52 + 11 + 1200));
  assert.ok(gossip.moved < 1e-6 && gossip.apart < 1e-2, `${gossip.moved} ${gossip.apart}`);
  assert.is(gossip.sent.length, 8);
  assert.ok((await run('gossip', 'int8')).sent[0]! < 0.35 * gossip.sent[0]!);
  const rare = await run('gossip', 'f32', 0.2);
  assert.ok(rare.moved < 1e-6 && rare.apart > 2 * gossip.apart, `${rare.moved} ${rare.apart}`);
  assert.ok(rare.sent.reduce((a, b) => a + b) < 0.4 * gossip.sent.reduce((a, b) => a + b));
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

test('an experiment is checked whole before it begins', async () => {
  const wrong = (more: object): Promise<string> =>
    (async () => planRuns(readSpec({ ...SPEC, ...more }, 'x.yaml')))().then(
      () => 'none',
      (error: Error) => (error instanceof UserError ? error.message : `no mistake of the user's: ${error.stack}`),
    );
  for (const [more, wanted] of [
    [{}, /^none$/],
    [{ method: [] }, /^x\.yaml: method: no such field; did you mean methods\?$/],
    [{ methods: ['lpfl'] }, /methods\[0\]: got "lpfl"; wanted zero-shot, alone.*did you mean lp-fl/],
    [{ methods: ['constructor'] }, /methods\[0\]: got "constructor"; wanted zero-shot/],
    [{ methods: ['lp-fl', 'lp-fl'] }, /methods\[1\]: lp-fl stands twice/],
    [{ seeds: [] }, /seeds: got \[\]; wanted a list/],
    [{ seeds: [1, '1'] }, /seeds\[1\]: 1 stands twice/],
    [{ seeds: [null] }, /seeds\[0\]: got null; wanted names or numbers/],
    [{ data: 'sst' }, /data: got "sst"; wanted uci/],
    [{ partition: 'toString' }, /partition: got "toString"; wanted iid/],
    [{ vary: { rang: [1] } }, /vary\.rang: no such field that may vary, or setting; did you mean rank/],
    [{ vary: { seed: [1] } }, /vary\.seed: cannot be set here/],
    [{ vary: { rank: [8, 0] } }, /vary\.rank\[1\]: got 0; wanted an integer/],
    [{ vary: { labelPrior: ['', '1,2,3'] } }, /labelPrior: 3 numbers; wanted one for each/],
    [{ points: [{}], vary: { rank: [1] } }, /points: stand beside vary; wanted one of them/],
    [{ peers: -1 }, /peers: got -1; wanted a whole number/],
    [{ peers: 2.5 }, /peers: got 2\.5; wanted a whole number/],
    [{ contact: 2 }, /contact: got 2; wanted a chance/],
    [{ data: 'files' }, /data: files needs files/],
    [{ data: 'files', files: ['a', 'a'] }, /files\[1\]: a stands twice/],
    [{ data: 'files', files: ['a.tsv'], developmentFile: 'b.tsv', testFile: 'c.tsv' }, /a\.tsv: cannot be read/],
    [{ partition: 'files' }, /goes with data: files/],
    [{ files: ['a.tsv'] }, /^x\.yaml: files: goes with data: files, and nothing here has it/],
    [{ ranks: 4 }, /ranks: got 4; wanted a list/],
    [{ ranks: [16] }, /ranks: got \[16\]; wanted at most the rank of the run, 8/],
    [{ ranks: [4] }, /ranks: averaging is factors; wanted product/],
    [{ settings: { localRank: 4 } }, /localRank: got 4 with averaging factors; wanted averaging product/],
    [{ settings: { schedule: 'edges', edges: '1-2,2-3' } }, /edges: edge 2-3: there is no peer 3.*begin with 1/],
    [{ settings: { schedule: 'edges', edges: '0-1' } }, /edges: the graph is in 2 parts .*in no edge: 2/],
    [{ settings: { edges: '0-1,1-2' } }, /edges: got random-regular and some edges/],
    [{ settings: 5 }, /settings: got 5; wanted name: value/],
    [{ overrides: { lpfl: { rank: 4 } } }, /overrides\.lpfl: no such method; did you mean lp-fl/],
    [{ overrides: { 'lp-fl': 5 } }, /overrides\.lp-fl: got 5; wanted name: value/],
  ] as const)
    assert.match(await wrong(more), wanted);
});

test('runs are points x seeds x methods, keyed by what they compute', async () => {
  const spec = readSpec({ ...SPEC, seeds: [1, 2], vary: { goldPerClass: [2, 8], codec: ['f16', 'int8'] } }, 'x');
  const runs = await planRuns(spec);
  assert.is(runs.length, 2 * 2 * 2 * 2);
  assert.is(new Set(runs.map((r) => r.key)).size, runs.length);
  assert.equal(runs[0]!.point, { goldPerClass: 2, codec: 'f16' });
  assert.equal(
    (await planRuns(readSpec({ ...SPEC, about: 'other words' }, 'x'))).map((r) => r.key),
    (await planRuns(readSpec(SPEC, 'x'))).map((r) => r.key),
  );
});

test('a key is what is computed: of defaults, of what a method does not look at, of points that come to the same, nothing', async () => {
  const keys = async (more: object): Promise<string[]> =>
    (await planRuns(readSpec({ ...SPEC, ...more }, 'x'))).map((r) => r.key);
  const plain = await keys({ methods: ['fedavg'] });
  assert.equal(await keys({ methods: ['fedavg'], settings: { rank: 8, retryMs: 77 } }), plain);
  assert.equal(await keys({ methods: ['fedavg'], settings: { schedule: 'ring' }, contact: 0.5, alpha: 3 }), plain);
  assert.not.equal(await keys({ methods: ['fedavg'], settings: { rank: 4 } }), plain);
  assert.not.equal(await keys({ methods: ['fedavg'], peers: 4 }), plain);
  const [ring, full] = await keys({ methods: ['fedavg'], vary: { schedule: ['ring', 'full'] } });
  assert.is(ring, full);
  const runs = await planRuns(readSpec({ ...SPEC, methods: ['fedavg'], vary: { schedule: ['ring', 'full'] } }, 'x'));
  const record = { type: 'final', key: ring, seed: '1', method: 'fedavg' } as unknown as ExperimentRecord;
  assert.equal(
    recordsOf(runs, [record, record]).map((r) => r.point),
    [{ schedule: 'ring' }, { schedule: 'full' }],
  );
});

test('every committed experiment is well formed', () => {
  const folder = join(ROOT, 'sim', 'experiments');
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  assert.ok(files.length >= 5);
  for (const file of files) {
    const { given, source } = readYaml(join(folder, file), 'an experiment');
    const spec = readSpec(given, source);
    assert.is(`${spec.name}.yaml`, file);
    // Of writing every text gives as many figures as it has tokens.
    const least = spec.settings.objective === 'next-token' ? 100 : 1500;
    assert.ok(spec.seeds.length >= 3 && spec.scenario.test >= least, file);
  }
});

test('a data set cuts test, development and pool without overlap, in every domain', () => {
  const { pool: rest, development, test: held } = DATASETS.uci!.read({ seed: '3', development: 200, test: 1500 }, TASK);
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
  const runs = await planRuns(spec);
  const run = () =>
    runExperiment({
      runs,
      folder,
      threads: 1,
      signal: new AbortController().signal,
      onProgress: (_done, _total, label) => labels.at(-1) !== label && labels.push(label),
    });
  const records = await run();
  assert.equal(labels, ['zero-shot, seed 1', 'lp-fl, seed 1', 'done']);
  const finals = records.filter((r) => r.type === 'final');
  const rounds = records.filter((r) => r.type === 'round');
  assert.is(finals.length, 2);
  assert.is(rounds.length, 3);
  assert.ok(finals[0]!.accuracy!.uncalibrated !== null && finals[1]!.bytes > 3 * 2 * 33_000);
  assert.ok(rounds.at(-1)!.precision! > 0 && rounds.at(-1)!.coverage! > 0);
  appendFileSync(join(folder, 'runs.jsonl'), '{"type":"final","key":');
  const before = readFileSync(join(folder, 'runs.jsonl'), 'utf8');
  assert.equal(await run(), records);
  assert.is(readFileSync(join(folder, 'runs.jsonl'), 'utf8'), before);
  assert.equal(readRecords(folder), records);
  assert.equal(
    summarise(spec, records).rows.map((row) => row.method),
    ['majority class', 'zero-shot', 'lp-fl'],
  );
  assert.match(markdownReport(spec, records, 'cmd'), /\| lp-fl \| \d+\.\d \|/);
  const { sections } = experimentReport(spec, records, 'cmd');
  assert.ok(sections.some(({ charts = [] }) => charts.some(({ lines }) => lines.some((l) => l.points.length > 1))));
  assert.ok(sections.some(({ bars = [] }) => bars.some(({ parts }) => parts.includes('negative, labelled'))));
});

test('peers of different ranks learn together with averaging product, and the cross term is of what they bring', async () => {
  const settings = { ...QUICK, averaging: 'product', rank: 4, codec: 'int8' };
  const spec = readSpec({ ...SPEC, methods: ['lp-fl-gold'], ranks: [1, 2, 4], settings }, 'x');
  const runs = await planRuns(spec);
  const signal = new AbortController().signal;
  const records = await runExperiment({
    runs,
    folder: temporaryFolder(),
    threads: 1,
    signal,
    onProgress: () => {},
  });
  const final = records.find((r) => r.type === 'final')!;
  assert.ok(final.type === 'final' && final.accuracy!.mean > 0.5 && final.bytes > 0);
  assert.ok(records.every((r) => r.type === 'final' || (r.crossTerm === null && Number.isFinite(r.disagreement))));
  // The cross term is of what peers bring to the mixing, so not zero even where a server leaves all alike.
  const other = await planRuns(readSpec({ ...SPEC, methods: ['fedavg'], settings: { ...QUICK, localSteps: 3 } }, 'x'));
  const rest = await runExperiment({
    runs: other,
    folder: temporaryFolder(),
    threads: 1,
    signal,
    onProgress: () => {},
  });
  assert.ok(rest.some((r) => r.type === 'round' && r.crossTerm! > 0));
});

test('an interrupted experiment stops at the next step and writes no half run', async () => {
  const folder = temporaryFolder();
  const [, run] = await planRuns(readSpec({ ...SPEC, settings: { ...QUICK, rounds: 500 } }, 'x'));
  const controller = new AbortController();
  const onProgress = (): void => controller.abort();
  const options = { runs: [run!], folder, threads: 1, signal: controller.signal, onProgress };
  const error = await runExperiment(options).then(
    () => null,
    (e: Error) => e,
  );
  assert.ok(error, 'it ended before it was interrupted');
  assert.equal(readRecords(folder), []);
});

test.run();
