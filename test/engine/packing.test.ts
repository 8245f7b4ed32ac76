/** @file Short texts several a row learn and score as each alone; batches of like lengths hold what was drawn. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { baseVector, openBase } from '../../node/checkpoint/base.ts';
import { packBatch, withTargets } from '../../node/engine/batch.ts';
import { createEngine } from '../../node/engine/engine.ts';
import { trainingBatchOf } from '../../node/engine/packing.ts';
import { roundBatches } from '../../node/train/learner.ts';
import { checkSettings, openClassRun } from '../../node/train/run.ts';
import { createPrng } from '../../protocol/prng.ts';
import { fixture } from '../support.ts';

const LENGTHS = [3, 15, 4, 9, 4, 6, 3];

for (const name of ['bert-qv', 'modernbert-qv', 'gpt2-qv', 'mistral-window-qv', 'gemma3-qv'])
  test(`${name}: texts packed into rows give the gradient of a text a row`, async () => {
    const { random } = createPrng(name);
    const trainable = { type: 'full' } as const;
    const engine = await createEngine({ base: fixture(name), trainable, device: 'cpu', threads: 1 });
    const sequences = LENGTHS.map((length) => ({
      ids: Array.from({ length }, () => 1 + Math.floor(random() * 100)),
      positions: [Math.floor(random() * length)],
    }));
    const targets = sequences.map((_, i) => ({
      distribution: [i % 2, 1 - (i % 2)],
      weight: 0.1 + i,
      temperature: 1 + i,
    }));
    const packed = trainingBatchOf(sequences, { padId: 0, classes: 2 });
    assert.is(packed.question, 'packed-labels');
    assert.ok(packed.batch < sequences.length);
    const labels = { ids: [5, 9], bias: [0.1, -0.1] };
    const vector = await baseVector(await openBase(fixture(name)));
    const wanted = await engine.gradient(vector, withTargets(packBatch(sequences, 0), targets), labels);
    const got = await engine.gradient(vector, withTargets(packed, targets), labels);
    await engine.release();
    assert.ok(Math.abs(got.loss - wanted.loss) < 1e-5 * wanted.loss, `${got.loss}, wanted ${wanted.loss}`);
    const norm = Math.hypot(...wanted.gradient);
    const error = Math.hypot(...wanted.gradient.map((x, i) => x - got.gradient[i]!)) / norm;
    assert.ok(norm > 0 && error < 1e-5, `${error}`);
  });

test('a round is what was drawn, like lengths together, no text twice before every other', async () => {
  const { task, settings } = await openClassRun(checkSettings({ batchSize: 4 }, 'test'));
  const { random } = createPrng('lengths');
  const examples = Array.from({ length: 24 }, (_, i) => ({
    sequence: { ids: [i + 100, ...new Array<number>(Math.floor(random() * 60)).fill(7)], positions: [0] },
    y: i % 2,
  }));
  const common = { task, settings, examples, peer: 'a', steps: 18 };
  const batches = roundBatches({ ...common, round: 0 });
  const firstIds = (batch: (typeof batches)[number]): number[] =>
    Array.from(batch.inputIds, Number).filter((id) => id >= 100 && id < 124);
  for (const pass of [0, 1, 2]) {
    const ids = batches.slice(6 * pass, 6 * pass + 6).flatMap(firstIds);
    assert.is(new Set(ids).size, 24, `pass ${pass}`);
  }
  const tokens = batches.reduce((sum, batch) => sum + batch.batch * batch.tokens, 0);
  const held = batches.reduce((sum, batch) => sum + batch.attentionMask.reduce((a, b) => a + b, 0), 0);
  assert.ok(held / tokens > 0.85, `${held} of ${tokens}`);
  assert.not.equal(batches.map(firstIds), roundBatches({ ...common, round: 1 }).map(firstIds));
  assert.equal(batches.map(firstIds), roundBatches({ ...common, round: 0 }).map(firstIds));
});

test.run();
