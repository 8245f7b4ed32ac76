/** @file The figures of experiments: none is made up where there was nothing to measure, and each says what it is of. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../../node/errors.ts';
import { createPrng } from '../../../protocol/prng.ts';
import { type Item, readDataset } from '../../../sim/learning/datasets.ts';
import { runExperiment } from '../../../sim/learning/experiment.ts';
import { drawDirichlet, partition } from '../../../sim/learning/partition.ts';
import { planRuns } from '../../../sim/learning/plan.ts';
import { type ExperimentRecord, finalsOf, roundsOf } from '../../../sim/learning/records.ts';
import { readSpec } from '../../../sim/learning/spec.ts';
import { markdownReport } from '../../../sim/report/experiment.ts';
import { temporaryFolder } from '../../support.ts';

const folder = temporaryFolder();
const write = (name: string, ...lines: readonly string[]): string => {
  writeFileSync(join(folder, name), `${lines.join('\n')}\n`);
  return join(folder, name);
};
const own = write('own.csv', 'text,label', 'a warm film,1', 'a dull film,0', 'great food,1', 'cold food,0');
const others = write('others.csv', 'text,label', 'works well,1', 'broke at once,0');
const texts = write('texts.csv', 'text', 'a fine place', 'a dark room');
const test_ = write('test.csv', 'text,label', 'i love it,1', 'i hate it,0');
const QUICK = { rounds: 1, closingRounds: 0, localSteps: 1, batchSize: 4, labelPrior: 'off' };
const FILES = {
  name: 'files',
  data: 'files',
  files: [own, others],
  developmentFile: test_,
  testFile: test_,
  seeds: [1],
  methods: ['zero-shot', 'lp-fl-gold'],
  settings: QUICK,
};

const specOf = (more: object) => readSpec({ ...FILES, ...more }, 'x.yaml');
const problemOf = (more: object): Promise<string> =>
  (async () => planRuns(specOf(more)))().then(
    () => 'none',
    (error: Error) => (error instanceof UserError && error.mistake === 'usage' ? error.message : String(error.stack)),
  );
const runAll = async (spec: ReturnType<typeof readSpec>): Promise<ExperimentRecord[]> =>
  runExperiment({
    runs: await planRuns(spec),
    folder: temporaryFolder(),
    threads: 1,
    signal: new AbortController().signal,
    onProgress: () => {},
  });

test('files that leave nothing to score or to learn from are refused before the first run, with their columns', async () => {
  assert.is(await problemOf({}), 'none');
  const blank = write('blank.csv', 'text,label', 'i love it,', 'i hate it,');
  const sentiment = write('sentiment.csv', 'text,sentiment', 'i love it,1', 'i hate it,0');
  const target = write('target.jsonl', '{"text": "i love it", "target": 1}', '{"text": "i hate it", "target": 0}');
  for (const field of ['testFile', 'developmentFile']) {
    assert.match(
      await problemOf({ [field]: blank }),
      /blank\.csv: no row has a label \(columns: text, label\); wanted/,
    );
    assert.match(await problemOf({ [field]: texts }), /texts\.csv: no row has a label \(columns: text\)/);
    assert.match(
      await problemOf({ [field]: sentiment }),
      /sentiment\.csv: labels are under "sentiment" \(columns: text, se/,
    );
    assert.match(await problemOf({ [field]: target }), /target\.jsonl: labels are under "target"/);
  }
  assert.match(await problemOf({ files: [own, sentiment] }), /sentiment\.csv: labels are under "sentiment"/);
  assert.is(await problemOf({ files: [sentiment], testFile: sentiment, developmentFile: sentiment }), 'none');
});

test('a method that learns from labels alone is refused where no peer has one; soft labels are not', async () => {
  assert.match(await problemOf({ files: [texts] }), /no row of .*texts\.csv has a label; wanted labelled texts, or/);
  assert.is(await problemOf({ files: [texts], methods: ['zero-shot', 'lp-fl'] }), 'none');
  assert.match(
    await problemOf({ files: [texts], methods: ['lp-fl'], settings: { ...QUICK, softLabels: 'none' } }),
    /no row/,
  );
  assert.is(await problemOf({ files: [own, texts], methods: ['alone'] }), 'none');
});

test('any number of test texts is dealt, and none at all is refused', () => {
  const task = { classes: ['negative', 'positive'] };
  const read = (test: number, development: number) => readDataset('uci', { seed: '1', test, development }, task, true);
  for (const count of [1, 2, 4, 60, 1500])
    assert.equal([read(count, 1).test.length, read(count, 1).development.length], [count, 1]);
  assert.throws(() => read(4000, 1), /data: uci leaves no development texts/);
});

test('the loss is of the peers that have labelled texts', async () => {
  const records = await runAll(
    specOf({
      files: [own, texts, write('more.csv', 'text', 'so it is')],
      methods: ['alone', 'pooled'],
      settings: { ...QUICK, learningRate: 0 },
    }),
  );
  const [alone, pooled] = roundsOf(records);
  assert.equal([alone!.method, pooled!.method], ['alone', 'pooled']);
  assert.ok(alone!.loss! > 0.1 && Math.abs(alone!.loss! - pooled!.loss!) < 1e-5, `${alone!.loss} and ${pooled!.loss}`);
});

test('a report says how many peers hold nothing, and which class nobody holds', async () => {
  const spec = specOf({
    files: [write('bad.csv', 'text,label', 'it broke,0'), texts],
    methods: ['zero-shot', 'lp-fl-gold'],
  });
  const records = await runAll(spec);
  assert.equal(
    finalsOf(records)[0]!.peers.map(({ gold }) => gold),
    [
      [1, 0, 0],
      [0, 0, 0],
    ],
  );
  const report = markdownReport(spec, records, 'cmd');
  assert.match(report, /Peers with labelled texts: 1 of 2; with any text: 2 of 2\./);
  assert.match(report, /No peer has a labelled text of class 1 in some runs\./);
  assert.not.match(report, /NaN|Infinity|undefined|null/);
});

const pool: Item[] = Array.from({ length: 600 }, (_, i) => ({ text: `text ${i}`, y: i % 2, domain: 'abc'[i % 3]! }));
const dealt = { seed: '1', classes: 2, goldPerClass: 4, unlabelled: 1000, alpha: 0.3 };

test('by domain, fewer peers than domains hold every text all the same', () => {
  for (const peers of [1, 2, 3]) {
    const shares = partition('by-domain', pool, { ...dealt, peers });
    assert.is(
      shares.reduce((sum, s) => sum + s.gold.length + s.unlabelled.length, 0),
      pool.length,
      `${peers} peers`,
    );
  }
  const held = partition('by-domain', pool, { ...dealt, peers: 2 }).map((s) => [...s.gold, ...s.unlabelled]);
  assert.equal(
    held.map((items) => [...new Set(items.map((e) => e.domain))].sort().join('')),
    ['ac', 'b'],
  );
});

test('the smaller alpha, the more uneven the shares, down to one peer with everything', () => {
  for (const alpha of [1e-2, 1e-3, 1e-5]) {
    for (let seed = 0; seed < 20; seed++) {
      const shares = drawDirichlet(10, alpha, createPrng(seed));
      assert.ok(Math.abs(shares.reduce((a, b) => a + b) - 1) < 1e-9);
      if (alpha < 1e-2) assert.ok(Math.max(...shares) > 0.5, `alpha ${alpha}, seed ${seed}: ${shares}`);
    }
  }
});

test.run();
