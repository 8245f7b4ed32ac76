/** @file Frozen matrices kept in 16 bits and widened as they are used: what float32 of the same numbers gives. */
import { cpSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openBase } from '../../node/checkpoint/base.ts';
import { packBatch, withTargets } from '../../node/engine/batch.ts';
import { createEngine } from '../../node/engine/engine.ts';
import { packPassages, withWeights } from '../../node/engine/packing.ts';
import { narrow, type Width } from '../../node/formats/narrow.ts';
import { encodeSafetensors, openSafetensors, tensorData } from '../../node/formats/safetensors.ts';
import { createPrng } from '../../protocol/prng.ts';
import { fixture, temporaryFolder } from '../support.ts';

/** A fixture whose numbers bfloat16 holds exactly. */
function rounded(name: string): string {
  const folder = temporaryFolder();
  cpSync(fixture(name), folder, { recursive: true });
  const file = openSafetensors(join(folder, 'model.safetensors'));
  const tensors = [...file.tensors].map(([tensor, { shape }]) => {
    const halves = narrow(tensorData(file, tensor), 'bf16');
    const bits = Uint32Array.from(new Uint16Array(halves.buffer), (half) => half << 16);
    return { name: tensor, shape, data: new Float32Array(bits.buffer) };
  });
  writeFileSync(join(folder, 'model.safetensors'), encodeSafetensors(tensors, {}));
  return folder;
}

async function run(base: string, basePrecision: Width, recompute: boolean) {
  const trainable = { type: 'lora', lora: { rank: 2, alpha: 4, targets: 'all' } } as const;
  const engine = await createEngine({ base, trainable, device: 'cpu', threads: 1, recompute, basePrecision });
  const { random } = createPrng(7);
  const vector = Float32Array.from({ length: engine.parameters }, () => 0.4 * (random() - 0.5));
  const passages = [5, 9, 12].map((length) => {
    const ids = Array.from({ length }, () => Math.floor(random() * 128));
    return { ids, scored: ids.slice(1).map((id, position) => ({ position, id, weight: 0.1 })) };
  });
  const batch = withWeights(packPassages(passages, 16, 0), passages);
  const none = { ids: [], bias: [] };
  const [scores] = await engine.score(vector, [batch], none);
  const { gradient, loss } = await engine.gradient(vector, batch, none);
  const cloze = withTargets(packBatch([{ ids: [7, 8, 9], positions: [1] }], 0), [
    { distribution: [1, 0], weight: 1, temperature: 1 },
  ]);
  const classes = await engine.gradient(vector, cloze, { ids: [5, 6], bias: [0, 0] });
  await engine.release();
  return { scores: scores!, gradient, loss, classes: classes.gradient };
}

function difference(got: Float32Array, wanted: Float32Array): number {
  const size = Math.max(...wanted.map(Math.abs));
  return Math.max(...wanted.map((x, i) => Math.abs(x - got[i]!))) / size;
}

for (const name of ['llama-qv', 'gemma3-all', 'gpt2-all', 'bert-qv'])
  test(`${name}: bfloat16 of numbers that it holds is float32, layers held or computed again; float16 is near`, async () => {
    const folder = rounded(name);
    const wanted = await run(folder, 'f32', false);
    for (const recompute of [false, true]) {
      const got = await run(folder, 'bf16', recompute);
      assert.ok(Math.abs(got.loss - wanted.loss) <= 1e-6 * wanted.loss);
      assert.ok(difference(got.scores, wanted.scores) <= 1e-6);
      assert.ok(difference(got.gradient, wanted.gradient) <= 1e-6);
      assert.ok(difference(got.classes, wanted.classes) <= 1e-6, 'of label words');
    }
    const near = await run(fixture(name), 'f16', false);
    const exact = await run(fixture(name), 'f32', false);
    assert.ok(near.loss !== exact.loss && difference(near.gradient, exact.gradient) < 1e-2);
  });

test('the file of weights is half as large, beside the other', async () => {
  const sizes: number[] = [];
  for (const width of ['f32', 'f16', 'bf16'] as const) {
    const base = await openBase(fixture('llama-qv'), width);
    await base.expand();
    sizes.push(statSync(join(base.cache, base.weights)).size);
  }
  assert.ok(sizes[1]! < 0.55 * sizes[0]! && sizes[2] === sizes[1], `${sizes}`);
});

test.run();
