/** @file The figures of experiments: none is made up where there was nothing to measure, and each says what it is of. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../../node/errors.ts';
import { accuracyOf, classCounts } from '../../../node/train/score.ts';
import { createPrng } from '../../../protocol/prng.ts';
import { type Item, readDataset } from '../../../sim/learning/datasets.ts';
import { runExperiment } from '../../../sim/learning/experiment.ts';
import { drawDirichlet, partition } from '../../../sim/learning/partition.ts';
import { planRuns } from '../../../sim/learning/plan.ts';
import {
  type ExperimentRecord,
  type FinalRecord,
  finalsOf,
  RECORDS_VERSION,
  readRecords,
  roundsOf,
} from '../../../sim/learning/records.ts';
import { readSpec } from '../../../sim/learning/spec.ts';
import { MAJORITY, summarise } from '../../../sim/learning/summary.ts';
import { experimentReport, markdownReport } from '../../../sim/report/experiment.ts';
import { checkLearning } from '../../../sim/world/lora.ts';
import { readScenario } from '../../../sim/world/scenario.ts';
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

const UCI = {
  name: 'uci',
  peers: 3,
  goldPerClass: 2,
  test: 60,
  development: 30,
  unlabelled: 10,
  seeds: [1],
  methods: ['lp-fl'],
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
  assert.match(report, /In some runs no peer has a labelled text of: positive\./);
  assert.not.match(report, /NaN|Infinity|undefined|null/);
});

test('alone is scored peer by peer and never averaged; every figure of a run agrees with its table of classes', async () => {
  const settings = { ...QUICK, localSteps: 4, learningRate: 0.01 };
  const spec = readSpec(
    { ...UCI, methods: ['alone', 'lp-fl-gold'], partition: 'dirichlet', alpha: 0.1, settings },
    'x.yaml',
  );
  const [alone, swarm] = finalsOf(await runAll(spec));
  assert.equal([alone!.accuracy!.average, alone!.accuracy!.bestRound], [null, alone!.accuracy!.mean]);
  assert.ok(alone!.accuracy!.worst < alone!.accuracy!.mean, 'peers that differ');
  assert.ok(swarm!.accuracy!.average! > 0 && swarm!.accuracy!.bestRound === swarm!.accuracy!.average);
  for (const { confusion, testCounts, accuracy, testExamples, classes } of [alone!, swarm!]) {
    assert.equal(
      classCounts(confusion),
      testCounts.map((count) => 3 * count),
    );
    assert.ok(Math.abs(accuracyOf(confusion).share! - accuracy!.mean) < 1e-9);
    assert.equal([classes, testCounts[0]! + testCounts[1]!], [['negative', 'positive'], testExamples]);
    assert.is(accuracy!.majority, Math.max(...testCounts) / testExamples);
  }
});

/** A finished run, as far as a report looks at it. */
function finalOf(
  method: string,
  seed: string,
  { mean, average, test = [50, 50] }: { mean: number; average: number | null; test?: number[] },
): FinalRecord {
  const right = test.map((count) => Math.round(mean * count));
  return {
    version: RECORDS_VERSION,
    type: 'final',
    key: `${method} ${seed}`,
    method,
    seed,
    point: {},
    accuracy: { mean, worst: mean, average, bestRound: average, majority: Math.max(...test) / 100, uncalibrated: null },
    balanced: mean,
    classes: ['negative', 'positive'],
    testCounts: test,
    confusion: [
      [right[0]!, test[0]! - right[0]!],
      [test[1]! - right[1]!, right[1]!],
    ],
    steps: 1,
    bytes: 0,
    testExamples: 100,
    seconds: 1,
    peers: [{ gold: [1, 1, 0], unlabelled: [0, 0, 0] }],
    hashes: { base: 'base', data: 'data' },
  };
}

const compared = readSpec({ ...UCI, seeds: [1, 2], methods: ['alone', 'lp-fl'] }, 'x.yaml');
const finals = (test: number[]): FinalRecord[] => [
  finalOf('alone', '1', { mean: 0.6, average: null, test }),
  finalOf('alone', '2', { mean: 0.5, average: null, test }),
  finalOf('lp-fl', '1', { mean: 0.7, average: 0.99, test }),
  finalOf('lp-fl', '2', { mean: 0.8, average: 0.99, test }),
];

