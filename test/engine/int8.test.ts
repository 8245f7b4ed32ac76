/** @file Frozen weights in 7 bits: near what float32 gives, gradients too, and a model learns with them. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openBase, type Precision } from '../../node/checkpoint/base.ts';
import { createEngine } from '../../node/engine/engine.ts';
import { packPassages, withWeights } from '../../node/engine/packing.ts';
import { createPrng } from '../../protocol/prng.ts';
import { fixture } from '../support.ts';

const NO_WORDS = { ids: [], bias: [] };

async function run(name: string, basePrecision: Precision, recompute: boolean) {
  const trainable = { type: 'lora', lora: { rank: 2, alpha: 4, targets: 'all' } } as const;
  const engine = await createEngine({
    base: fixture(name),
    trainable,
    device: 'cpu',
    threads: 1,
    recompute,
    basePrecision,
  });
  const { random } = createPrng(7);
  const vector = Float32Array.from({ length: engine.parameters }, () => 0.4 * (random() - 0.5));
  const passages = [5, 9, 12].map((length) => {
    const ids = Array.from({ length }, () => Math.floor(random() * 128));
    return { ids, scored: ids.slice(1).map((id, position) => ({ position, id, weight: 0.05 })) };
  });
  const batch = withWeights(packPassages(passages, 16, 0), passages);
  const { gradient, loss } = await engine.gradient(vector, batch, NO_WORDS);
  const optimiser = { learningRate: 1e-2, weightDecay: 0, clipNorm: Number.POSITIVE_INFINITY };
  const { losses } = await engine.train({ vector, batches: new Array(12).fill(batch), labels: NO_WORDS, optimiser });
  await engine.release();
  return { gradient, loss, losses };
}

for (const name of ['llama-qv', 'gemma3-all', 'gpt2-all', 'bert-qv'])
  test(`${name}: loss and gradient are near those of float32, and the loss falls`, async () => {
    const exact = await run(name, 'f32', false);
    for (const recompute of [false, true]) {
      const near = await run(name, 'int8', recompute);
      assert.ok(near.loss !== exact.loss && Math.abs(near.loss - exact.loss) < 0.02 * exact.loss, `${near.loss}`);
      const size = Math.hypot(...exact.gradient);
      const error = Math.hypot(...exact.gradient.map((x, i) => x - near.gradient[i]!)) / size;
      assert.ok(error < 0.2, `${error}`);
      assert.ok(near.losses.at(-1)! < 0.95 * near.losses[0]!, `${near.losses}`);
    }
  });

test('the file holds a byte a number, twice', async () => {
  const base = await openBase(fixture('llama-qv'), 'int8');
  await base.expand();
  const numbers = base.architecture.linears.reduce((sum, { inputs, outputs }) => sum + inputs * outputs, 0);
  const { size } = statSync(join(base.cache, base.int8!.file));
  assert.ok(size > 2 * numbers && size < 3 * numbers, `${size} bytes for ${numbers}`);
});

test.run();
