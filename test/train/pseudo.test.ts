/** @file Soft labels: sizes, ratios, draws and targets; what half a batch is; peers without gold or with one class. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createTrainer, type Trainer } from '../../node/engine/trainer.ts';
import { encodeExamples, roundBatches } from '../../node/train/learner.ts';
import {
  classRatio,
  drawByConfidence,
  generationOf,
  NO_PSEUDO,
  pseudoSize,
  relabel,
  softmax,
} from '../../node/train/pseudo.ts';
import { calibrateRun, openClassRun } from '../../node/train/run.ts';
import { createPrng } from '../../protocol/prng.ts';
import { settingsWith } from '../support.ts';

const settings = settingsWith({
  generationRounds: 2,
  pseudoGrowth: 3,
  pseudoMax: 12,
  pseudoScored: 40,
  patterns: 'in summary , it was {mask} . {text}',
});
const things = ['film', 'meal', 'phone', 'hotel', 'book', 'song', 'waiter', 'plot', 'camera', 'soup'];
const unlabelled = things.flatMap((thing) => [
  { text: `a great and wonderful ${thing}`, truth: 1 },
  { text: `a terrible , boring ${thing}`, truth: 0 },
]);

let trainer: Trainer;
const bare = await openClassRun(settings);
test.before(async () => {
  trainer = await createTrainer({
    base: settings.base,
    trainable: { type: 'lora', lora: bare.lora },
    device: 'cpu',
    threads: 1,
  });
});
test.after(() => trainer.stop());

const calibrated = () =>
  calibrateRun(
    bare,
    trainer,
    unlabelled.map((u) => u.text),
  );
const goldOf = (classes: readonly number[]) =>
  encodeExamples(
    bare.task,
    classes.map((y, i) => ({ text: `gold ${i}`, y })),
  );

test('the set grows by a factor a generation, from nothing where there is gold', () => {
  assert.equal(
    [0, 1, 2, 3, 4].map((round) => generationOf(round, settings)),
    [0, 0, 1, 1, 2],
  );
  assert.equal(
    [0, 1, 2].map((g) => pseudoSize(g, 3, settings)),
    [0, 9, 12],
  );
  assert.equal(
    [0, 1].map((g) => pseudoSize(g, 0, settingsWith({ ...settings, pseudoBase: 2 }))),
    [2, 6],
  );
  assert.is(pseudoSize(5, 3, settingsWith({ softLabels: 'none' })), 0);
});

test('the label ratio is that of gold, uniform where gold has one class or none', () => {
  assert.equal(classRatio([{ y: 0 }, { y: 0 }, { y: 1 }, { y: 2 }], 3), [0.5, 0.25, 0.25]);
  assert.equal(classRatio([{ y: 1 }, { y: 1 }], 2), [0.5, 0.5]);
  assert.equal(classRatio([], 4), [0.25, 0.25, 0.25, 0.25]);
});

test('draws are in proportion to confidence, in the ratio asked for, each at most once', () => {
  const items = Array.from({ length: 400 }, (_, i) => ({ i, y: i % 2, confidence: i < 200 ? 0.9 : 0.3 }));
  const counts = { sure: 0, unsure: 0 };
  for (let trial = 0; trial < 50; trial++) {
    const drawn = drawByConfidence(items, [0.75, 0.25], 40, createPrng('draw').fork(trial));
    assert.equal([drawn.filter((d) => d.y === 0).length, drawn.filter((d) => d.y === 1).length], [30, 10]);
    assert.is(new Set(drawn.map((d) => d.i)).size, 40);
    counts.sure += drawn.filter((d) => d.confidence > 0.5).length;
    counts.unsure += drawn.filter((d) => d.confidence < 0.5).length;
  }
  const sharp = Array.from({ length: 20 }, (_, trial) =>
    drawByConfidence(items, [0.5, 0.5], 40, createPrng('sharp').fork(trial), 50).filter((d) => d.confidence < 0.5),
  );
  assert.is(sharp.flat().length, 0, 'the surest only, with a high power');
  const ratio = counts.sure / counts.unsure;
  assert.ok(ratio > 2 && ratio < 4, `sure to unsure ${ratio}, about 3 wanted`);
});

test('soft targets are the softened mean over prompts, weighted by confidence and temperature squared', async () => {
  const run = await calibrated();
  assert.is(run.patternLabels.length, 2);
  const options = {
    run,
    trainer,
    peer: 'a',
    round: 2,
    vector: run.initial,
    gold: await goldOf([0, 1, 1]),
    unlabelled,
    previous: NO_PSEUDO,
  };
  const set = await relabel(options);
  assert.is(set.generation, 1);
  assert.is(set.examples.length, 9);
  assert.equal(
    [0, 1].map((y) => set.examples.filter((e) => e.y === y).length),
    [3, 6],
  );
  assert.is(set.coverage, 9 / unlabelled.length);
  assert.ok(set.precision! > 0.8, `precision ${set.precision}`);
  const [example] = set.examples;
  const rows = await Promise.all(
    run.patternLabels.map(
      async (labels, p) =>
        (
          await trainer.score({
            vector: run.initial,
            sequences: [run.task.encode(unlabelled[example!.index]!.text, p)],
            labels,
            padId: run.task.padId,
          })
        )[0]!,
    ),
  );
  const logits = [0, 1].map((k) => (rows[0]![k]! + rows[1]![k]!) / 2);
  assert.ok(softmax(logits, 2).every((p, k) => Math.abs(p - example!.target.distribution[k]!) < 1e-4));
  assert.ok(Math.abs(example!.target.weight - 4 * Math.max(...softmax(logits, 1))) < 1e-3);
  assert.is(example!.target.temperature, 2);
  assert.is(await relabel({ ...options, round: 3, previous: set }), set, 'kept within a generation');
  assert.equal(await relabel(options), set, 'pure in its options');
});

test('hard labels, kept sets, and peers without gold or unlabelled texts', async () => {
  const run = await calibrated();
  const withSettings = async (more: object) => openClassRun({ ...run.settings, ...more });
  const common = { trainer, peer: 'a', vector: run.initial, unlabelled, previous: NO_PSEUDO };
  const hard = await relabel({
    ...common,
    run: await withSettings({ softLabels: 'hard', confidenceWeight: 'off' }),
    round: 2,
    gold: await goldOf([0, 1]),
  });
  assert.ok(
    hard.examples.every((e) => e.target.distribution[e.y] === 1 && e.target.weight === 1 && e.target.temperature === 1),
  );
  const appending = await withSettings({ pseudoKeep: 'append', pseudoMax: 18 });
  const gold = await goldOf([0, 1]);
  const first = await relabel({ ...common, run: appending, round: 2, gold });
  const second = await relabel({ ...common, run: appending, round: 4, gold, previous: first });
  assert.equal(second.examples.slice(0, first.examples.length), first.examples);
  assert.is(new Set(second.examples.map((e) => e.index)).size, second.examples.length);
  assert.ok(second.examples.length > first.examples.length);
  const noGold = await relabel({ ...common, run, round: 0, gold: [] });
  assert.ok(noGold.examples.length > 0);
  assert.is((await relabel({ ...common, run, round: 0, gold })).examples.length, 0);
  assert.is((await relabel({ ...common, run, round: 2, gold, unlabelled: [] })).examples.length, 0);
});

test('half of each batch is gold, the weights of a batch are shares', async () => {
  const examples = await goldOf([0, 1, 0, 1]);
  const pseudo = unlabelled.slice(0, 8).map(({ text }) => ({
    sequence: bare.task.encode(text),
    target: { distribution: [0.4, 0.6], weight: 2, temperature: 2 },
  }));
  const common = { task: bare.task, settings: settingsWith({ batchSize: 6 }), peer: 'a', round: 0, steps: 3 };
  for (const batch of roundBatches({ ...common, examples, pseudo })) {
    assert.equal(
      Array.from(batch.rowWeight),
      [1, 1, 1, 2, 2, 2].map((w) => Math.fround(w / 6)),
    );
    assert.equal(Array.from(batch.inverseTemperature), [1, 1, 1, 0.5, 0.5, 0.5]);
  }
  const onlyPseudo = roundBatches({ ...common, examples: [], pseudo });
  assert.ok(onlyPseudo.every((batch) => batch.batch === 6 && batch.inverseTemperature.every((t) => t === 0.5)));
  assert.equal(roundBatches({ ...common, examples: [], pseudo: [] }), []);
});

test.run();
