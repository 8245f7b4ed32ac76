/** @file The trainer in its worker: deterministic, off the main thread, clear about what it cannot do. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { baseVector } from '../../node/checkpoint/base.ts';
import { createTrainer, type Trainer } from '../../node/engine/trainer.ts';
import { UserError } from '../../node/errors.ts';
import { encodeExamples, evaluate, measurePrior, roundBatches, trainRound } from '../../node/train/learner.ts';
import { openClassRun } from '../../node/train/run.ts';
import { settingsWith } from '../support.ts';

const settings = settingsWith({ localSteps: 3, batchSize: 4, learningRate: 2e-3 });
const run = await openClassRun(settings);
const trainable = { type: 'lora', lora: run.lora } as const;
const options = { base: settings.base, trainable, device: 'cpu', threads: 1 } as const;
const texts = ['a great film', 'a terrible mess', 'lovely food', 'awful service', 'i like it', 'i hate it'];
const examples = await encodeExamples(
  run.task,
  texts.map((text, i) => ({ text, y: (i + 1) % 2 })),
);
const round = (trainer: Trainer, more: object = {}) =>
  trainRound({
    trainer,
    task: run.task,
    settings,
    labels: run.labels,
    examples,
    peer: 'a',
    round: 0,
    vector: run.initial,
    steps: 3,
    ...more,
  });

let trainer: Trainer;
test.before(async () => {
  trainer = await createTrainer(options);
});
test.after(() => trainer.stop());

test('training lowers the loss on what it trains on', async () => {
  const { losses } = await round(trainer, { steps: 25 });
  assert.is(losses.length, 25);
  assert.ok(
    losses.slice(-3).every((loss) => loss < 0.7 * losses[0]!),
    losses.join(' '),
  );
});

test('a round is a pure function of adapter, data, seed and round, in any trainer', async () => {
  const [first, again, later] = [await round(trainer), await round(trainer), await round(trainer, { round: 1 })];
  const other = await createTrainer(options);
  const elsewhere = await round(other);
  await other.stop();
  assert.equal(again.vector, first.vector);
  assert.equal(elsewhere.vector, first.vector);
  assert.not.equal(later.vector, first.vector);
});

test('classes in words of several tokens are scored and learned, their prior taken off', async () => {
  const several = settingsWith({ ...settings, labels: 'negative=wonderfulness,positive=great' });
  const { task, labels, initial } = await openClassRun(several);
  const encoded = await encodeExamples(
    task,
    texts.map((text, i) => ({ text, y: (i + 1) % 2 })),
  );
  assert.ok(encoded.every(({ sequence }) => sequence.choice!.passages.length === 1));
  const prior = await measurePrior(
    trainer,
    task,
    initial,
    encoded.map(({ sequence }) => sequence),
  );
  assert.ok(prior.every((x) => x < 0) && prior[0]! < prior[1]!, `${prior}: the longer word is less likely`);
  const { losses } = await round(trainer, { task, labels, examples: encoded, settings: several, steps: 25 });
  assert.ok(
    losses.slice(-3).every((loss) => loss < 0.7 * losses[0]!),
    losses.join(' '),
  );
});

test('every weight can be trained through the same machinery', async () => {
  const full = await createTrainer({ ...options, trainable: { type: 'full' } });
  const vector = await baseVector(run.base);
  const still = { learningRate: 0 };
  const { losses } = await round(full, {
    vector,
    steps: 12,
    settings: settingsWith({ ...settings, learningRate: 1e-4 }),
  });
  const { vector: same } = await round(full, { vector, steps: 1, settings: settingsWith({ ...settings, ...still }) });
  const [lora] = await trainer.score({
    vector: run.initial,
    sequences: [examples[0]!.sequence],
    labels: run.labels,
    padId: run.task.padId,
  });
  const [all] = await full.score({
    vector,
    sequences: [examples[0]!.sequence],
    labels: run.labels,
    padId: run.task.padId,
  });
  await full.stop();
  assert.ok(losses.at(-1)! < 0.5 * losses[0]!, losses.join(' '));
  assert.equal(same, vector);
  assert.ok(
    all!.every((x, k) => Math.abs(x - lora![k]!) < 1e-4),
    'both start as the base',
  );
});

test('batches pass over every example before any comes again, and differ from peer to peer', () => {
  const common = { task: run.task, settings: settingsWith({ batchSize: 3 }), examples, round: 2, steps: 2 };
  const ids = (peer: string): string =>
    roundBatches({ ...common, peer })
      .map((b) => b.inputIds.join(','))
      .join(';');
  const rows = roundBatches({ ...common, peer: 'a' }).flatMap((b) =>
    Array.from({ length: b.batch }, (_, i) =>
      b.inputIds
        .slice(i * b.tokens, (i + 1) * b.tokens)
        .filter((id) => id !== 0n)
        .join(','),
    ),
  );
  assert.is(new Set(rows).size, examples.length);
  assert.not.equal(ids('a'), ids('b'));
});

test('the main thread goes on turning while the worker trains', async () => {
  let turns = 0;
  let busy = true;
  const turn = (): void => {
    turns += 1;
    if (busy) setImmediate(turn);
  };
  setImmediate(turn);
  await round(trainer, { steps: 10 });
  busy = false;
  assert.ok(turns > 100, `${turns} turns in ten steps`);
});

test('a peer without labels changes nothing', async () => {
  const result = await round(trainer, { examples: [] });
  assert.is(result.vector, run.initial);
  assert.equal(result.losses, []);
});

test('scores come back in the order of the texts, whatever their lengths', async () => {
  const sequences = ['word '.repeat(40), 'good', 'word '.repeat(20), 'bad'].map((text) => run.task.encode(text));
  const request = { vector: run.initial, labels: run.labels, padId: run.task.padId };
  const together = await trainer.score({ ...request, sequences });
  for (const [i, sequence] of sequences.entries()) {
    const [alone] = await trainer.score({ ...request, sequences: [sequence] });
    assert.ok(alone!.every((x, k) => Math.abs(x - together[i]![k]!) < 1e-4));
  }
});

test('the label prior is the mean logit of each word', async () => {
  const sequences = examples.map((e) => e.sequence);
  const prior = await measurePrior(trainer, run.task, run.initial, sequences);
  const calibrated = await openClassRun({ ...settings, labelPrior: prior.join(',') });
  const logits = await trainer.score({
    vector: run.initial,
    sequences,
    labels: calibrated.labels,
    padId: run.task.padId,
  });
  for (const k of [0, 1]) assert.ok(Math.abs(logits.reduce((sum, row) => sum + row[k]!, 0)) < 1e-3);
  const accuracy = await evaluate(
    { trainer, task: run.task, labels: calibrated.labels, vector: run.initial },
    examples,
  );
  assert.ok(accuracy.share! >= 0.8, `calibrated zero-shot on six plain sentences: ${accuracy.share}`);
});

test('a base that is not there or a device that cannot start is a one-line mistake', async () => {
  const mistakes = [
    { ...options, base: '/nowhere' },
    { ...options, device: 'cuda' as const },
  ];
  for (const wrong of mistakes) {
    const error = await createTrainer(wrong).then(
      () => null,
      (e: Error) => e,
    );
    assert.ok(error instanceof UserError, String(error));
    assert.not.match(error.message, /\n/);
  }
});

test.run();
