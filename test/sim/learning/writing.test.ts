/** @file An experiment in which a swarm learns to write: told by loss a token, and refused where it goes by classes. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runExperiment } from '../../../sim/learning/experiment.ts';
import { planRuns } from '../../../sim/learning/plan.ts';
import { figuresOf, finalsOf } from '../../../sim/learning/records.ts';
import { readSpec } from '../../../sim/learning/spec.ts';
import { experimentReport, markdownReport } from '../../../sim/report/experiment.ts';
import { temporaryFolder } from '../../support.ts';
import { tinyCausal } from '../../train/parts/causal.ts';

const folder = temporaryFolder();
process.env.LORIKEET_CACHE = join(folder, 'cache');
const file = (name: string, ...rows: object[]): string => {
  writeFileSync(join(folder, name), rows.map((row) => JSON.stringify(row)).join('\n'));
  return join(folder, name);
};
const files = [
  file('a.jsonl', { text: 'the cat sat on the mat.', label: 'x' }, { text: 'the cat ate the rat.' }),
  file('b.jsonl', { prompt: 'the dog', completion: ' sat on the log.' }),
];
const SPEC = {
  name: 'x',
  data: 'files',
  files,
  developmentFile: file('watched.jsonl', { text: 'the mat sat.' }),
  testFile: file('test.jsonl', { text: 'the dog sat on the mat.' }, { text: 'the rat ate the cat.' }),
  seeds: [1],
  methods: ['zero-shot', 'alone', 'lp-fl-gold'],
  settings: {
    base: tinyCausal(folder),
    objective: 'next-token',
    maxTokens: 32,
    rounds: 3,
    localSteps: 4,
    learningRate: 0.01,
    targets: 'all',
  },
};

test('peers learn to write: less loss than the base, and less together than alone', async () => {
  const spec = readSpec(SPEC, 'x');
  const runs = await planRuns(spec);
  const signal = new AbortController().signal;
  const records = await runExperiment({ runs, folder: join(folder, 'out'), threads: 1, signal, onProgress: () => {} });
  const [base, alone, swarm] = finalsOf(records);
  assert.equal([base!.accuracy, base!.classes, base!.testExamples], [null, [], 2]);
  const [zero, own, all] = [base!, alone!, swarm!].map((final) => figuresOf(final).mean) as [number, number, number];
  assert.ok(all < own && own < zero, `${zero}, alone ${own}, swarm ${all}`);
  assert.ok(figuresOf(alone!).worst >= own && figuresOf(swarm!).bestRound! < zero);
  assert.equal(
    swarm!.peers.map(({ unlabelled }) => unlabelled),
    [[2], [1]],
  );
  const report = markdownReport(spec, records, 'cmd');
  assert.match(report, /loss a token/);
  assert.match(report, /\| lp-fl-gold \| \d\.\d{3} \|/);
  assert.not.match(report, /majority|% right/);
  assert.match(experimentReport(spec, records, 'cmd').sections[1]!.title, /^Development loss a token, round by round/);
});

test('what goes by classes is refused where there are none', async () => {
  const refused = async (more: object, wanted: RegExp): Promise<void> => {
    try {
      await planRuns(readSpec({ ...SPEC, ...more }, 'x'));
      assert.unreachable();
    } catch (error) {
      assert.match((error as Error).message, wanted);
    }
  };
  await refused({ methods: ['lp-fl'] }, /methods.*lp-fl gives soft labels/);
  await refused({ settings: { ...SPEC.settings, labels: 'a=b,c=d' } }, /labels.*with objective next-token/);
  await refused(
    { settings: {}, points: [{}, { ...SPEC.settings }] },
    /objective: is next-token here and classify elsewhere/,
  );
});

test.run();
