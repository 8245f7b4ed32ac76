/** @file Which factors are trained and sent: masks, what travels, and the algebra against dense products. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createTrainer } from '../../node/engine/trainer.ts';
import { createWire, cutRank, factorPairs, trainedFactors, trainedMask } from '../../node/train/factors.ts';
import { encodeExamples, trainRound } from '../../node/train/learner.ts';
import { openClassRun } from '../../node/train/run.ts';
import { crossTerm } from '../../protocol/mixing.ts';
import { createPrng } from '../../protocol/prng.ts';
import { distance, mean, norm } from '../../protocol/vector.ts';
import { settingsWith } from '../support.ts';

/** Two layers, A [2, 3] and B [4, 2] each. */
const tensors = ['one', 'two'].flatMap((module, i) => [
  { name: `${module}.lora_A`, rows: 2, cols: 3, offset: 14 * i, factor: 'A' as const },
  { name: `${module}.lora_B`, rows: 4, cols: 2, offset: 14 * i + 6, factor: 'B' as const },
]);
const prng = createPrng('factors');
const draw = (): Float32Array => Float32Array.from({ length: 28 }, prng.normal);
const isA = (i: number): boolean => i % 14 < 6;

/** Every layer's B A, densely, one after the other. */
function dense(vector: Float32Array): Float32Array {
  return Float32Array.from(
    [0, 14].flatMap((at) =>
      Array.from({ length: 12 }, (_, k) => {
        const [i, j] = [Math.floor(k / 3), k % 3];
        return [0, 1].reduce((sum, r) => sum + vector[at + 6 + 2 * i + r]! * vector[at + 3 * r + j]!, 0);
      }),
    ),
  );
}

test('masks name the factors a round trains', () => {
  const mask = (averaging: string, round: number): number[] =>
    Array.from(trainedMask(tensors, settingsWith({ averaging, alternateRounds: 2 }), round));
  assert.ok(mask('factors', 0).every((x) => x === 1));
  assert.ok(mask('freeze-a', 7).every((x, i) => x === (isA(i) ? 0 : 1)));
  assert.equal(
    [0, 1, 2, 3, 4].map((round) => mask('alternate', round)[0]),
    [0, 0, 1, 1, 0],
  );
  assert.equal(
    [0, 1, 2, 3, 4].map((round) => mask('alternate', round)[6]),
    [1, 1, 0, 0, 1],
  );
  assert.equal(trainedFactors(settingsWith({}), 0), ['A', 'B', 'full']);
});

test('a lower local rank trains the first rows of A and columns of B', () => {
  const mask = trainedMask(tensors, settingsWith({ localRank: 1 }), 0);
  assert.equal(Array.from(mask.subarray(0, 14)), [1, 1, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0]);
  const vector = draw();
  assert.equal(
    cutRank(vector, tensors, 1),
    vector.map((x, i) => x * mask[i]!),
  );
});

test('with a common A only B travels, and comes back to the same adapter', () => {
  const initial = draw();
  const wire = createWire(tensors, settingsWith({ averaging: 'freeze-a' }), initial);
  const vector = initial.map((x, i) => (isA(i) ? x : x + 1));
  assert.is(wire.pack(vector).length, 16);
  assert.equal(wire.unpack(wire.pack(vector)), vector);
  const all = createWire(tensors, settingsWith({}), initial);
  assert.equal(all.unpack(all.pack(vector)), vector);
});

test('averaging B with a common A is averaging B A, exactly; else the cross term says how far off it is', () => {
  const common = draw();
  const vectors = Array.from({ length: 5 }, () => draw().map((x, i) => (isA(i) ? common[i]! : x)));
  const averaged = dense(mean(vectors));
  const wanted = mean(vectors.map(dense));
  assert.ok(distance(averaged, wanted) < 1e-5 * norm(wanted));
  assert.ok(crossTerm(vectors, factorPairs(tensors))! < 1e-6);
  const free = Array.from({ length: 5 }, draw);
  const off = distance(dense(mean(free)), mean(free.map(dense))) / norm(mean(free.map(dense)));
  const found = crossTerm(free, factorPairs(tensors))!;
  assert.ok(off > 0.1 && Math.abs(found - off) < 1e-5, `${found} for ${off}`);
  assert.is(crossTerm([draw()], factorPairs(tensors)), null);
  assert.is(crossTerm(free, []), null);
});

test('training leaves a frozen factor as it was, bit for bit', async () => {
  const settings = settingsWith({
    averaging: 'freeze-a',
    localSteps: 3,
    batchSize: 2,
    learningRate: 1e-2,
    weightDecay: 0.5,
  });
  const run = await openClassRun(settings);
  const trainer = await createTrainer({
    base: settings.base,
    trainable: { type: 'lora', lora: run.lora },
    device: 'cpu',
    threads: 1,
  });
  const examples = await encodeExamples(run.task, [
    { text: 'good', y: 1 },
    { text: 'bad', y: 0 },
  ]);
  const { vector } = await trainRound({
    trainer,
    task: run.task,
    settings,
    labels: run.labels,
    tensors: run.tensors,
    examples,
    peer: 'a',
    round: 0,
    vector: run.initial,
    steps: 3,
  });
  await trainer.stop();
  for (const { offset, rows, cols, factor } of run.tensors) {
    const [before, after] = [run.initial, vector].map((v) => v.subarray(offset, offset + rows * cols));
    if (factor === 'A') assert.equal(after, before);
    else assert.ok(distance(after!, before!) > 0);
  }
  assert.equal(run.wire.unpack(run.wire.pack(vector)), vector);
});

test.run();
