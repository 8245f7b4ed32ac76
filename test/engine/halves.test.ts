/** @file Training in float16 with a scaled loss: near float32, and none the worse for gradients that overflow. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type TrainBatch, withTargets } from '../../node/engine/batch.ts';
import { createEngine, type Engine } from '../../node/engine/engine.ts';
import { packPassages, trainingBatchOf, withWeights } from '../../node/engine/packing.ts';
import { createLossScale } from '../../node/engine/scaling.ts';
import type { Compute } from '../../node/model/program.ts';
import { createPrng } from '../../protocol/prng.ts';
import { fixture } from '../support.ts';

const LORA = { type: 'lora', lora: { rank: 4, alpha: 8, targets: 'all' } } as const;
const LABELS = { ids: [5, 6], bias: [0, 0] };
const OPTIMISER = { learningRate: 1e-2, weightDecay: 0.01, clipNorm: 1 };

/** Cloze prompts, each of which tells its label by its first word. */
function labelled(weight = 1 / 8): TrainBatch {
  const sequences = Array.from({ length: 8 }, (_, i) => ({
    ids: [10 + (i % 2), ...Array.from({ length: 3 + (i % 4) }, (_, t) => 20 + ((7 * i + 3 * t) % 100))],
    positions: [1],
  }));
  return withTargets(
    trainingBatchOf(sequences, { padId: 0, classes: 2 }),
    sequences.map((_, i) => ({ distribution: [i % 2, 1 - (i % 2)], weight, temperature: 1 })),
  );
}

/** Rows of words that repeat. */
function continued(weight = 1 / 64): TrainBatch {
  const passages = Array.from({ length: 8 }, (_, i) => {
    const ids = Array.from({ length: 9 }, (_, t) => 20 + ((11 * (t % 3) + 5 * i) % 100));
    return { ids, scored: ids.slice(1).map((id, position) => ({ position, id, weight })) };
  });
  return withWeights(packPassages(passages, 18, 0), passages);
}

const CASES = [
  { name: 'bert-qv', batch: labelled },
  { name: 'llama-lm', batch: continued },
];

/** Float16 holds 11 bits: a number is off by up to 2^-11, a gradient made of many such by a few times that. */
const BOUND = 4 * 2 ** -11;

async function withEngine<T>(
  { name, compute, recompute = false }: { name: string; compute: Compute; recompute?: boolean },
  use: (engine: Engine, vector: Float32Array) => Promise<T>,
): Promise<T> {
  const options = { base: fixture(name), trainable: LORA, device: 'cpu', threads: 1, compute, recompute } as const;
  const engine = await createEngine(options);
  const { random } = createPrng(11);
  const vector = Float32Array.from({ length: engine.parameters }, () => 0.2 * (random() - 0.5));
  const result = await use(engine, vector);
  await engine.release();
  return result;
}

/** ||a - b|| / ||b|| */
function distance(a: Float32Array, b: Float32Array): number {
  const size = Math.hypot(...b);
  assert.ok(size > 0, 'nothing to compare with');
  return Math.hypot(...a.map((x, i) => x - b[i]!)) / size;
}