test('a difference is of what each peer ends with, seed by seed, never of averaged adapters', () => {
  const { rows, reference } = summarise(compared, finals([50, 50]));
  assert.is(reference, 'lp-fl');
  const [majority, alone, swarm] = rows;
  assert.ok(Math.abs(alone!.difference!.mean + 0.2) < 1e-9);
  assert.ok(Math.abs(alone!.difference!.spread! - Math.sqrt(0.02)) < 1e-9, 'paired: -0.1 and -0.3');
  assert.is(swarm!.difference, null);
  assert.equal([majority!.method, majority!.cells[0]!.mean, majority!.balanced!.mean], [MAJORITY, 0.5, 0.5]);
  assert.ok(Math.abs(majority!.difference!.mean + 0.25) < 1e-9);
});

test('what the columns mean stands beside them, and - where there is nothing', () => {
  const records = finals([50, 50]);
  const [markdown, page] = [markdownReport(compared, records, 'cmd'), pageText(records)];
  for (const report of [markdown, page]) {
    assert.match(report, /best round: looking back, the round that scored best on development texts/);
    assert.match(report, /minus lp-fl: of "peers, mean", seed by seed/);
    assert.not.match(report, /balanced|called negative|NaN|undefined|null/);
  }
  assert.match(markdown, /\n\| majority class \| 50\.0 ± 0\.0 \| 50\.0 ± 0\.0 \| - \| - \| -25\.0 ± 7\.1 \| - \|\n/);
  assert.match(markdown, /\n\| alone \| 55\.0 ± 7\.1 \| 55\.0 ± 7\.1 \| - \| - \| -20\.0 ± 14\.1 \| 0\.00 \|\n/);
  assert.match(markdown, /2 paired seeds, /);
  assert.match(markdownReport(compared, records.slice(0, 3), 'cmd'), /Only 3 of 4 runs are here/);
});

function pageText(records: Parameters<typeof experimentReport>[1]): string {
  return JSON.stringify(experimentReport(compared, records, 'cmd').sections[0]).replaceAll('\\"', '"');
}

test('where classes are uneven, balanced accuracy and what each class was called stand beside', () => {
  const records = finals([10, 90]);
  for (const report of [markdownReport(compared, records, 'cmd'), pageText(records)]) {
    assert.match(report, /balanced: the mean over classes/);
    assert.match(report, /called negative/);
  }
  const markdown = markdownReport(compared, records, 'cmd');
  assert.match(markdown, /\| majority class \| 90\.0 /);
  assert.match(markdown, /\| alone \| negative \| 10\.0 \| 55\.0 \| 45\.0 \|/);
  assert.match(markdown, /\| lp-fl \| positive \| 90\.0 \| 25\.0 \| 75\.0 \|/);
});

test('a record of another version, or of none, is refused with the line it stands in and what to do', () => {
  const results = temporaryFolder();
  const whole = JSON.stringify(finalOf('alone', '1', { mean: 1, average: null }));
  for (const [version, told] of [
    ['"version":1', 'version 1'],
    ['"versio":1', 'no version'],
    ['"version":"later"', 'version later'],
  ] as const) {
    writeFileSync(join(results, 'runs.jsonl'), `${whole}\n${whole.replace(/"version":\d+/, version)}\n`);
    assert.throws(
      () => readRecords(results),
      (error: Error) =>
        error instanceof UserError &&
        error.mistake === 'incompatible' &&
        error.message.includes(`runs.jsonl:2: a record of ${told}; wanted ${RECORDS_VERSION}: choose another folder`),
    );
  }
  writeFileSync(join(results, 'runs.jsonl'), `${whole}\n${whole.slice(0, 40)}`);
  assert.is(readRecords(results).length, 1);
});

test('a scenario that learns from files is refused before its first run, whichever of its points is wrong', async () => {
  const learning = { data: 'files', files: [own, others], developmentFile: test_, testFile: test_ };
  const blank = write('blank.csv', 'text,label', 'i love it,');
  const runsOf = (points: object[]) =>
    readScenario({ name: 'x', peers: 2, trainer: 'lora', seeds: [1], points }, 'x.yaml').runs;
  await checkLearning(runsOf([{ learning }]));
  const error = await checkLearning(runsOf([{ learning }, { learning: { ...learning, developmentFile: blank } }])).then(
    () => null,
    (e: Error) => e,
  );
  assert.ok(error instanceof UserError && /blank\.csv: no row has a label/.test(error.message), String(error));
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
