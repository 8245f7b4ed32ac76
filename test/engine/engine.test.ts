/** @file The engine's ways of training: layers held or computed again, batches whole or cut into micro-batches. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { LabelWords, TrainBatch } from '../../node/engine/batch.ts';
import { packBatch, withTargets } from '../../node/engine/batch.ts';
import { createEngine, type Engine } from '../../node/engine/engine.ts';
import { MICRO_BATCH_TOKENS, microBatches } from '../../node/engine/microbatch.ts';
import { packChoices, packPassages, trainingBatchOf, withWeights } from '../../node/engine/packing.ts';
import { createPrng, type Prng } from '../../protocol/prng.ts';
import { fixture } from '../support.ts';

const WORDS = 128;
const LABELS: LabelWords = { ids: [5, 6], bias: [0.1, -0.2] };
const NONE: LabelWords = { ids: [], bias: [] };

const idsOf = ({ random }: Prng, length: number): number[] =>
  Array.from({ length }, () => 4 + Math.floor(random() * (WORDS - 4)));

/** Cloze prompts of several lengths. */
function labelBatch(prng: Prng, count: number): TrainBatch {
  const sequences = Array.from({ length: count }, (_, i) => ({ ids: idsOf(prng, 5 + (i % 4)), positions: [i % 5] }));
  const targets = sequences.map((_, i) => ({
    distribution: [i % 2, 1 - (i % 2)],
    weight: 1 / count,
    temperature: 1.5,
  }));
  return withTargets(packBatch(sequences, 0), targets);
}

/** One long prompt, and many short ones that share rows. */
function packedLabelBatch(prng: Prng, count: number): TrainBatch {
  const sequences = Array.from({ length: count }, (_, i) => ({
    ids: idsOf(prng, i === 0 ? 40 : 5 + (i % 4)),
    positions: [i % 5],
  }));
  const targets = sequences.map((_, i) => ({
    distribution: [i % 2, 1 - (i % 2)],
    weight: (i + 1) / 50,
    temperature: 1,
  }));
  const batch = trainingBatchOf(sequences, { padId: 0, classes: 2 });
  assert.is(batch.question, 'packed-labels');
  return withTargets(batch, targets);
}

/** Texts packed three or so to a row. */
function tokenBatch(prng: Prng, count: number): TrainBatch {
  const passages = Array.from({ length: count }, (_, i) => {
    const ids = idsOf(prng, 3 + (i % 5));
    return { ids, scored: ids.slice(1).map((id, position) => ({ position, id, weight: 0.1 + 0.01 * i })) };
  });
  return withWeights(packPassages(passages, 16, 0), passages);
}

/** Classes of one and two words, a passage and a row each: packed by length, nearly all rows would hang together. */
function choiceBatch(prng: Prng, count: number): TrainBatch {
  const words = [[7], [8, 9]];
  const choices = Array.from({ length: count }, (_, i) => {
    const prompt = idsOf(prng, 3 + (i % 3));
    return {
      passages: words.map((word) => ({
        ids: [...prompt, ...word],
        scored: word.map((id, j) => ({ position: prompt.length - 1 + j, id, weight: 1 })),
      })),
      classes: words.flatMap((word, y) => word.map(() => y)),
    };
  });
  const targets = choices.map((_, i) => ({ distribution: [i % 2, 1 - (i % 2)], weight: 1 / count, temperature: 1 }));
  return withTargets(packChoices(choices, { labels: 2, tokens: 1, padId: 0 }), targets);
}

async function withEngine<T>(
  { name, recompute }: { name: string; recompute?: boolean },
  use: (engine: Engine, vector: Float32Array) => Promise<T>,
): Promise<T> {
  const trainable = { type: 'lora', lora: { rank: 2, alpha: 4, targets: 'all' } } as const;
  const options = { base: fixture(name), trainable, device: 'cpu', threads: 1 } as const;
  const engine = await createEngine(recompute === undefined ? options : { ...options, recompute });
  const { random } = createPrng(7);
  const vector = Float32Array.from({ length: engine.parameters }, () => 0.4 * (random() - 0.5));
  const result = await use(engine, vector);
  await engine.release();
  return result;
}

function assertClose(got: Float32Array, wanted: Float32Array, bound: number): void {
  const size = Math.max(...wanted.map(Math.abs));
  assert.ok(size > 1e-3, `nothing to compare: ${size}`);
  wanted.forEach((x, i) => {
    assert.ok(Math.abs(x - got[i]!) <= bound * size, `${i}: ${got[i]}, wanted ${x}`);
  });
}