for (const { name, batch } of CASES) {
  test(`${name}: loss, scores and gradient are those of float32 within what float16 holds, and are not its own`, async () => {
    const run = (compute: Compute, recompute = false) =>
      withEngine({ name, compute, recompute }, async (engine, vector) => {
        const [scores] = await engine.score(vector, [batch()], LABELS);
        return { ...(await engine.gradient(vector, batch(), LABELS)), scores: scores! };
      });
    const [exact, half, again] = [await run('f32'), await run('f16'), await run('f16', true)];
    assert.ok(Math.abs(half.loss - exact.loss) < BOUND * exact.loss, `${half.loss}, wanted ${exact.loss}`);
    assert.ok(distance(half.scores, exact.scores) < BOUND);
    assert.ok(distance(half.gradient, exact.gradient) < BOUND, `${distance(half.gradient, exact.gradient)}`);
    assert.ok(distance(half.gradient, exact.gradient) > 2 ** -14, 'it was computed in float32');
    assert.ok(distance(again.gradient, half.gradient) < 1e-6, 'layers computed again give the same');
  });

  test(`${name}: 20 steps in float16 train as in float32`, async () => {
    const run = (compute: Compute) =>
      withEngine({ name, compute }, (engine, vector) => {
        const batches = Array.from({ length: 20 }, () => batch());
        return engine.train({ vector, batches, labels: LABELS, optimiser: OPTIMISER });
      });
    const [exact, half] = [await run('f32'), await run('f16')];
    assert.ok(exact.losses.at(-1)! < 0.8 * exact.losses[0]!, `${exact.losses}`);
    exact.losses.forEach((loss, i) => {
      assert.ok(Math.abs(half.losses[i]! - loss) < 0.01 * loss, `step ${i}: ${half.losses[i]}, wanted ${loss}`);
    });
  });

  test(`${name}: a gradient that overflows is left, and its batch taken with less; one of a tiny loss is still there`, async () => {
    const train = (compute: Compute, weight: number) =>
      withEngine({ name, compute }, async (engine, vector) => {
        const before = engine.traffic().copiedBytes;
        const batches = Array.from({ length: 3 }, () => batch(weight));
        const result = await engine.train({ vector, batches, labels: LABELS, optimiser: OPTIMISER });
        return { ...result, copied: engine.traffic().copiedBytes - before };
      });
    const [exact, half, usual] = [await train('f32', 1000), await train('f16', 1000), await train('f16', 0.1)];
    assert.is(half.diverged, null);
    assert.is(half.losses.length, 3);
    assert.ok(half.copied > 1.3 * usual.copied, 'no step was taken twice');
    assert.ok(distance(half.vector, exact.vector) < 0.01, `${distance(half.vector, exact.vector)}`);
    const tiny = (compute: Compute) =>
      withEngine({ name, compute }, (engine, vector) => engine.gradient(vector, batch(1e-6), LABELS));
    assert.ok(distance((await tiny('f16')).gradient, (await tiny('f32')).gradient) < 2 * BOUND);
  });

  test(`${name}: a loss that is no number is no overflow: the step is stopped and the adapter kept`, () =>
    withEngine({ name, compute: 'f16' }, async (engine, vector) => {
      const job = { vector, labels: LABELS, optimiser: OPTIMISER };
      const one = await engine.train({ ...job, batches: [batch()] });
      const cut = await engine.train({ ...job, batches: [batch(), batch(Number.NaN), batch()] });
      assert.equal(cut.vector, one.vector);
      assert.is(cut.diverged!.step, 2);
    }));
}

const OTHERS = [
  ...['roberta-qv', 'distilbert-qv', 'modernbert-all', 'gpt2-all', 'llama3-qv'],
  ...['mistral-window-qv', 'qwen2-qv', 'qwen3-qv', 'gemma3-all'],
];

for (const name of OTHERS)
  test(`${name}: its gradient in float16 is near that of float32`, async () => {
    const run = (compute: Compute) =>
      withEngine({ name, compute }, (engine, vector) => engine.gradient(vector, continued(), LABELS));
    const [exact, half] = [await run('f32'), await run('f16')];
    const off = distance(half.gradient, exact.gradient);
    assert.ok(off > 2 ** -14 && off < 2 * BOUND, `${off}`);
  });

test('the scale is halved on overflow, doubled after 500 steps without, and given up in the end', () => {
  const scale = createLossScale();
  const start = scale.value()!;
  assert.ok(scale.overflowed());
  assert.is(scale.value(), start / 2);
  for (let i = 0; i < 499; i++) scale.passed();
  assert.is(scale.value(), start / 2);
  scale.passed();
  assert.is(scale.value(), start);
  for (let i = 0; i < 499; i++) scale.passed();
  scale.overflowed();
  scale.passed();
  assert.is(scale.value(), start / 2, 'steps are counted from the last overflow');
  let attempts = 0;
  while (scale.overflowed()) attempts++;
  assert.is(attempts, 39);
});

test.run();
