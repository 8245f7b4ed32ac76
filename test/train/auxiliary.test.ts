/** @file The auxiliary loss: which words are hidden, and that it teaches a base the words of a peer's texts beside their classes. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packPassages } from '../../node/engine/packing.ts';
import { createTrainer } from '../../node/engine/trainer.ts';
import { createWritingTask } from '../../node/texts/pieces.ts';
import { maskedPassages } from '../../node/train/auxiliary.ts';
import { createClassLearner } from '../../node/train/classify.ts';
import { encodeExamples } from '../../node/train/learner.ts';
import { openClassRun } from '../../node/train/run.ts';
import { tokenLossOf } from '../../node/train/score.ts';
import { createPrng } from '../../protocol/prng.ts';
import { settingsWith } from '../support.ts';

test('of the words 15 % are asked for: 80 of 100 masked, 10 any other, 10 as they are; what stands around a text never', () => {
  const ids = Int32Array.from([1, ...Array.from({ length: 2000 }, (_, i) => 100 + (i % 50)), 2]);
  const piece = { ids, learned: [[1, ids.length]] as const, isCut: false };
  const prng = createPrng('5').fork('mask');
  const [passage] = maskedPassages([piece], { maskId: 3, vocabularySize: 9000 }, prng);
  const { scored, ids: shown } = passage!;
  assert.is(scored.length, 300);
  assert.is(new Set(scored.map(({ position }) => position)).size, 300);
  assert.ok(scored.every(({ position, id }) => id === ids[position] && position > 0 && position < 2001));
  assert.ok(Math.abs(scored.reduce((sum, { weight }) => sum + weight, 0) - 1) < 1e-9);
  const masked = scored.filter(({ position }) => shown[position] === 3).length;
  const same = scored.filter(({ position, id }) => shown[position] === id).length;
  assert.ok(masked > 215 && masked < 265 && same > 12 && same < 55, `${masked} masked, ${same} the same, of 300`);
  const asked = new Set(scored.map(({ position }) => position));
  assert.ok(shown.every((id, i) => asked.has(i) || id === ids[i]));
});

test('beside classes a base learns the words of the texts, and without the loss it does not', async () => {
  const common = { batchSize: 4, learningRate: 3e-3, maxTokens: 32 };
  const texts = ['the harbour lamps went out', 'the harbour was cold', 'lamps burned over the harbour', 'cold lamps'];
  const run = await openClassRun(settingsWith({ ...common, labelPrior: 'off', auxiliary: 0.5 }));
  const { base, lora, task } = run;
  const trainer = await createTrainer({
    base: 'lorikeet-mini',
    trainable: { type: 'lora', lora },
    device: 'cpu',
    threads: 1,
  });
  const gold = await encodeExamples(
    task,
    texts.map((text, i) => ({ text, y: i % 2 })),
  );
  const writing = createWritingTask({ path: base.path, maxTokens: 32, maxPositions: 96, isCausal: false });
  const pieces = texts.flatMap((text) => writing.encode({ type: 'text', text }));
  const batches = [packPassages(maskedPassages(pieces, writing, createPrng('9')), 32, writing.padId)];
  const lossOf = async (vector: Float32Array) => tokenLossOf(await trainer.scoreTokens({ vector, batches })).loss!;
  const place = { peer: 'a', round: 0, vector: run.initial, steps: 8 };
  const train = async (more: { own?: string[] }) =>
    (await createClassLearner({ run, trainer, gold, unlabelled: [], ...more }).train(place)).vector;
  const [before, beside, without] = [
    await lossOf(run.initial),
    await lossOf(await train({ own: texts })),
    await lossOf(await train({})),
  ];
  assert.ok(beside < 0.9 * before && beside < 0.9 * without, `${before}, beside ${beside}, without ${without}`);
  assert.equal(await train({ own: texts }), await train({ own: texts }), 'a pure function of its options');
  await trainer.stop();
});

test.run();