const CASES = [
  ...['bert-qv', 'roberta-qv', 'distilbert-qv', 'modernbert-all', 'gpt2-all', 'llama-qv', 'llama3-qv'],
  ...['mistral-window-qv', 'qwen2-qv', 'qwen3-qv', 'gemma3-all'],
];

for (const name of CASES)
  test(`${name}: layers computed again give the gradients of layers held`, async () => {
    const kinds = ['llama-qv', 'bert-qv'].includes(name) ? [labelBatch, tokenBatch, choiceBatch] : [tokenBatch];
    const gradients = (recompute: boolean): Promise<{ gradient: Float32Array; loss: number }[]> =>
      withEngine({ name, recompute }, async (engine, vector) => {
        const results = [];
        for (const kind of kinds) results.push(await engine.gradient(vector, kind(createPrng(3), 8), LABELS));
        return results;
      });
    const [held, again] = [await gradients(false), await gradients(true)];
    held.forEach(({ gradient, loss }, i) => {
      assert.is(again[i]!.loss, loss);
      assertClose(again[i]!.gradient, gradient, 1e-6);
    });
  });

test('gradients of micro-batches add up to that of the batch: labels, packed or not, tokens and choices', () =>
  withEngine({ name: 'llama-qv' }, async (engine, vector) => {
    for (const kind of [labelBatch, packedLabelBatch, tokenBatch, choiceBatch]) {
      const batch = kind(createPrng(4), 12);
      const whole = await engine.gradient(vector, batch, LABELS);
      for (const tokens of [batch.tokens, 2 * batch.tokens + 1]) {
        const parts = microBatches(batch, { tokens });
        assert.ok(parts.length > 1, `${kind.name}: ${parts.length} parts of ${tokens} tokens`);
        const most = kind === choiceBatch ? Math.max(tokens, 2 * batch.tokens) : tokens;
        assert.ok(parts.every((part) => part.batch * part.tokens <= most));
        const sum = new Float32Array(vector.length);
        let loss = 0;
        for (const part of parts) {
          const own = await engine.gradient(vector, part, LABELS);
          own.gradient.forEach((x, i) => {
            sum[i]! += x;
          });
          loss += own.loss;
        }
        assert.ok(Math.abs(loss - whole.loss) < 1e-5 * whole.loss, `${loss}, wanted ${whole.loss}`);
        assertClose(sum, whole.gradient, 1e-5);
      }
    }
  }));

test('an example stays whole, however few tokens a micro-batch may have', () => {
  const batch = choiceBatch(createPrng(4), 12);
  const parts = microBatches(batch, { tokens: batch.tokens }) as (typeof batch & { examples: number })[];
  assert.is(
    parts.reduce((sum, part) => sum + part.examples, 0),
    12,
  );
  for (const part of parts) assert.is(part.rowWeight.length, part.examples);
});

test('a step on a batch cut in two is the step on it whole', () =>
  withEngine({ name: 'llama-qv' }, async (engine, vector) => {
    const [{ random }, width] = [createPrng(9), 60];
    const rows = Math.floor(MICRO_BATCH_TOKENS / width);
    const passages = Array.from({ length: rows + 3 }, (_, row) => {
      const ids = Array.from({ length: width }, () => Math.floor(random() * WORDS));
      // Rows past the first micro-batch weigh nothing.
      return {
        ids,
        scored: [3, 30].map((position) => ({ position, id: ids[position]!, weight: row < rows ? 0.01 : 0 })),
      };
    });
    const step = async (texts: typeof passages) => {
      const batch = withWeights(packPassages(texts, width, 0), texts);
      const optimiser = { learningRate: 0.01, weightDecay: 0.1, clipNorm: 1 };
      const result = await engine.train({ vector, batches: [batch, batch], labels: NONE, optimiser });
      return { ...result, parts: microBatches(batch).length };
    };
    const [whole, cut] = [await step(passages.slice(0, rows)), await step(passages)];
    assert.equal([whole.parts, cut.parts], [1, 2]);
    assertClose(cut.vector, whole.vector, 1e-5);
    whole.losses.forEach((loss, i) => {
      assert.ok(Math.abs(cut.losses[i]! - loss) < 1e-5 * loss);
    });
  }));

test.run();
