/** @file Numbers that are not finite: training ends before the step that gave them, and a peer gives up after three such rounds. */
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openBase } from '../../node/checkpoint/base.ts';
import { basePath } from '../../node/checkpoint/places.ts';
import { packBatch, type TrainBatch, withTargets } from '../../node/engine/batch.ts';
import { createEngine, type TrainResult } from '../../node/engine/engine.ts';
import { encodeSafetensors, openSafetensors, tensorData } from '../../node/formats/safetensors.ts';
import { initialLora } from '../../node/model/lora.ts';
import { type Trainable, trainableTensors } from '../../node/model/program.ts';
import { createDivergence } from '../../node/train/divergence.ts';
import { createPrng } from '../../protocol/prng.ts';
import { MACHINE, startIn } from '../processes.ts';
import { fixture, temporaryFolder } from '../support.ts';

const LORA: Trainable = { type: 'lora', lora: { rank: 2, alpha: 4, targets: 'all' } };
const LABELS = { ids: [5, 6], bias: [0, 0] };
const OPTIMISER = { learningRate: 1e-2, weightDecay: 0, clipNorm: 1 };

const batchOf = (weight: number): TrainBatch =>
  withTargets(packBatch([{ ids: [7, 8, 9, 10], positions: [1] }], 0), [
    { distribution: [1, 0], weight, temperature: 1 },
  ]);

test('training ends with the adapter of before the step that gave numbers that are not finite', async () => {
  const folder = fixture('bert-qv');
  const vector = initialLora(trainableTensors(await openBase(folder), LORA), createPrng('divergence').random);
  const engine = await createEngine({ base: folder, trainable: LORA, device: 'cpu', threads: 1 });
  const train = (weights: readonly number[]): Promise<TrainResult> =>
    engine.train({ vector, batches: weights.map(batchOf), labels: LABELS, optimiser: OPTIMISER });
  const sound = await train([1, 1]);
  assert.is(sound.diverged, null);
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const cut = await train([1, 1, bad, 1]);
    assert.equal(cut.vector, sound.vector);
    assert.equal(cut.losses, sound.losses);
    assert.is(cut.diverged!.step, 3);
    assert.not.ok(Number.isFinite(cut.diverged!.loss));
  }
  assert.equal((await train([Number.NaN])).vector, vector);
  await engine.release();
});

const SOUND: TrainResult = { vector: Float32Array.of(1), losses: [1], diverged: null };
const CUT: TrainResult = { ...SOUND, diverged: { step: 2, loss: Number.NaN } };

test('a peer says it in a line, counts it, and goes on; three rounds in a row end it', () => {
  const lines: string[] = [];
  const divergence = createDivergence((line) => lines.push(line));
  const counts = [SOUND, CUT, CUT, SOUND, CUT, CUT].map((result, round) => divergence.count(round, result));
  assert.equal(counts, [0, 1, 2, 2, 3, 4]);
  assert.is(lines.length, 4);
  assert.match(lines[0]!, /^round 1: step 2 gave numbers that are not finite \(loss NaN\); kept the adapter/);
  assert.throws(() => divergence.count(6, CUT), /in 3 rounds in a row, to the last in round 6.*--learning-rate/);
});

test('a base whose logits overflow ends a peer in the third round, with a line and code 3', async () => {
  const folder = temporaryFolder();
  cpSync(basePath('lorikeet-mini'), join(folder, 'base'), { recursive: true });
  const path = join(folder, 'base', 'model.safetensors');
  const file = openSafetensors(path);
  const large = ['cls.predictions.transform.LayerNorm.weight', 'bert.embeddings.word_embeddings.weight'];
  const tensors = [...file.tensors].map(([name, { shape }]) => ({
    name,
    shape,
    data: tensorData(file, name).map((x) => (large.includes(name) ? 1e20 * x : x)),
  }));
  writeFileSync(path, encodeSafetensors(tensors, {}));
  const size = ['--peers', '1', '--gold', '4', '--rounds', '5', '--label-prior', '0,0'];
  const options = ['--base', join(folder, 'base'), ...MACHINE, ...size];
  const { code, err } = await startIn(folder, ['demo', ...options]).done;
  assert.is(code, 3, err);
  assert.match(err, /round 1: step 1 gave numbers that are not finite \(loss NaN\); kept the adapter from before it/);
  assert.match(err, /in 3 rounds in a row, to the last in round 2; the adapter from before is kept/);
});

test('an adapter that is not finite counts, whatever was said of its steps', () => {
  const divergence = createDivergence();
  assert.is(divergence.count(0, { ...SOUND, vector: Float32Array.of(Number.NaN) }), 1);
});

test.run();
